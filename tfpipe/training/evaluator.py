"""Forward passes over many texts: what the loop, evaluate and export look at a model with."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.batches import compile_for, plan_reading, read_batches
from tfpipe.data.encode import Encoded, Labelled
from tfpipe.model.checkpoint import Classifier
from tfpipe.tasks.classify import Classify
from tfpipe.tasks.evaluation import Evaluation


class Evaluator:
    """A compiled forward pass of one model under one strategy."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        classifier: Classifier,
        task: Classify,
        batch_size: int,
    ):
        self._strategy, self._task, self._batch_size = strategy, task, batch_size

        def forward(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            logits = strategy.run(
                lambda part: tf.cast(classifier.logits(part), tf.float32), args=(batch,)
            )
            return strategy.experimental_local_results(logits)

        self._forward = forward
        self._compiled: dict[int, Any] = {}

    def logits(self, encoded: Encoded) -> np.ndarray:
        """float32 [N, K] of all inputs, in their order."""
        plan = plan_reading(encoded.lengths, self._batch_size, self._strategy.num_replicas_in_sync)
        logits = np.zeros((len(encoded), len(self._task.label_names)), np.float32)
        batches = read_batches(encoded, plan, self._strategy)
        places = plan.rows.shape[2]
        if places not in self._compiled:
            self._compiled[places] = compile_for(batches, self._forward)
        forward = self._compiled[places]
        for replicas, batch in zip(plan.rows, batches, strict=True):
            for rows, values in zip(replicas, forward(batch), strict=True):
                logits[rows[rows >= 0]] = values.numpy()[rows >= 0]
        return logits

    def evaluate(self, labelled: Labelled) -> Evaluation:
        """What the model says about labelled examples."""
        logits = self.logits(labelled.encoded)
        return self._task.evaluate(labelled.examples, labelled.gold, logits)

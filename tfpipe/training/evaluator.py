"""Evaluation: forward passes over a data set under a strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import Int64Array, IntArray
from tfpipe.data.batches import Plan, plan_reading, read_batches
from tfpipe.data.encoded import Encoded, EncodedDataset
from tfpipe.data.replicas import compile_for, local_replicas, needs_few_widths
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task, TaskEvaluation
from tfpipe.training.collectives import run_batches, sum_over_workers


class Evaluator:
    """A compiled forward pass of one model under one strategy.

    Attributes:
        model: The model.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: TextModel,
        task: Task,
        batch_size: int,
    ):
        """Prepare the forward pass; it is compiled at its first use.

        Args:
            strategy: The strategy whose replicas compute.
            model: The model to evaluate.
            task: Its task.
            batch_size: Examples in a batch, over all replicas.
        """
        self._strategy, self._task, self._batch_size = strategy, task, batch_size
        self.model = model

        def forward(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            logits = strategy.run(
                lambda part: tf.cast(model.logits(part), tf.float32), args=(batch,)
            )
            return strategy.experimental_local_results(logits)

        self._forward = forward
        self._compiled: dict[int, Any] = {}
        self._read: tuple[Encoded, Int64Array, Plan, Any] | None = None

    def logits(self, encoded: Encoded) -> np.ndarray:
        """Compute the head's output for all inputs, of equal ones once.

        All workers must call this together.

        Returns:
            float32 [N, K] in the order of the inputs; [N, L, K] of a head with an output for each
            token, L tokens of the longest input, any value at padding.
        """
        strategy, of_tokens = self._strategy, self.model.head.per_token
        place_of, plan, batches = self._plan(encoded)
        logits = np.zeros(self._shape(plan.lengths), np.float32)
        places = plan.rows.shape[2]
        if places not in self._compiled:
            self._compiled[places] = compile_for(batches, self._forward)
        found = run_batches(strategy, self._compiled[places], batches)
        for replicas, outputs in zip(plan.rows[:, local_replicas(strategy)], found, strict=True):
            for rows, values in zip(replicas, outputs, strict=True):
                found_rows = np.asarray(values)[rows >= 0]
                if of_tokens:
                    # Inputs are padded beyond the longest for devices that need few widths.
                    found_rows = found_rows[:, : logits.shape[1]]
                    logits[rows[rows >= 0], : found_rows.shape[1]] = found_rows
                else:
                    logits[rows[rows >= 0]] = found_rows
        return sum_over_workers(strategy, logits)[place_of]

    def evaluate(self, labelled: EncodedDataset) -> TaskEvaluation:
        """Evaluate the model on labelled examples."""
        return self._task.evaluate(labelled, self.logits(labelled.encoded))

    def tune(self, labelled: EncodedDataset) -> tuple[Task, TaskEvaluation]:
        """Tune thresholds or temperature on labelled examples, and evaluate with them.

        Returns:
            The tuned task, and its evaluation.
        """
        logits = self.logits(labelled.encoded)
        task = self._task.tuned_on(labelled, logits)
        return task, task.evaluate(labelled, logits)

    def _plan(self, encoded: Encoded) -> tuple[Int64Array, Plan, Any]:
        """Plan and read the batches; those of the last inputs are kept for the next epoch."""
        if self._read is None or self._read[0] is not encoded:
            strategy, (distinct, place_of) = self._strategy, encoded.distinct()
            plan = plan_reading(
                distinct.lengths,
                self._batch_size,
                strategy.num_replicas_in_sync,
                needs_few_widths(strategy),
            )
            self._read = encoded, place_of, plan, read_batches(distinct, plan, strategy)
        return self._read[1:]

    def _shape(self, lengths: IntArray) -> tuple[int, ...]:
        columns = self.model.columns
        if self.model.head.per_token:
            return len(lengths), int(lengths.max(initial=0)), columns
        return len(lengths), columns

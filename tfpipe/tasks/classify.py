"""One label a text, or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfpipe.data.read import Examples
from tfpipe.errors import UserError
from tfpipe.tasks.evaluation import Evaluation
from tfpipe.tasks.losses import Objective, cross_entropy, focal, symmetric_divergence


class Classify:
    """Single-label classification with softmax and cross-entropy."""

    name = "classify"

    def __init__(self, label_names: Sequence[str]):
        self.label_names = list(label_names)

    @classmethod
    def from_labels(cls, labels: Sequence[str]) -> Classify:
        """The task over the labels that occur, in sorted order."""
        return cls(sorted(set(labels)))

    def gold(self, examples: Examples) -> np.ndarray:
        """int32 [N]: the column of each example's label; raises UserError for an unknown one."""
        column = {name: i for i, name in enumerate(self.label_names)}
        labels = examples.labels or []
        unknown = sorted(set(labels) - set(column))
        if unknown:
            raise UserError(
                f"{examples.path} has labels that the model was not trained on",
                ", ".join(map(repr, unknown[:5])) + (" and more" if len(unknown) > 5 else ""),
                "remove these rows, mend the label names, or add such examples to train",
            )
        return np.array([column[label] for label in labels], np.int32)

    def loss(self, logits: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        """Cross-entropy in nats, float32 [B], of logits [B, K] and gold int32 [B]."""
        return cross_entropy(logits, gold)

    def training_loss(self, logits: tf.Tensor, gold: tf.Tensor, objective: Objective) -> tf.Tensor:
        """What training minimises, float32 [B]; dev is looked at with the plain loss."""
        if objective.focal_gamma is not None:
            return focal(logits, gold, objective.focal_gamma)
        return cross_entropy(logits, gold, objective.label_smoothing)

    def divergence(self, logits: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """How far two answers to the same texts lie apart, float32 [B], for R-Drop."""
        return symmetric_divergence(logits, other)

    def balanced_weights(self, gold: np.ndarray) -> np.ndarray:
        """float32 [N]: N / (K * count of the label), as scikit-learn's `balanced`."""
        counts = np.bincount(gold, minlength=len(self.label_names))
        return (len(gold) / (len(self.label_names) * counts[gold])).astype(np.float32)

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """label string [B], score float32 [B], scores float32 [B, K] of logits [B, K]."""
        scores = tf.nn.softmax(tf.cast(logits, tf.float32))
        names = tf.constant(self.label_names)
        return {
            "label": tf.gather(names, tf.argmax(scores, axis=1)),
            "score": tf.reduce_max(scores, axis=1),
            "scores": scores,
        }

    def evaluate(self, examples: Examples, gold: np.ndarray, logits: np.ndarray) -> Evaluation:
        """What logits float32 [N, K] say about labelled examples."""
        return Evaluation(
            texts=examples.joined(),
            label_names=self.label_names,
            gold=gold,
            scores=self.decode(tf.constant(logits))["scores"].numpy(),
            loss=float(tf.reduce_mean(self.loss(tf.constant(logits), tf.constant(gold)))),
        )

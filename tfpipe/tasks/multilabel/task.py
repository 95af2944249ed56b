"""The task `multilabel`: any number of labels a text, joined by `|` in the data file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.labels import parsed_labels
from tfpipe.model.head import Head
from tfpipe.tasks.calibration.thresholds import keep_clear, tune_thresholds
from tfpipe.tasks.losses import (
    LossSettings,
    binary_cross_entropy,
    binary_focal,
    symmetric_binary_divergence,
)
from tfpipe.tasks.multilabel.evaluation import MultilabelEvaluation
from tfpipe.tasks.multilabel.labels import LabelSets
from tfpipe.tasks.sequence import SequenceTask
from tfpipe.tasks.task import Batch, Outputs

UNTUNED = 0.5


@dataclass(frozen=True)
class Multilabel(LabelSets, SequenceTask):
    """Independent labels with sigmoids, binary cross-entropy and a threshold for each label.

    Attributes:
        label_names: Of the head's columns.
        thresholds: From which score on a label is active, None for 0.5 each.
        long_text: How texts over the maximum length are read, see tasks.long_text.
    """

    label_names: Sequence[str]
    thresholds: Sequence[float] | None = None
    long_text: str = "head"

    target: ClassVar[str] = "active"
    unit: ClassVar[float] = 1.0

    @classmethod
    def from_labels(
        cls, labels: Sequence[tuple[str, ...]], config: TrainConfig | None = None
    ) -> Multilabel:
        """Build the task over the labels that occur, in sorted order."""
        names = sorted({name for label in set(labels) for name in label})
        return cls(names, long_text=config.long_text if config else "head")

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> Multilabel:
        """Restore the task of a model's folder, with its thresholds."""
        long_text = settings.get("long_text", "head")
        return cls(list(label_names), settings.get("thresholds"), long_text)

    @property
    def head(self) -> Head:
        """A column of logits a label."""
        kept = {"long_text": self.long_text, "thresholds": self._thresholds.tolist()}
        return Head("sequence", "multi_label_classification", {"task": self.name, **kept})

    @property
    def _thresholds(self) -> np.ndarray:
        """float32 [K]."""
        values = [UNTUNED] * len(self.label_names) if self.thresholds is None else self.thresholds
        return np.array(values, np.float32)

    def gold(self, examples: Examples) -> np.ndarray:
        """Return float32 [N, K] of 0 and 1; raises UserError for an unknown label."""
        self._refuse_unknown_names(examples)
        column = {name: i for i, name in enumerate(self.label_names)}
        rows = parsed_labels(examples, type(self))
        gold = np.zeros((len(rows), len(column)), np.float32)
        for row, names in zip(gold, rows, strict=True):
            row[[column[name] for name in names]] = 1.0
        return gold

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Binary cross-entropy in nats, the mean over labels, float32 [B]."""
        return binary_cross_entropy(logits, batch["active"])

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """Return the loss that training minimises, float32 [B]; dev is evaluated with `loss`."""
        if settings.focal_gamma is not None:
            return binary_focal(logits, batch["active"], settings.focal_gamma)
        return binary_cross_entropy(logits, batch["active"], settings.label_smoothing)

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return the divergence of two outputs for the same texts, float32 [B]."""
        return symmetric_binary_divergence(logits, other)

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """Raise ValueError: texts have not one label to weigh them by; configuration refuses it."""
        raise ValueError("texts with several labels have no balanced weight")

    @property
    def choices(self) -> Sequence[str]:
        """The range of the thresholds."""
        if self.thresholds is None:
            return ()
        low, high = min(self.thresholds), max(self.thresholds)
        return [f"labels are active from scores of {low:.3f} to {high:.3f} on, by label"]

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> Multilabel:
        """Choose the thresholds that are best on these examples."""
        if not np.isfinite(logits).all():
            return self
        scores = self.decode(tf.constant(self.pooled(labelled, logits)))["scores"].numpy()
        best = tune_thresholds(scores, self.example_targets(labelled)["active"] > 0.5)
        return dataclasses.replace(self, thresholds=keep_clear(best, scores).tolist())

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode logits [B, K] to scores float32 [B, K] and active bool [B, K]."""
        scores = tf.sigmoid(tf.cast(logits, tf.float32))
        return {"scores": scores, "active": scores >= tf.constant(self._thresholds)}

    def evaluate(self, labelled: EncodedDataset, logits: np.ndarray) -> MultilabelEvaluation:
        """Evaluate the logits, float32 [N, K], of labelled examples."""
        targets, pooled = self.example_targets(labelled), tf.constant(self.pooled(labelled, logits))
        found = self.decode(pooled)
        loss = tf.reduce_mean(self.loss(pooled, targets))
        return MultilabelEvaluation(
            texts=labelled.examples.joined(),
            label_names=self.label_names,
            gold=targets["active"] > 0.5,
            scores=found["scores"].numpy(),
            active=found["active"].numpy(),
            loss=float(loss),
        )

    def judge(self, examples: Examples, outputs: Outputs) -> MultilabelEvaluation:
        """Evaluate served answers to labelled examples."""
        gold, scores = self.gold(examples) > 0.5, outputs["scores"]
        right = np.where(gold, scores, 1.0 - scores)
        return MultilabelEvaluation(
            texts=examples.joined(),
            label_names=self.label_names,
            gold=gold,
            scores=scores,
            active=outputs["active"],
            loss=float(-np.log(np.maximum(right, np.finfo(np.float32).tiny)).mean()),
        )

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """Return float [N]: how many labels of each text are wrongly active or inactive."""
        gold, active = self.gold(examples) > 0.5, outputs.get("active")
        if active is None or active.shape != gold.shape:
            raise ValueError(f"it does not answer which of {gold.shape[1]} labels apply")
        return (active != gold).sum(axis=1).astype(float)

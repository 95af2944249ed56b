"""The task `regress`: a number for each text, or pair of texts."""

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
from tfpipe.tasks.losses import LossSettings
from tfpipe.tasks.regress.evaluation import RegressEvaluation
from tfpipe.tasks.regress.labels import Numbers
from tfpipe.tasks.sequence import SequenceTask
from tfpipe.tasks.task import Batch, Outputs


@dataclass(frozen=True)
class Regress(Numbers, SequenceTask):
    """Least squares on standardised labels; served values are in the data file's own unit.

    Attributes:
        mean: Of the training labels.
        deviation: Standard deviation of the training labels.
        long_text: How texts over the maximum length are read, see tasks.long_text.
    """

    mean: float = 0.0
    deviation: float = 1.0
    long_text: str = "head"

    target: ClassVar[str] = "value"
    label_names: ClassVar[Sequence[str]] = ("value",)

    @property
    def unit(self) -> float:
        """The standard deviation of the training labels."""
        return self.deviation

    @classmethod
    def from_labels(cls, labels: Sequence[float], config: TrainConfig | None = None) -> Regress:
        """Build the task with mean and standard deviation of these numbers."""
        values = np.array(labels, float)
        # All equal happens to a cut of few rows only; any unit will do then.
        long_text = config.long_text if config else "head"
        return cls(float(values.mean()), float(values.std()) or 1.0, long_text)

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> Regress:
        """Restore the task of a model's folder, with mean and deviation of its training labels."""
        return cls(**{name: value for name, value in settings.items() if name != "task"})

    @property
    def head(self) -> Head:
        """One column."""
        return Head("sequence", "regression", {"task": self.name, **dataclasses.asdict(self)})

    def gold(self, examples: Examples) -> np.ndarray:
        """Return the numbers in the file's unit, float32 [N]."""
        return np.array(parsed_labels(examples, type(self)), np.float32)

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Squared error in squared deviations of the training labels, float32 [B]."""
        target = (tf.cast(batch["value"], tf.float32) - self.mean) / self.deviation
        return tf.square(tf.cast(logits, tf.float32)[:, 0] - target)

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """Return `loss`; the configuration refuses other losses."""
        return self.loss(logits, batch)

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return the squared difference of two outputs for the same texts, float32 [B]."""
        return tf.square(tf.cast(logits - other, tf.float32)[:, 0])

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """Raise ValueError: numbers are not classes; the configuration refuses it."""
        raise ValueError("numbers have no balanced weights")

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> Regress:
        """Return the task itself: nothing is chosen on dev."""
        return self

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode logits [B, 1] to value float32 [B], in the file's unit."""
        return {"value": tf.cast(logits, tf.float32)[:, 0] * self.deviation + self.mean}

    def evaluate(self, labelled: EncodedDataset, logits: np.ndarray) -> RegressEvaluation:
        """Evaluate the logits, float32 [N, 1], of labelled examples."""
        targets, pooled = self.example_targets(labelled), tf.constant(self.pooled(labelled, logits))
        value = self.decode(pooled)["value"].numpy()
        loss = tf.reduce_mean(self.loss(pooled, targets))
        gold = targets["value"]
        return RegressEvaluation(labelled.examples.joined(), gold, value, float(loss))

    def judge(self, examples: Examples, outputs: Outputs) -> RegressEvaluation:
        """Evaluate served answers to labelled examples."""
        gold, value = self.gold(examples), outputs["value"]
        loss = float((((value - gold) / self.deviation) ** 2).mean())
        return RegressEvaluation(examples.joined(), gold, value, loss)

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """Return float [N]: the distance of each value from the label."""
        if "value" not in outputs:
            raise ValueError(f"it gives {', '.join(outputs)} and no value")
        return np.abs(outputs["value"].astype(float) - self.gold(examples))

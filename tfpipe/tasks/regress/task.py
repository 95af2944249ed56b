"""The task `regress`: a number for each text, or pair of texts."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.label_values import choices_of, dump
from tfpipe.data.labels import parsed_labels
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.values import show_few
from tfpipe.errors import UserError
from tfpipe.model.head import Head
from tfpipe.tasks.losses import LossSettings
from tfpipe.tasks.regress.evaluation import RegressEvaluation
from tfpipe.tasks.sequence import SequenceTask
from tfpipe.tasks.task import Batch, LabelSummary, Outputs


@dataclass(frozen=True)
class Regress(SequenceTask):
    """Least squares on standardised labels; served values are in the data file's own unit.

    Attributes:
        mean: Of the training labels.
        deviation: Standard deviation of the training labels.
        long_text: How texts over the maximum length are read, see tasks.long_text.
    """

    mean: float = 0.0
    deviation: float = 1.0
    long_text: str = "head"

    name: ClassVar[str] = "regress"
    target: ClassVar[str] = "value"
    optional_label: ClassVar[bool] = False
    label_names: ClassVar[Sequence[str]] = ("value",)

    @property
    def unit(self) -> float:
        """The standard deviation of the training labels."""
        return self.deviation

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[float]:
        """Parse the labels as finite numbers; raise UserError for others."""
        labels = examples.labels or []
        numbers = [_as_number(label) for label in labels]
        wrong = [row for row, number in enumerate(numbers, 1) if number is None]
        if wrong:
            raise UserError(
                f"{len(wrong)} of {len(labels)} labels are not numbers",
                f"{examples.path}, rows {show_few(wrong)}: {labels[wrong[0] - 1]!r}",
                "write them as 3.5 or 1e3, without unit or thousands separator, or use another"
                " --task",
            )
        return [number for number in numbers if number is not None]

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Refuse labels that are not numbers, and of train, labels that do not differ."""
        numbers, labels = parsed_labels(examples, cls), examples.labels or ()
        if to_learn and len(set(numbers)) == 1:
            raise UserError(
                "all labels are the same number, so there is nothing to learn",
                f"{labels[0]!r} in all {len(labels)} rows of {examples.path}",
                "check the label column, or add examples with other values",
            )

    @classmethod
    def describe_labels(cls, parts: Sequence[Examples]) -> LabelSummary:
        """Return the range and the mean of the numbers."""
        numbers = [number for part in parts for number in parsed_labels(part, cls)]
        value = {"least": min(numbers), "most": max(numbers), "mean": sum(numbers) / len(numbers)}
        ends = f"from {value['least']:g} to {value['most']:g}"
        return LabelSummary(
            "labels", f"The labels lie {ends}, {value['mean']:g} on average.", value
        )

    @classmethod
    def strip_label(cls, label: str) -> str:
        """Remove blanks around the number."""
        return strip_blanks(label)

    @classmethod
    def write_label(cls, value: list[Any] | dict[str, Any], remarks: Counter[str]) -> str:
        """Return the one number in `[3.5]` or Label Studio's `{"rating": 4}`."""
        names = choices_of(value) or ()
        return names[0] if len(names) == 1 else dump(value)

    @classmethod
    def names_in(cls, label: float) -> Sequence[str]:
        """Return none: a number is not a name."""
        return ()

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
        """Raise ValueError: a number is not a distribution; the configuration refuses it."""
        raise ValueError("numbers have no divergence")

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


def _as_number(label: str) -> float | None:
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in label else None

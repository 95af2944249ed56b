"""Evaluation of multi-label classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tfpipe.stats.bootstrap import Interval
from tfpipe.stats.label_scores import LabelScores
from tfpipe.stats.metric_intervals import count_intervals, label_set_intervals
from tfpipe.tasks.calibration.temperature import reliability
from tfpipe.tasks.evaluation import (
    MOST_MISTAKES,
    ExampleMetric,
    Mistake,
    TaskEvaluation,
    plain_rows,
)
from tfpipe.tasks.sections import Calibration, Mistakes


@dataclass(frozen=True)
class MultilabelEvaluation(TaskEvaluation):
    """Scores of N texts for K labels, and which of them are active.

    Attributes:
        texts: The N texts.
        label_names: The K names in column order.
        gold: bool [N, K].
        scores: float32 [N, K], probabilities.
        active: bool [N, K].
        loss: Mean binary cross-entropy in nats.
    """

    texts: Sequence[str]
    label_names: Sequence[str]
    gold: np.ndarray
    scores: np.ndarray
    active: np.ndarray
    loss: float

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """What serving_default answers to the texts."""
        return {"scores": self.scores, "active": self.active}

    @cached_property
    def certainty(self) -> np.ndarray:
        """The probability of the decision about each label, float32 [N, K]."""
        return np.where(self.active, self.scores, 1.0 - self.scores)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics of metrics.json; macro F1 is averaged over the labels that occur."""
        return {
            "micro_f1": self._label_scores.micro_f1,
            "macro_f1": self._label_scores.macro_f1,
            "exact_match": float((self.gold == self.active).all(axis=1).mean()),
            "loss": self.loss,
            "examples": len(self.gold),
        }

    @cached_property
    def _label_scores(self) -> LabelScores:
        gold, active = self.gold.astype(bool), self.active.astype(bool)
        return LabelScores((gold & active).sum(axis=0), active.sum(axis=0), gold.sum(axis=0))

    @cached_property
    def per_class(self) -> list[dict[str, float | str]]:
        """Precision, recall, F1 and support (gold rows) of every label, in column order."""
        return self._label_scores.rows(self.label_names)

    def mistakes(self, most: int) -> list[Mistake]:
        """List the texts with the most confident wrong decision about a label, worst first."""
        surest = np.where(self.active != self.gold, self.certainty, -1.0).max(axis=1)
        wrong = np.flatnonzero(surest >= 0)
        wrong = wrong[np.argsort(-surest[wrong], kind="stable")][:most]
        return [
            Mistake(
                self.texts[i],
                self._names(self.gold[i]),
                self._names(self.active[i]),
                float(surest[i]),
            )
            for i in wrong.tolist()
        ]

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield text, gold labels, predicted labels, and the lowest probability of a decision."""
        least = self.certainty.min(axis=1)
        for text, gold, active, score in zip(
            self.texts, self.gold, self.active, least, strict=True
        ):
            yield text, self._names(gold), self._names(active), float(score)

    def _names(self, columns: np.ndarray) -> str:
        return "|".join(self.label_names[column] for column in np.flatnonzero(columns).tolist())

    # ---- what a report shows
    def example_metric(self) -> ExampleMetric:
        """Exact match."""
        exact = (self.gold == self.active).all(axis=1)
        return ExampleMetric("exact_match", exact.astype(float))

    def intervals(self) -> dict[str, Interval]:
        """Intervals of micro F1, macro F1 and exact match."""
        return label_set_intervals(self.gold, self.active)

    def class_intervals(self) -> Sequence[Interval | None]:
        """The interval of each label's F1."""
        gold, active = self.gold.T.astype(int), self.active.T.astype(int)
        counts = zip(gold & active, active, gold, strict=True)
        return [count_intervals(*of_label).get("f1") for of_label in counts]

    def calibration(self, settings: Mapping[str, Any] | None = None) -> Calibration:
        """Compare the scores of all labels with the share of gold labels."""
        return Calibration(reliability(self.scores.ravel(), self.gold.ravel()))

    def mistakes_section(self) -> Mistakes:
        """Return the texts with the most confident wrong decisions."""
        wrong = int((self.gold != self.active).any(axis=1).sum())
        return Mistakes(plain_rows(self.mistakes(MOST_MISTAKES)), wrong, "decisions")

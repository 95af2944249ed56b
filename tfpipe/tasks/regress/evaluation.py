"""Evaluation of regression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import rankdata

from tfpipe.stats.bootstrap import Interval
from tfpipe.stats.metric_intervals import regression_intervals
from tfpipe.tasks.evaluation import (
    MOST_MISTAKES,
    ExampleMetric,
    Mistake,
    TaskEvaluation,
    plain_rows,
)
from tfpipe.tasks.sections import Mistakes, Scatter


@dataclass(frozen=True)
class RegressEvaluation(TaskEvaluation):
    """Predicted values of N texts.

    Attributes:
        texts: The N texts.
        gold: float32 [N], in the data file's unit.
        value: float32 [N], in the data file's unit.
        loss: Mean squared error in squared deviations of the training labels.
    """

    texts: Sequence[str]
    gold: np.ndarray
    value: np.ndarray
    loss: float

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """What serving_default answers to the texts."""
        return {"value": self.value}

    @cached_property
    def error(self) -> np.ndarray:
        """Absolute error of each value, float64 [N]."""
        return np.abs(self.value.astype(float) - self.gold.astype(float))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics of metrics.json; correlations of constant values are NaN."""
        return {
            "pearson": correlate(self.gold, self.value),
            # Spearman's is Pearson's of the ranks, equal values sharing their mean rank.
            "spearman": correlate(rankdata(self.gold), rankdata(self.value)),
            "mae": float(self.error.mean()),
            "rmse": float(np.sqrt((self.error**2).mean())),
            "loss": self.loss,
            "examples": len(self.gold),
        }

    def mistakes(self, most: int) -> list[Mistake]:
        """List the answers with the largest errors, largest first; score: the error."""
        furthest = np.argsort(-self.error, kind="stable")[:most]
        rows = [*self.rows()]
        return [Mistake(*rows[i]) for i in furthest.tolist()]

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield text, gold number, predicted number, and the absolute error."""
        columns = (self.texts, self.gold, self.value, self.error)
        for text, gold, value, error in zip(*columns, strict=True):
            yield text, f"{gold:.6g}", f"{value:.6g}", float(error)

    # ---- what a report shows
    def example_metric(self) -> ExampleMetric:
        """Mean absolute error."""
        return ExampleMetric("mae", self.error, rising=False)

    def intervals(self) -> dict[str, Interval]:
        """Intervals of the correlations and errors."""
        return regression_intervals(self.gold, self.value)

    def scatter(self) -> Scatter:
        """Gold and predicted values."""
        return Scatter(self.gold, self.value)

    def mistakes_section(self) -> Mistakes:
        """Return the values with the largest errors."""
        return Mistakes(plain_rows(self.mistakes(MOST_MISTAKES)), None, "furthest")


def correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Compute Pearson's correlation of two arrays [N]; NaN where one is constant."""
    a, b = (values.astype(float) - values.astype(float).mean() for values in (one, other))
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip(a @ b / spread, -1.0, 1.0)) if spread > 0 else float("nan")

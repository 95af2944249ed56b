"""Precision, recall and F1 of labels from counts, equal to scikit-learn's.

scikit-learn takes a second of computing to import, which every command would spend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfpipe.stats.weighted_metrics import ratio


@dataclass(frozen=True)
class LabelScores:
    """Scores of K labels; 0 where nothing is to be divided.

    Attributes:
        right: int [K], examples whose gold and predicted labels both include the label.
        predicted: int [K], examples with the label predicted.
        gold: int [K], examples with the gold label.
    """

    right: np.ndarray
    predicted: np.ndarray
    gold: np.ndarray

    @classmethod
    def of_confusion(cls, confusion: np.ndarray) -> LabelScores:
        """Count in a confusion matrix, int [K, K]: rows gold, columns predicted."""
        return cls(np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1))

    @cached_property
    def f1(self) -> np.ndarray:
        """F1 of each label, float64 [K]."""
        return ratio(2 * self.right, self.gold + self.predicted)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the labels that occur, gold or predicted; 0 where none does."""
        occur = (self.gold + self.predicted) > 0
        return float(self.f1[occur].mean()) if occur.any() else 0.0

    @property
    def weighted_f1(self) -> float:
        """Mean F1 weighted by gold examples; 0 of no examples."""
        return float(np.average(self.f1, weights=self.gold)) if self.gold.any() else 0.0

    @property
    def micro_f1(self) -> float:
        """F1 of all labels' counts together."""
        return float(ratio(2 * self.right.sum(), self.gold.sum() + self.predicted.sum()))

    def rows(self, label_names: Sequence[str]) -> list[dict[str, float | str]]:
        """Return precision, recall, F1 and support (gold examples) of every label, in order."""
        columns = (ratio(self.right, self.predicted), ratio(self.right, self.gold), self.f1)
        return [
            {"label": name, "precision": p, "recall": r, "f1": f, "support": int(s)}
            for name, p, r, f, s in zip(label_names, *columns, self.gold, strict=True)
        ]

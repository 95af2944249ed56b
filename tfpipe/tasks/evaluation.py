"""What a classifier said about labelled texts, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support


@dataclass(frozen=True)
class Mistake:
    """One text whose predicted label is not its gold label."""

    text: str
    gold: str
    predicted: str
    score: float


@dataclass(frozen=True)
class Evaluation:
    """Scores of N labelled texts over K labels.

    texts: the N texts (pairs joined by " | "), label_names: the K names in column order,
    gold: int [N] indices into them, scores: float32 [N, K] probabilities, loss: mean
    cross-entropy in nats.
    """

    texts: Sequence[str]
    label_names: Sequence[str]
    gold: np.ndarray
    scores: np.ndarray
    loss: float

    @cached_property
    def predicted(self) -> np.ndarray:
        """int [N]: the column of the highest score."""
        return self.scores.argmax(axis=1)

    @cached_property
    def score(self) -> np.ndarray:
        """float32 [N]: the highest score of each text."""
        return self.scores.max(axis=1)

    @cached_property
    def confusion(self) -> np.ndarray:
        """int [K, K]: rows gold, columns predicted."""
        return confusion_matrix(self.gold, self.predicted, labels=range(len(self.label_names)))

    @cached_property
    def figures(self) -> dict[str, float]:
        """The figures of metrics.json; F1 is averaged over the labels that occur."""
        return {
            "accuracy": float((self.gold == self.predicted).mean()),
            "macro_f1": self._f1("macro"),
            "weighted_f1": self._f1("weighted"),
            "loss": self.loss,
            "examples": len(self.gold),
        }

    def _f1(self, average: str) -> float:
        scores = precision_recall_fscore_support(
            self.gold, self.predicted, average=average, zero_division=0
        )
        return float(scores[2])

    @cached_property
    def per_class(self) -> list[dict[str, float | str]]:
        """Precision, recall, F1 and support (gold rows) of every label, in column order."""
        columns = precision_recall_fscore_support(
            self.gold, self.predicted, labels=range(len(self.label_names)), zero_division=0
        )
        return [
            {"label": name, "precision": p, "recall": r, "f1": f, "support": int(s)}
            for name, p, r, f, s in zip(self.label_names, *columns, strict=True)
        ]

    def mistakes(self, most: int) -> list[Mistake]:
        """The wrong answers that were given with the highest scores, most confident first."""
        wrong = np.flatnonzero(self.gold != self.predicted)
        wrong = wrong[np.argsort(-self.score[wrong], kind="stable")][:most]
        return [
            Mistake(
                self.texts[i],
                self.label_names[self.gold[i]],
                self.label_names[self.predicted[i]],
                float(self.score[i]),
            )
            for i in wrong.tolist()
        ]

"""What a classifier said about labelled texts, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tfpipe.tasks.scores.abstain import ABSTAIN, figures
from tfpipe.tasks.scores.risk_coverage import Answered


@dataclass(frozen=True)
class Mistake:
    """One text whose answer is not its gold; score: how sure it was, or how far it is off."""

    text: str
    gold: str
    predicted: str
    score: float


@dataclass(frozen=True)
class Evaluation:
    """Scores of N labelled texts over K labels.

    texts: the N texts (pairs joined by " | "), label_names: the K names in column order,
    gold: int [N] indices into them, scores: float32 [N, K] probabilities, loss: mean
    cross-entropy in nats, abstain_below: the score below which there is no answer, None where
    there always is one; outside: the column that says that no other label fits, None for none.

    Figures by label are those of the label with the highest score, held back or not.
    """

    texts: Sequence[str]
    label_names: Sequence[str]
    gold: np.ndarray
    scores: np.ndarray
    loss: float
    abstain_below: float | None = None
    outside: int | None = None

    @cached_property
    def answered(self) -> Answered:
        """The labels and scores, before any answer is held back."""
        return Answered(self.score, self.predicted, self.gold, self.outside)

    @cached_property
    def labels(self) -> np.ndarray:
        """str [N]: what is answered; `__abstain__` for no answer."""
        names = np.array([*self.label_names, ABSTAIN])
        if self.abstain_below is None:
            return names[self.predicted]
        given = self.score >= np.float32(self.abstain_below)
        if self.outside is not None:
            given &= self.predicted != self.outside
        return names[np.where(given, self.predicted, -1)]

    @cached_property
    def predicted(self) -> np.ndarray:
        """int [N]: the column of the highest score."""
        return self.scores.argmax(axis=1)

    @cached_property
    def score(self) -> np.ndarray:
        """float32 [N]: the highest score of each text."""
        return self.scores.max(axis=1)

    @cached_property
    def majority(self) -> int:
        """The column of the label that most of the texts have, the first of equals."""
        return int(np.bincount(self.gold, minlength=len(self.label_names)).argmax())

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
            **self._abstention(),
        }

    def _abstention(self) -> dict[str, float]:
        if self.abstain_below is None:
            return {}
        found = figures(self.answered, self.abstain_below)
        named = {
            "coverage": found.coverage,
            "selective_accuracy": found.selective_accuracy,
            "in_scope_accuracy": found.in_scope_accuracy,
            "out_of_scope_recall": found.out_of_scope_recall,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """What serving_default answers to the texts."""
        return {"label": self.labels, "score": self.score, "scores": self.scores}

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Text, gold label, what is answered, and its score."""
        columns = (self.texts, self.gold, self.labels.tolist(), self.score)
        for text, gold, predicted, score in zip(*columns, strict=True):
            yield text, self.label_names[gold], predicted, float(score)

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

"""Figures of rankings on labelled questions, and the weight and floor that are chosen by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tfpipe.retrieval.questions import Questions
from tfpipe.retrieval.reference import Asked, Reference
from tfpipe.stats.cross_fitting import folds
from tfpipe.tasks.calibration.abstention_target import AbstentionTarget
from tfpipe.tasks.calibration.risk_coverage import Answered
from tfpipe.tasks.calibration.selective import (
    SelectiveMetrics,
    choose_threshold,
    held_out_metrics,
)

# The best for recall@1 and MRR@10 on squad_v1's dev questions, with the starter's own vectors and
# with trained ones.
DEFAULT_WEIGHT = 0.4
WEIGHTS = np.round(np.arange(0, 1.025, 0.05), 2)
MRR_AT = 10
# Questions whose scores of all entries are held at once.
MOST_SCORES = 2**22


@dataclass(frozen=True)
class Ranks:
    """Ranks of the right entry of Q questions by W weights.

    Attributes:
        weights: float [W].
        ranks: int [W, Q], from 1.
    """

    weights: np.ndarray
    ranks: np.ndarray

    def at(self, weight: float) -> np.ndarray:
        """Return the ranks by the weight that is nearest."""
        return np.asarray(self.ranks[np.abs(self.weights - weight).argmin()])

    def best(self, rows: np.ndarray | slice = slice(None)) -> float:
        """Return the weight with the best MRR@10 on some questions; of equal ones the middle."""
        mrr = reciprocal(self.ranks[:, rows]).mean(axis=1)
        best = np.flatnonzero(mrr >= mrr.max() - 1e-12)
        return float(self.weights[best[len(best) // 2]])

    def held_out(self) -> np.ndarray:
        """Return the rank of each question by the weight that other questions choose."""
        found = np.zeros(self.ranks.shape[1], int)
        for fit, rest in folds(len(found)):
            found[rest] = self.at(self.best(fit))[rest]
        return found


def reciprocal(ranks: np.ndarray) -> np.ndarray:
    """Return 1 / rank, 0 beyond the tenth."""
    return np.where(ranks <= MRR_AT, 1.0 / ranks, 0.0)


def figures(ranks: np.ndarray) -> dict[str, float]:
    """Return recall_at_1, recall_at_5 and mrr_at_10 of the ranks of the right entries, int [Q]."""
    return {
        "recall_at_1": float((ranks <= 1).mean()),
        "recall_at_5": float((ranks <= 5).mean()),
        "mrr_at_10": float(reciprocal(ranks).mean()),
    }


def rank_answered(
    reference: Reference, asked: Asked, questions: Questions, weights: Sequence[float]
) -> Ranks:
    """Rank the right entry of each question that has one, by each weight.

    Among entries of one score, earlier ones rank first, as in the graph.
    """
    gold = questions.gold[questions.answered]
    ranks = np.zeros((len(weights), len(gold)), int)
    for rows, part in _parts(reference, asked):
        answered = questions.answered[rows]
        right = questions.gold[rows][answered][:, np.newaxis]
        place = slice(*np.cumsum([questions.answered[: rows.start].sum(), answered.sum()]))
        dense = reference.dense(part)[answered] if part.vectors is not None else 0.0
        lexical = reference.lexical(part)[answered] if part.tokens is not None else 0.0
        for number, weight in enumerate(weights):
            scores = np.asarray(weight * dense + (1 - weight) * lexical)
            own = np.take_along_axis(scores, right, axis=1)
            earlier = np.arange(scores.shape[1]) < right
            ranks[number, place] = 1 + ((scores > own) | (scores == own) & earlier).sum(axis=1)
    return Ranks(np.asarray(weights), ranks)


def answer_first(
    reference: Reference, asked: Asked, questions: Questions, weight: float
) -> Answered:
    """Return the first entry of each question with its score, for the choice of a floor."""
    scores, first = [], []
    for _, part in _parts(reference, asked):
        found = reference.scores(part, weight)
        first.append(found.argmax(axis=1))
        scores.append(found.max(axis=1))
    # A score of 0 is no answer, whatever entry it is of.
    score, predicted = np.concatenate(scores), np.concatenate(first)
    predicted = np.where(score > 0, predicted, -1)
    return Answered(score.astype(np.float32), predicted, questions.gold, outside=-1)


def choose_floor(answered: Answered) -> tuple[float, SelectiveMetrics]:
    """Choose the floor with the best mean of questions rightly answered and rightly not answered.

    Returns:
        The floor, and its metrics, estimated on questions that it was not chosen on.
    """
    floor = choose_threshold(answered, AbstentionTarget(outside=""))
    return floor, held_out_metrics(answered)


def _parts(reference: Reference, asked: Asked) -> Iterator[tuple[slice, Asked]]:
    size = max(1, MOST_SCORES // reference.entries)
    for start in range(0, len(asked.blank), size):
        rows = slice(start, min(start + size, len(asked.blank)))
        yield rows, asked.part(rows)

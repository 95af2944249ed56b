"""Paired predictions: the answers of two models to the same examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfpipe.stats.bootstrap import Statistics
from tfpipe.stats.mcnemar import Agreement, count_agreement
from tfpipe.tasks.evaluation import TaskEvaluation


@dataclass(frozen=True)
class Side:
    """One model's answers to N examples.

    Attributes:
        statistics: The metrics of resampled groups.
        answers: As predictions.tsv writes them.
        score: float [N], of each answer.
        quality: float [N], of each answer.
        right: bool [N], whether an answer is wholly right.
        by_label: label, recall, f1 and support of each label, empty without labels.
    """

    statistics: Statistics
    answers: Sequence[str]
    score: Sequence[float] | np.ndarray
    quality: np.ndarray
    right: np.ndarray
    by_label: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Pair:
    """Two models' answers to the same N examples, in M groups of examples with equal metrics.

    Attributes:
        sizes: int [M], examples in each group.
        gold: As predictions.tsv writes it.
        a: The first model.
        b: The second model.
        quality: What the `quality` of an answer is.
        graded: Whether wrong answers differ in quality.
        notes: What the reader must know to understand the metrics.
    """

    sizes: np.ndarray
    gold: Sequence[str]
    a: Side
    b: Side
    agreement: Agreement
    quality: str
    graded: bool = True
    notes: Sequence[str] = ()


def side_of(
    of: TaskEvaluation,
    statistics: Statistics,
    quality: np.ndarray,
    right: np.ndarray,
    by_label: Any = (),
) -> Side:
    """Build a side whose answers are written as predictions.tsv does."""
    _, _, answers, score = zip(*of.rows(), strict=True)
    return Side(statistics, answers, score, quality, right, by_label)


def pair_of(sizes: np.ndarray, of: TaskEvaluation, a: Side, b: Side, quality: str) -> Pair:
    """Build a pair with graded answers: the better one of two is the right one."""
    agreement = count_agreement(
        a.right | (a.quality > b.quality), b.right | (b.quality > a.quality)
    )
    return Pair(sizes, [row[1] for row in of.rows()], a, b, agreement, quality)

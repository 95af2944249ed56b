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

    statistics: the metrics of resampled groups; said: each answer as predictions.tsv writes it;
    score: float [N], each answer's; quality: float [N], how good it is; right: bool [N], whether it
    is wholly right; by_label: label, recall, f1 and support of each label, empty without labels.
    """

    statistics: Statistics
    said: Sequence[str]
    score: Sequence[float] | np.ndarray
    quality: np.ndarray
    right: np.ndarray
    by_label: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Pair:
    """Two models' answers to the same N examples, in M groups that no figure tells apart.

    sizes: int [M], examples in each group; gold: as predictions.tsv writes it; quality: what that
    of the answers is; graded: whether wrong answers can be more or less so; notes: what the reader
    must know of the figures.
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
    """A side whose answers are written as predictions.tsv does."""
    _, _, said, score = zip(*of.rows(), strict=True)
    return Side(statistics, said, score, quality, right, by_label)


def pair_of(sizes: np.ndarray, of: TaskEvaluation, a: Side, b: Side, quality: str) -> Pair:
    """A pair whose wrong answers can be more or less so: the better one of two is the right one."""
    agreement = count_agreement(
        a.right | (a.quality > b.quality), b.right | (b.quality > a.quality)
    )
    return Pair(sizes, [row[1] for row in of.rows()], a, b, agreement, quality)

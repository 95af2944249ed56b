"""Exact search of vectors: the place of the right entries of a pool for each question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Numbers of a block of scores.
BLOCK = 4_000_000
DEPTH = 10


@dataclass(frozen=True)
class Ranking:
    """Where N questions find their right entries in a pool.

    Attributes:
        place: int [N], that of the first right entry, from 1; 0 where none is right.
        gain: float [N], normalised discounted cumulative gain of the first 10 entries.
        first: int [N], the entry with the highest score.
        score: float [N], its score.
    """

    place: np.ndarray
    gain: np.ndarray
    first: np.ndarray
    score: np.ndarray


def rank(
    questions: np.ndarray,
    pool: np.ndarray,
    compare: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Ranking:
    """Rank a pool by its cosines with each question; a wrong entry of equal score comes first.

    Source of the gain: Järvelin and Kekäläinen 2002, with gains of 1 for right entries.

    Args:
        questions: float32 [N, H], vectors at length 1.
        pool: float32 [P, H], likewise.
        compare: From questions int [n] to the entries that are right and those that do not count,
            bool [n, P] each.
    """
    found: list[tuple[np.ndarray, ...]] = []
    size = max(1, BLOCK // max(1, len(pool)))
    for start in range(0, len(questions), size):
        rows = np.arange(start, min(start + size, len(questions)))
        right, left_out = compare(rows)
        scores = np.where(left_out, -np.inf, questions[rows] @ pool.T)
        best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
        before = ((scores >= best) & ~right).sum(axis=1)
        place = np.where(right.any(axis=1), before + 1, 0)
        first = scores.argmax(axis=1)
        found.append((place, _gain(scores, right), first, scores[np.arange(len(rows)), first]))
    if not found:
        return Ranking(*[np.zeros(0, int)] * 4)
    return Ranking(*map(np.concatenate, zip(*found, strict=True)))


def _gain(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    depth = min(DEPTH, scores.shape[1])
    discounts = 1 / np.log2(np.arange(2, depth + 2))
    top = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1, kind="stable")
    hits = np.take_along_axis(right, np.take_along_axis(top, order, 1), 1)
    ideal = np.cumsum(discounts)[np.clip(right.sum(axis=1), 1, depth) - 1]
    gain: np.ndarray = (hits * discounts).sum(axis=1) / ideal
    return gain

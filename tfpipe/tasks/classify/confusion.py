"""The pairs of labels that are confused most often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ConfusedPair:
    """Texts of one gold label that were predicted as one other label.

    Attributes:
        gold: The column of the gold label.
        predicted: The column of the predicted one.
        count: Such texts.
        support: All texts of the gold label.
    """

    gold: int
    predicted: int
    count: int
    support: int


def errors_of(confusion: np.ndarray) -> np.ndarray:
    """Return the confusion matrix int [K, K] without its diagonal."""
    return confusion * (1 - np.eye(len(confusion), dtype=np.int64))


def worst_pairs(confusion: np.ndarray) -> list[ConfusedPair]:
    """List the confused pairs, most frequent first; of equal counts the larger share comes first.

    Args:
        confusion: int [K, K], rows gold.
    """
    errors, support = errors_of(confusion), confusion.sum(axis=1)
    pairs = [
        ConfusedPair(int(gold), int(other), int(errors[gold, other]), int(support[gold]))
        for gold, other in np.argwhere(errors)
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, pair.support))

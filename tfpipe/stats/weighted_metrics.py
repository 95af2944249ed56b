"""Metrics as functions of how often each group of equal examples was drawn (`Statistics`).

weights, everywhere: [R, M], how often each of M groups is in each of R resamples.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from tfpipe.stats.bootstrap import Statistics


def group_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows of [N, C], and the count of each."""
    return np.unique(rows, axis=0, return_counts=True)


def ratio(part: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Divide part by of; 0 where `of` is 0, as in scikit-learn and seqeval."""
    return np.divide(part, of, out=np.zeros(np.shape(part)), where=of > 0)


def means_of(**columns: np.ndarray) -> Statistics:
    """Return the means over examples of columns float [M]."""

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {name: weights @ values / weights.sum(axis=1) for name, values in columns.items()}

    return statistics


def ratios_of(**columns: tuple[np.ndarray, np.ndarray]) -> Statistics:
    """Return the ratios of one column's sum to another's, bool [M] each; NaN where that is 0."""

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore"):
            return {
                name: (weights @ part) / (weights @ of).astype(float)
                for name, (part, of) in columns.items()
            }

    return statistics


def joined(*parts: Statistics) -> Statistics:
    """Combine the statistics of all parts."""
    return lambda weights: {name: v for part in parts for name, v in part(weights).items()}


def label_metrics(gold: csr_array, predicted: csr_array, by_label: bool = False) -> Statistics:
    """Accuracy and F1 of sets of labels, as scikit-learn computes them.

    F1 is averaged over the labels that occur in a resample, gold or predicted. `exact_match` is
    the accuracy where every set has one label.

    Args:
        gold: float64 [K, M] of 0 and 1.
        predicted: The same.
        by_label: Add the F1 of each label, named by its column; NaN where it does not occur.
    """
    both = gold.multiply(predicted)
    exact = np.asarray((gold + predicted - 2 * both).sum(axis=0)).ravel() == 0

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        drawn = np.asarray(weights, np.float64).T
        support, right = gold @ drawn, both @ drawn
        occurring = support + predicted @ drawn
        f1 = ratio(2 * right, occurring)
        accuracy = exact @ drawn / drawn.sum(axis=0)
        found = {
            "exact_match": accuracy,
            "accuracy": accuracy,
            "micro_f1": ratio(2 * right.sum(axis=0), occurring.sum(axis=0)),
            "macro_f1": ratio(f1.sum(axis=0), (occurring > 0).sum(axis=0)),
            "weighted_f1": ratio((f1 * support).sum(axis=0), support.sum(axis=0)),
        }
        if by_label:
            each = np.where(occurring > 0, f1, np.nan)
            found |= {str(column): values for column, values in enumerate(each)}
        return found

    return statistics


def precision_recall_f1(counts: np.ndarray) -> Statistics:
    """Precision, recall and F1 of things counted in examples, such as entities.

    Args:
        counts: [M, 3], correct, predicted and gold ones of an example.
    """

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        right, predicted, gold = (np.asarray(weights, np.float64) @ counts).T
        return {
            "f1": ratio(2 * right, predicted + gold),
            "precision": ratio(right, predicted),
            "recall": ratio(right, gold),
        }

    return statistics


def regression_metrics(gold: np.ndarray, predicted: np.ndarray) -> Statistics:
    """Correlations and errors of values float [M]; NaN correlations where one is constant."""
    error = np.abs(predicted - gold)
    errors = means_of(mae=error, mse=error**2)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        drawn = np.asarray(weights, np.float64)
        plain = (np.broadcast_to(one, drawn.shape) for one in (gold, predicted))
        ranks = (midranks(one, drawn) for one in (gold, predicted))
        mean = errors(drawn)
        return {
            "pearson": weighted_pearson(drawn, *plain),
            "spearman": weighted_pearson(drawn, *ranks),
            "mae": mean["mae"],
            "rmse": np.sqrt(mean["mse"]),
        }

    return statistics


def weighted_pearson(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Pearson's correlations float [R] of x and y, [R, M] each."""
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((weights * x**2).sum(axis=1) * (weights * y**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights * x * y).sum(axis=1) / spread


def midranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the ranks [R, M] of values [M] in each resample, ties and repeats at their mean."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    begins = np.flatnonzero(np.diff(place[order], prepend=-1))
    counts = np.add.reduceat(weights[:, order], begins, axis=1)
    return (np.cumsum(counts, axis=1) - (counts - 1) / 2)[:, place]


def one_hot(columns: np.ndarray, labels: int) -> csr_array:
    """Return float64 [K, M] with a one at each group's label, of columns int [M]."""
    places = (columns, np.arange(len(columns)))
    return csr_array((np.ones(len(columns)), places), shape=(labels, len(columns)))

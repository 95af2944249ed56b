"""Figures as functions of how often each group of like examples was drawn.

counts, everywhere: [R, M], how often each of M groups is in each of R drawings of N examples.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from tfpipe.comparing.bootstrap import Figures
from tfpipe.report.intervals import correlation, middle_ranks


def group(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of [N, C], and how often each of them is there."""
    return np.unique(rows, axis=0, return_counts=True)


def share(part: np.ndarray, of: np.ndarray) -> np.ndarray:
    """part / of; 0 where there is nothing, as scikit-learn and seqeval have it."""
    return np.divide(part, of, out=np.zeros(np.shape(part)), where=of > 0)


def means_of(**columns: np.ndarray) -> Figures:
    """The mean over examples of columns float [M]."""

    def figures(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {name: counts @ values / counts.sum(axis=1) for name, values in columns.items()}

    return figures


def ratios_of(**columns: tuple[np.ndarray, np.ndarray]) -> Figures:
    """The share of one column's sum in another's, bool [M] each; NaN of none."""

    def figures(counts: np.ndarray) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore"):
            return {
                name: (counts @ part) / (counts @ of).astype(float)
                for name, (part, of) in columns.items()
            }

    return figures


def joined(*parts: Figures) -> Figures:
    """The figures of all parts."""
    return lambda counts: {name: v for part in parts for name, v in part(counts).items()}


def label_figures(gold: csr_array, predicted: csr_array) -> Figures:
    """Of sets of labels, float64 [K, M] of 0 and 1.

    They are those of scikit-learn: F1 is averaged over the labels that occur in a drawing, as a
    gold label or as an answer. `exact_match` is the accuracy where every set has one label.
    """
    both = gold.multiply(predicted)
    exact = np.asarray((gold + predicted - 2 * both).sum(axis=0)).ravel() == 0

    def figures(counts: np.ndarray) -> dict[str, np.ndarray]:
        drawn = np.asarray(counts, np.float64).T
        support, right = gold @ drawn, both @ drawn
        answered = support + predicted @ drawn
        f1 = share(2 * right, answered)
        return {
            "exact_match": exact @ drawn / drawn.sum(axis=0),
            "accuracy": exact @ drawn / drawn.sum(axis=0),
            "micro_f1": share(2 * right.sum(axis=0), answered.sum(axis=0)),
            "macro_f1": share(f1.sum(axis=0), (answered > 0).sum(axis=0)),
            "weighted_f1": share((f1 * support).sum(axis=0), support.sum(axis=0)),
        }

    return figures


def entity_figures(found: np.ndarray) -> Figures:
    """Over the entities of all texts; found: int [M, 3], right, predicted and gold ones."""

    def figures(counts: np.ndarray) -> dict[str, np.ndarray]:
        right, predicted, gold = (np.asarray(counts, np.float64) @ found).T
        return {
            "f1": share(2 * right, predicted + gold),
            "precision": share(right, predicted),
            "recall": share(right, gold),
        }

    return figures


def number_figures(gold: np.ndarray, value: np.ndarray) -> Figures:
    """Of values float [M] that are to be gold; NaN correlations where one does not vary."""
    error = np.abs(value - gold)
    errors = means_of(mae=error, mse=error**2)

    def figures(counts: np.ndarray) -> dict[str, np.ndarray]:
        drawn = np.asarray(counts, np.float64)
        plain = (np.broadcast_to(one, drawn.shape) for one in (gold, value))
        ranks = (middle_ranks(one, drawn) for one in (gold, value))
        mean = errors(drawn)
        return {
            "pearson": correlation(drawn, *plain),
            "spearman": correlation(drawn, *ranks),
            "mae": mean["mae"],
            "rmse": np.sqrt(mean["mse"]),
        }

    return figures


def one_label(columns: np.ndarray, labels: int) -> csr_array:
    """float64 [K, M]: one at the label of each group, int [M]."""
    places = (columns, np.arange(len(columns)))
    return csr_array((np.ones(len(columns)), places), shape=(labels, len(columns)))

"""Bootstrap intervals of each task's metrics."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from tfpipe.stats.bootstrap import Interval, bootstrap
from tfpipe.stats.weighted_metrics import (
    group_rows,
    label_metrics,
    means_of,
    one_hot,
    precision_recall_f1,
    regression_metrics,
)


def interval_of_mean(values: np.ndarray, seed: int = 1) -> Interval:
    """Compute the interval of the mean of values [N]; raises ValueError for none."""
    if not len(values):
        raise ValueError("a mean of nothing has no interval")
    values = np.asarray(values, np.float64)
    # Correct or not are two values: drawn as two groups, a million examples cost nothing.
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) <= len(values) // 2:
        return bootstrap(means_of(mean=levels), len(levels), counts, seed)["mean"]
    return bootstrap(means_of(mean=values), len(values), seed=seed)["mean"]


def class_intervals(
    confusion: np.ndarray, seed: int = 1
) -> tuple[dict[str, Interval], list[Interval | None]]:
    """Compute the intervals of accuracy, macro_f1 and weighted_f1, and of each label's F1.

    Args:
        confusion: int [K, K], rows gold.
        seed: Of the resampling.

    Returns:
        The intervals by name, and K of the labels; None for a label that occurs in no resample.
    """
    gold, predicted = np.nonzero(confusion)
    labels = len(confusion)
    metrics = label_metrics(one_hot(gold, labels), one_hot(predicted, labels), by_label=True)
    found = bootstrap(metrics, len(gold), confusion[gold, predicted], seed)
    overall: dict[str, Interval] = {
        name: found[name] for name in ("accuracy", "macro_f1", "weighted_f1") if name in found
    }
    return overall, [found.get(str(column)) for column in range(labels)]


def count_intervals(
    right: np.ndarray, predicted: np.ndarray, gold: np.ndarray, seed: int = 1
) -> dict[str, Interval]:
    """Compute the intervals of precision, recall and f1 over things counted in examples.

    Args:
        right: [N], things of an example, such as entities, that are correct.
        predicted: [N], those that are predicted.
        gold: [N], those that are to be found.
        seed: Of the resampling.
    """
    rows, counts = group_rows(np.stack([right, predicted, gold], axis=1).astype(np.float64))
    return bootstrap(precision_recall_f1(rows), len(rows), counts, seed)


def label_set_intervals(gold: np.ndarray, active: np.ndarray, seed: int = 1) -> dict[str, Interval]:
    """Compute the intervals of micro_f1, macro_f1 and exact_match of label sets bool [N, K]."""
    metrics = label_metrics(*(csr_array(one.T, dtype=float) for one in (gold, active)))
    found = bootstrap(metrics, len(gold), seed=seed)
    return {name: found[name] for name in ("micro_f1", "macro_f1", "exact_match") if name in found}


def regression_intervals(
    gold: np.ndarray, predicted: np.ndarray, seed: int = 1
) -> dict[str, Interval]:
    """Compute the intervals of pearson, spearman, mae and rmse of values float [N] each."""
    values = (np.asarray(one, np.float64) for one in (gold, predicted))
    return bootstrap(regression_metrics(*values), len(gold), seed=seed)

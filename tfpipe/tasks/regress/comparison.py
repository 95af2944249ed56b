"""Two models' numbers for the same examples."""

from __future__ import annotations

import numpy as np

from tfpipe.stats.weighted_metrics import regression_metrics
from tfpipe.tasks.paired import Pair, Side, pair_of
from tfpipe.tasks.regress.evaluation import RegressEvaluation

# Two computations of one model's numbers differ by less, in standard deviations of the gold ones.
SAME_NUMBER = 1e-4


def compare(a: RegressEvaluation, b: RegressEvaluation) -> Pair:
    """Compare pearson, spearman, mae and rmse."""
    gold = np.asarray(a.gold, np.float64)
    values = [np.asarray(one.value, np.float64) for one in (a, b)]
    same = np.abs(values[1] - values[0]) <= SAME_NUMBER * gold.std()
    values[1] = np.where(same, values[0], values[1])

    def side(which: int) -> Side:
        error = np.abs(values[which] - gold)
        answers = [f"{value:.6g}" for value in values[which].tolist()]
        return Side(
            regression_metrics(gold, values[which]), answers, error.tolist(), -error, error == 0
        )

    quality = "distance from the gold number, below zero"
    return pair_of(np.ones(len(gold), np.int64), a, side(0), side(1), quality)

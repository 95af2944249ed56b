"""Two models' answers to the same questions."""

from __future__ import annotations

import numpy as np

from tfpipe.stats.weighted_metrics import group_rows, means_of
from tfpipe.tasks.paired import Pair, Side, pair_of, side_of
from tfpipe.tasks.qa.evaluation import QAEvaluation


def compare(a: QAEvaluation, b: QAEvaluation) -> Pair:
    """Compare f1 and exact_match."""
    groups, sizes = group_rows(np.stack([a.exact, a.f1, b.exact, b.f1], axis=1))

    def side(of: QAEvaluation, exact: np.ndarray, f1: np.ndarray) -> Side:
        return side_of(of, means_of(f1=f1, exact_match=exact), of.f1, of.exact == 1)

    sides = side(a, *groups.T[:2]), side(b, *groups.T[2:])
    return pair_of(sizes, a, *sides, "F1 of the answer")

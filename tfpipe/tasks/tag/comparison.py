"""Two taggers' entities in the same texts."""

from __future__ import annotations

import numpy as np

from tfpipe.stats.weighted_metrics import group_rows, precision_recall_f1, ratio
from tfpipe.tasks.paired import Pair, Side, pair_of, side_of
from tfpipe.tasks.tag.evaluation import TagEvaluation


def compare(a: TagEvaluation, b: TagEvaluation) -> Pair:
    """Compare f1, precision and recall over the entities of all texts."""
    groups, sizes = group_rows(np.concatenate([a.counts, b.counts], axis=1))

    def side(of: TagEvaluation, columns: np.ndarray) -> Side:
        right, found, gold = of.counts.T
        # A text without entities, in which none was found, has nothing wrong.
        f1 = np.where(found + gold == 0, 1.0, ratio(2.0 * right, found + gold))
        return side_of(of, precision_recall_f1(columns), f1, f1 == 1, of.per_class)

    sides = side(a, groups[:, :3]), side(b, groups[:, 3:])
    return pair_of(sizes, a, *sides, "F1 of the text's entities")

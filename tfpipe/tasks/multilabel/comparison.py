"""Two models' label sets for the same examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from tfpipe.stats.weighted_metrics import group_rows, label_metrics
from tfpipe.tasks.multilabel.evaluation import MultilabelEvaluation
from tfpipe.tasks.paired import Pair, Side, pair_of, side_of


def compare(a: MultilabelEvaluation, b: MultilabelEvaluation) -> Pair:
    """Compare micro_f1, macro_f1 and exact_match."""
    names = sorted({*a.label_names, *b.label_names})
    gold = _in_table(a.gold, a.label_names, names)
    answers = [_in_table(one.active, one.label_names, names) for one in (a, b)]
    groups, sizes = group_rows(np.concatenate([gold, *answers], axis=1))
    indicators = [csr_array(part.T, dtype=float) for part in np.split(groups, 3, axis=1)]

    def side(which: int, of: MultilabelEvaluation) -> Side:
        metrics = label_metrics(indicators[0], indicators[1 + which])
        quality = (answers[which] == gold).mean(axis=1)
        return side_of(of, metrics, quality, quality == 1, of.per_class)

    return pair_of(sizes, a, side(0, a), side(1, b), "share of the labels that are right")


def _in_table(values: np.ndarray, names: Sequence[str], table: Sequence[str]) -> np.ndarray:
    """Columns of bool [N, K] by name in another table, False where it has more."""
    column = {name: i for i, name in enumerate(names)}
    padded = np.concatenate([values, np.zeros((len(values), 1), bool)], axis=1)
    return padded[:, [column.get(name, -1) for name in table]]

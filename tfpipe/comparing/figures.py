"""What each task's evaluations of the same examples say against each other.

To add a task: a function from two evaluations to `Pair`, and its line in `PAIRS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from tfpipe.comparing.sides import Pair, Side
from tfpipe.stats.bootstrap import Statistics
from tfpipe.stats.mcnemar import count_agreement
from tfpipe.stats.weighted_metrics import (
    group_rows,
    joined,
    label_metrics,
    means_of,
    one_hot,
    precision_recall_f1,
    ratio,
    ratios_of,
    regression_metrics,
)
from tfpipe.tasks.scores.abstain import ABSTAIN

# The figures of what is served, beside those of FIGURES, where a model holds answers back.
HELD_BACK = dict.fromkeys(
    ("coverage", "selective_accuracy", "in_scope_accuracy", "out_of_scope_recall"), "max"
)
# Two computations of one model's numbers differ by less, in standard deviations of the gold ones.
SAME_NUMBER = 1e-4


def compare_classify(a: Any, b: Any) -> Pair:
    """accuracy, macro_f1 and weighted_f1 of what `tasks.evaluation.Evaluation` holds.

    They are those of the labels with the highest scores; the answers are those that are served.
    Where one of the models holds answers back there are the figures of that, too, and answering the
    label of texts that no other label fits is holding back. The label tables may differ.
    """
    holds_back = a.abstain_below is not None or b.abstain_below is not None
    outside = [
        one.label_names[one.outside]
        for one in (a, b)
        if one.abstain_below is not None and one.outside is not None
    ]
    gold = np.array(a.label_names)[a.gold]
    best = [np.array(one.label_names)[one.predicted] for one in (a, b)]
    said = [np.where(np.isin(one.labels, outside), ABSTAIN, one.labels) for one in (a, b)]

    names, columns = np.unique(np.concatenate([gold, *best, *said]), return_inverse=True)
    groups, sizes = group_rows(columns.reshape(5, len(gold)).T)
    indicators = [one_hot(column, len(names)) for column in groups.T]
    is_outside = np.isin(names[groups[:, 0]], outside)

    def side(which: int, of: Any) -> Side:
        figures = label_metrics(indicators[0], indicators[1 + which])
        if holds_back:
            drawn_gold, drawn_said = names[groups[:, 0]], names[groups[:, 3 + which]]
            figures = joined(figures, _held_back(drawn_gold, drawn_said, is_outside))
        right = (said[which] == gold) | ((said[which] == ABSTAIN) & np.isin(gold, outside))
        quality = of.scores[np.arange(len(gold)), of.gold]
        return Side(figures, said[which].tolist(), of.score, quality, right, of.per_class)

    told = "accuracy, F1 and the exact test look at the label with the highest score, held back or"
    return Pair(
        sizes,
        gold.tolist(),
        side(0, a),
        side(1, b),
        count_agreement(best[0] == gold, best[1] == gold),
        "score of the gold label",
        graded=False,
        notes=[f"{told} not; the changes are those of the answers"] if holds_back else [],
    )


def _held_back(gold: np.ndarray, said: np.ndarray, outside: np.ndarray) -> Statistics:
    """The figures of `tasks.abstain.Figures` of answers str [M]; outside: bool [M]."""
    given, right = said != ABSTAIN, said == gold
    figures = {"coverage": (given, np.ones(len(gold), bool)), "selective_accuracy": (right, given)}
    if outside.any() and not outside.all():
        figures["in_scope_accuracy"] = (right & ~outside, ~outside)
        figures["out_of_scope_recall"] = (outside & ~given, outside)
    return ratios_of(**figures)


def compare_multilabel(a: Any, b: Any) -> Pair:
    """micro_f1, macro_f1 and exact_match of what `MultilabelEvaluation` holds."""
    names = sorted({*a.label_names, *b.label_names})
    gold = _in_table(a.gold, a.label_names, names)
    said = [_in_table(one.active, one.label_names, names) for one in (a, b)]
    groups, sizes = group_rows(np.concatenate([gold, *said], axis=1))
    indicators = [csr_array(part.T, dtype=float) for part in np.split(groups, 3, axis=1)]

    def side(which: int, of: Any) -> Side:
        figures = label_metrics(indicators[0], indicators[1 + which])
        quality = (said[which] == gold).mean(axis=1)
        return _side(of, figures, quality, quality == 1, of.per_class)

    return _pair(sizes, a, side(0, a), side(1, b), "share of the labels that are right")


def compare_regress(a: Any, b: Any) -> Pair:
    """pearson, spearman, mae and rmse of what `RegressEvaluation` holds."""
    gold = np.asarray(a.gold, np.float64)
    values = [np.asarray(one.value, np.float64) for one in (a, b)]
    same = np.abs(values[1] - values[0]) <= SAME_NUMBER * gold.std()
    values[1] = np.where(same, values[0], values[1])

    def side(which: int) -> Side:
        error = np.abs(values[which] - gold)
        said = [f"{value:.6g}" for value in values[which].tolist()]
        return Side(
            regression_metrics(gold, values[which]), said, error.tolist(), -error, error == 0
        )

    quality = "distance from the gold number, below zero"
    return _pair(np.ones(len(gold), np.int64), a, side(0), side(1), quality)


def compare_tag(a: Any, b: Any) -> Pair:
    """f1, precision and recall, over the entities of all texts, of what `TagEvaluation` holds."""
    groups, sizes = group_rows(np.concatenate([a.counts, b.counts], axis=1))

    def side(of: Any, columns: np.ndarray) -> Side:
        right, found, gold = of.counts.T
        # A text without entities, in which none was found, has nothing wrong.
        f1 = np.where(found + gold == 0, 1.0, ratio(2.0 * right, found + gold))
        return _side(of, precision_recall_f1(columns), f1, f1 == 1, of.per_class)

    sides = side(a, groups[:, :3]), side(b, groups[:, 3:])
    return _pair(sizes, a, *sides, "F1 of the text's entities")


def compare_qa(a: Any, b: Any) -> Pair:
    """f1 and exact_match of what `QAEvaluation` holds."""
    groups, sizes = group_rows(np.stack([a.exact, a.f1, b.exact, b.f1], axis=1))

    def side(of: Any, exact: np.ndarray, f1: np.ndarray) -> Side:
        return _side(of, means_of(f1=f1, exact_match=exact), of.f1, of.exact == 1)

    sides = side(a, *groups.T[:2]), side(b, *groups.T[2:])
    return _pair(sizes, a, *sides, "F1 of the answer")


def _side(
    of: Any, figures: Statistics, quality: np.ndarray, right: np.ndarray, by_label: Any = ()
) -> Side:
    """A side whose answers are written as predictions.tsv does."""
    _, _, said, score = zip(*of.rows(), strict=True)
    return Side(figures, said, score, quality, right, by_label)


def _pair(sizes: np.ndarray, of: Any, a: Side, b: Side, quality: str) -> Pair:
    """A pair whose wrong answers can be more or less so: the better one of two is the right one."""
    agreement = count_agreement(
        a.right | (a.quality > b.quality), b.right | (b.quality > a.quality)
    )
    return Pair(sizes, [row[1] for row in of.rows()], a, b, agreement, quality)


def _in_table(values: np.ndarray, names: Sequence[str], table: Sequence[str]) -> np.ndarray:
    """Columns of bool [N, K] by name in another table, False where it has more."""
    column = {name: i for i, name in enumerate(names)}
    padded = np.concatenate([values, np.zeros((len(values), 1), bool)], axis=1)
    return padded[:, [column.get(name, -1) for name in table]]


PAIRS: dict[str, Callable[[Any, Any], Pair]] = {
    "classify": compare_classify,
    "multilabel": compare_multilabel,
    "regress": compare_regress,
    "tag": compare_tag,
    "qa": compare_qa,
}

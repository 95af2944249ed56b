"""Two classifiers' answers to the same examples."""

from __future__ import annotations

import numpy as np

from tfpipe.stats.bootstrap import Statistics
from tfpipe.stats.mcnemar import count_agreement
from tfpipe.stats.weighted_metrics import group_rows, joined, label_metrics, one_hot, ratios_of
from tfpipe.tasks.calibration.abstention_target import ABSTAIN
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation
from tfpipe.tasks.paired import Pair, Side


def compare(a: ClassificationEvaluation, b: ClassificationEvaluation) -> Pair:
    """Compare accuracy, macro_f1 and weighted_f1, and what was answered.

    Metrics are those of the labels with the highest scores; the answers are those that are served.
    Where one of the models abstains there are the metrics of that, too, and answering the label of
    texts that no other label fits is abstaining. The label tables may differ.
    """
    holds_back = a.abstain_below is not None or b.abstain_below is not None
    outside = [
        one.label_names[one.outside]
        for one in (a, b)
        if one.abstain_below is not None and one.outside is not None
    ]
    gold = np.array(a.label_names)[a.gold]
    best = [np.array(one.label_names)[one.predicted] for one in (a, b)]
    answers = [np.where(np.isin(one.labels, outside), ABSTAIN, one.labels) for one in (a, b)]

    names, columns = np.unique(np.concatenate([gold, *best, *answers]), return_inverse=True)
    groups, sizes = group_rows(columns.reshape(5, len(gold)).T)
    indicators = [one_hot(column, len(names)) for column in groups.T]
    is_outside = np.isin(names[groups[:, 0]], outside)

    def side(which: int, of: ClassificationEvaluation) -> Side:
        metrics = label_metrics(indicators[0], indicators[1 + which])
        if holds_back:
            drawn_gold, drawn_answers = names[groups[:, 0]], names[groups[:, 3 + which]]
            metrics = joined(metrics, _held_back(drawn_gold, drawn_answers, is_outside))
        right = (answers[which] == gold) | ((answers[which] == ABSTAIN) & np.isin(gold, outside))
        quality = of.scores[np.arange(len(gold)), of.gold]
        return Side(metrics, answers[which].tolist(), of.score, quality, right, of.per_class)

    note = "accuracy, F1 and the exact test look at the label with the highest score, held back or"
    return Pair(
        sizes,
        gold.tolist(),
        side(0, a),
        side(1, b),
        count_agreement(best[0] == gold, best[1] == gold),
        "score of the gold label",
        graded=False,
        notes=[f"{note} not; the changes are those of the answers"] if holds_back else [],
    )


def _held_back(gold: np.ndarray, answers: np.ndarray, outside: np.ndarray) -> Statistics:
    """Compute the metrics of abstention, from str [M]; outside: bool [M]."""
    given, right = answers != ABSTAIN, answers == gold
    metrics = {"coverage": (given, np.ones(len(gold), bool)), "selective_accuracy": (right, given)}
    if outside.any() and not outside.all():
        metrics["in_scope_accuracy"] = (right & ~outside, ~outside)
        metrics["out_of_scope_recall"] = (outside & ~given, outside)
    return ratios_of(**metrics)

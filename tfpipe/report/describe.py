"""From what a model said about dev to the sections of the report, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfpipe.report.intervals import (
    Interval,
    class_intervals,
    correlation_intervals,
    count_intervals,
    interval_of_mean,
    label_set_intervals,
)
from tfpipe.report.mistakes_section import describe_mistakes
from tfpipe.report.plots import worst_pairs
from tfpipe.report.scores_section import describe_abstention, describe_calibration
from tfpipe.report.sections import (
    Baseline,
    ClassRow,
    Confusion,
    Figures,
    PairRow,
    Scatter,
    Suspects,
)
from tfpipe.report.suspects import find_suspects
from tfpipe.tasks.answering.evaluation import QAEvaluation
from tfpipe.tasks.evaluation import Evaluation
from tfpipe.tasks.multilabel_evaluation import MultilabelEvaluation
from tfpipe.tasks.regress_evaluation import RegressEvaluation
from tfpipe.tasks.tagging.evaluation import TagEvaluation
from tfpipe.tasks.task import TaskEvaluation

MOST_PAIRS = 20
MOST_SUSPECTS = 20


@dataclass(frozen=True)
class Goodness:
    """What slices and overlaps look at: values float [N] whose mean is the figure; rising: whether
    higher is better."""

    figure: str
    values: np.ndarray
    rising: bool = True


def goodness_of(evaluation: TaskEvaluation) -> Goodness | None:
    """One value an example; None for a task whose examples have none."""
    if isinstance(evaluation, Evaluation):
        return Goodness("accuracy", (evaluation.gold == evaluation.predicted).astype(float))
    if isinstance(evaluation, MultilabelEvaluation):
        exact = (evaluation.gold == evaluation.active).all(axis=1)
        return Goodness("exact_match", exact.astype(float))
    if isinstance(evaluation, RegressEvaluation):
        return Goodness("mae", evaluation.error, rising=False)
    if isinstance(evaluation, QAEvaluation):
        return Goodness("f1", np.asarray(evaluation.f1, float))
    if isinstance(evaluation, TagEvaluation):
        right, given, wanted = evaluation.counts.T
        return Goodness("exact_match", ((right == given) & (right == wanted)).astype(float))
    return None


def figures_of(evaluation: TaskEvaluation) -> Figures:
    """The evaluation's figures with their intervals, what a model is judged by first."""
    last = ("loss", "examples")
    found = sorted(evaluation.figures.items(), key=lambda figure: figure[0] in last)
    return Figures(dict(found), _intervals(evaluation))


def _intervals(evaluation: TaskEvaluation) -> dict[str, Interval]:
    if isinstance(evaluation, Evaluation):
        found, _ = class_intervals(evaluation.confusion)
        own = evaluation.scores[np.arange(len(evaluation.gold)), evaluation.gold]
        # The smallest float keeps a score that was rounded to 0 from costing without end.
        costs = -np.log(np.maximum(own.astype(float), np.finfo(np.float32).tiny))
        return {**found, **_abstention_intervals(evaluation), "loss": interval_of_mean(costs)}
    if isinstance(evaluation, MultilabelEvaluation):
        return label_set_intervals(evaluation.gold, evaluation.active)
    if isinstance(evaluation, RegressEvaluation):
        return correlation_intervals(evaluation.gold, evaluation.value)
    if isinstance(evaluation, QAEvaluation):
        return _answer_intervals(evaluation)
    if isinstance(evaluation, TagEvaluation):
        return count_intervals(*evaluation.counts.T)
    return {}


def _abstention_intervals(evaluation: Evaluation) -> dict[str, Interval]:
    if evaluation.abstain_below is None:
        return {}
    said = evaluation.answered
    given = said.score >= np.float32(evaluation.abstain_below)
    inside, outside = ~said.is_outside, said.is_outside
    means = {
        "coverage": given,
        "selective_accuracy": said.right[given],
        "in_scope_accuracy": (given & said.right)[inside],
        "out_of_scope_recall": (~given | said.says_outside)[outside],
    }
    return {name: interval_of_mean(values) for name, values in means.items() if len(values)}


def _answer_intervals(evaluation: QAEvaluation) -> dict[str, Interval]:
    answerable = np.array([any(several) for several in evaluation.gold])
    means = {
        "exact_match": evaluation.exact,
        "f1": evaluation.f1,
        "no_answer_accuracy": evaluation.exact[~answerable],
        "answerable_exact_match": evaluation.exact[answerable],
        "answerable_f1": evaluation.f1[answerable],
    }
    return {
        name: interval_of_mean(values)
        for name, values in means.items()
        if name in evaluation.figures
    }


def sections_of(
    evaluation: TaskEvaluation,
    test: TaskEvaluation | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The fields of Report that the evaluation of dev fills.

    settings: what the task has chosen on dev and keeps with the model: `temperature` (classify),
    by which the logits of the scores at hand were divided; `thresholds` (multilabel).
    """
    settings = settings or {}
    shared = {
        "mistakes": describe_mistakes(evaluation),
        "calibration": describe_calibration(evaluation, settings),
    }
    if isinstance(evaluation, Evaluation):
        return shared | {
            "baseline": _majority(evaluation),
            "label_count": len(evaluation.label_names),
            "classes": describe_classes(evaluation, test),
            "confusion": describe_confusion(evaluation),
            "abstention": describe_abstention(evaluation, test),
            "suspects": _suspects(evaluation),
        }
    if isinstance(evaluation, (MultilabelEvaluation, TagEvaluation)):
        classes = describe_classes(evaluation, test, settings.get("thresholds"))
        return shared | {"label_count": len(classes), "classes": classes}
    if isinstance(evaluation, RegressEvaluation):
        return shared | {"scatter": Scatter(evaluation.gold, evaluation.value)}
    return shared


def describe_confusion(evaluation: Evaluation) -> Confusion:
    """The matrix and its worst pairs, each with the text mixed up with the highest score."""
    rows = []
    for pair in worst_pairs(evaluation, MOST_PAIRS):
        both = (evaluation.gold == pair.gold) & (evaluation.predicted == pair.predicted)
        surest = int(np.argmax(np.where(both, evaluation.score, -1)))
        rows.append(
            PairRow(
                evaluation.label_names[pair.gold],
                evaluation.label_names[pair.predicted],
                pair.count,
                pair.count / pair.support,
                evaluation.texts[surest],
            )
        )
    return Confusion(evaluation.label_names, evaluation.confusion, rows)


def _majority(evaluation: Evaluation) -> Baseline:
    share = float((evaluation.gold == evaluation.majority).mean()) if len(evaluation.gold) else 0.0
    return Baseline(evaluation.label_names[evaluation.majority], "accuracy", share)


def _suspects(evaluation: Evaluation) -> Suspects:
    return find_suspects(
        *(evaluation.texts, evaluation.label_names, evaluation.gold, evaluation.scores),
        MOST_SUSPECTS,
    )


def describe_classes(
    evaluation: Evaluation | MultilabelEvaluation | TagEvaluation,
    test: TaskEvaluation | None,
    thresholds: Sequence[float] | None = None,
    with_intervals: bool = True,
) -> list[ClassRow]:
    """Labels from the worst F1 to the best, those without any text last."""
    table = evaluation.per_class
    intervals = _intervals_by_label(evaluation) if with_intervals else [None] * len(table)
    taken_for: dict[int, tuple[str, int]] = {}
    if isinstance(evaluation, Evaluation):
        # Pairs come worst first, so that the first one of a gold label is its worst.
        for pair in worst_pairs(evaluation, most=len(evaluation.gold)):
            name = evaluation.label_names[pair.predicted]
            taken_for.setdefault(pair.gold, (name, pair.count))
    known = (Evaluation, MultilabelEvaluation, TagEvaluation)
    of_test = test.per_class if isinstance(test, known) else []
    test_f1 = {row["label"]: float(row["f1"]) for row in of_test if row["support"]}
    rows = [
        ClassRow(
            str(row["label"]),
            float(row["precision"]),
            float(row["recall"]),
            float(row["f1"]),
            int(row["support"]),
            intervals[column],
            test_f1.get(row["label"]),
            taken_for.get(column),
            None if thresholds is None else float(thresholds[column]),
        )
        for column, row in enumerate(table)
    ]
    return sorted(rows, key=lambda row: (row.support == 0, row.f1, -row.support))


def _intervals_by_label(
    evaluation: Evaluation | MultilabelEvaluation | TagEvaluation,
) -> Sequence[Interval | None]:
    """Those of each label's F1, in the order of `per_class`."""
    if isinstance(evaluation, Evaluation):
        return class_intervals(evaluation.confusion)[1]
    if isinstance(evaluation, MultilabelEvaluation):
        gold, active = evaluation.gold.T.astype(int), evaluation.active.T.astype(int)
        counts = zip(gold & active, active, gold, strict=True)
        return [count_intervals(*of_label).get("f1") for of_label in counts]
    kinds = [str(row["label"]) for row in evaluation.per_class]
    return [count_intervals(*_only(evaluation, kind).counts.T).get("f1") for kind in kinds]


def _only(evaluation: TagEvaluation, kind: str) -> TagEvaluation:
    """The evaluation of one type's entities."""
    entity = evaluation.outputs["entity"]
    kept = np.where(entity == kind, entity, "")
    gold = [[span for span in spans if span.type == kind] for spans in evaluation.gold]
    return replace(evaluation, gold=gold, outputs={**evaluation.outputs, "entity": kept})

"""Whether scores are chances, and from which score on the model should answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from tfpipe.report.sections import Abstention, Calibration
from tfpipe.tasks.answering.evaluation import QAEvaluation
from tfpipe.tasks.evaluation import Evaluation
from tfpipe.tasks.multilabel_evaluation import MultilabelEvaluation
from tfpipe.tasks.scores.abstain import LEAST_OUTSIDE, figures, held_out_figures
from tfpipe.tasks.scores.calibration import cross_fitted_scores, reliability
from tfpipe.tasks.scores.risk_coverage import risk_coverage
from tfpipe.tasks.tagging.evaluation import TagEvaluation
from tfpipe.tasks.tagging.words import trim_span
from tfpipe.tasks.task import TaskEvaluation

MOST_CURVE_POINTS = 500


def describe_calibration(
    evaluation: TaskEvaluation, settings: Mapping[str, Any] | None = None
) -> Calibration | None:
    """How far scores are chances; None for a task whose answers have none.

    settings: `temperature`, by which the logits of a classifier's scores were divided.
    """
    if isinstance(evaluation, Evaluation):
        return _of_labels(evaluation, (settings or {}).get("temperature", 1.0))
    if isinstance(evaluation, MultilabelEvaluation):
        return Calibration(reliability(evaluation.scores.ravel(), evaluation.gold.ravel()))
    if isinstance(evaluation, QAEvaluation):
        return Calibration(reliability(evaluation.outputs["score"], evaluation.exact == 1))
    if isinstance(evaluation, TagEvaluation):
        scores, right = [], []
        for text, gold, found in zip(
            evaluation.texts, evaluation.gold, evaluation.predicted, strict=True
        ):
            cores = {trim_span(span, text) for span in gold}
            scores += [score for _, score in found]
            right += [trim_span(span, text) in cores for span, _ in found]
        return Calibration(reliability(np.array(scores), np.array(right, bool)))
    return None


def _of_labels(evaluation: Evaluation, temperature: float) -> Calibration:
    """Also how far scores were chances before the temperature.

    Each score is looked at with a temperature fitted on other texts: on those that it was fitted
    on, a temperature looks better than it is.
    """
    right = evaluation.gold == evaluation.predicted
    if temperature == 1.0:
        return Calibration(reliability(evaluation.score, right))
    # softmax(logits / T) is known, so that its logarithm times T differs from the logits by a
    # constant of the row.
    logits = np.log(np.maximum(evaluation.scores.astype(float), np.finfo(float).tiny)) * temperature
    scores = cross_fitted_scores(logits, evaluation.gold)
    raw = reliability(softmax(logits, axis=1).max(axis=1), right)
    return Calibration(reliability(scores.max(axis=1), right), temperature, raw.error)


def describe_abstention(
    evaluation: Evaluation, test: TaskEvaluation | None = None
) -> Abstention | None:
    """What holding answers with a low score back costs and brings; None where none is held back."""
    threshold, said = evaluation.abstain_below, evaluation.answered
    if threshold is None:
        return None
    curve = risk_coverage(said)
    shown = np.unique(np.linspace(0, len(curve.coverage) - 1, MOST_CURVE_POINTS).astype(int))
    enough = LEAST_OUTSIDE <= said.is_outside.sum() < len(said.gold)
    return Abstention(
        curve.coverage[shown],
        curve.risk[shown],
        threshold,
        figures(said, threshold),
        None if evaluation.outside is None else evaluation.label_names[evaluation.outside],
        held_out_figures(said) if enough else None,
        figures(test.answered, threshold) if isinstance(test, Evaluation) else None,
    )

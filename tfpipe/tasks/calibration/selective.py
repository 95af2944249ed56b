"""Selective classification: abstention below a threshold on the score, and its choice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.stats.cross_fitting import PARTS, folds
from tfpipe.stats.proportions import clopper_pearson_upper
from tfpipe.tasks.calibration.abstention_target import ABSTAIN, AbstentionTarget
from tfpipe.tasks.calibration.risk_coverage import Answered, sort_by_score
from tfpipe.tasks.calibration.thresholds import keep_clear

# So many that every part of a cross-fit holds one.
LEAST_OUTSIDE = PARTS


def abstain(label: tf.Tensor, score: tf.Tensor, threshold: float) -> tf.Tensor:
    """Replace labels, string [B], by `__abstain__` where score float32 [B] is below the threshold.

    A score that is NaN abstains, too. In the graph.
    """
    enough = score >= tf.constant(threshold, score.dtype)
    return tf.where(enough, label, tf.constant(ABSTAIN))


def choose_threshold(answered: Answered, target: AbstentionTarget) -> float:
    """Choose the best threshold on dev texts; raises UserError where they do not warrant one.

    It differs from all their scores, so that no rounding decides what is served.
    """
    if not np.isfinite(answered.score).all():
        raise UserError(
            "no threshold can be chosen by scores that are not finite numbers",
            f"{int((~np.isfinite(answered.score)).sum())} of {len(answered.score)} dev texts",
            "train again, with a lower --learning-rate",
        )
    if target.outside is None:
        threshold = threshold_for_risk(answered, target.risk)
    else:
        threshold = threshold_for_scope(answered)
    return float(keep_clear(np.array([threshold]), answered.score[:, None])[0])


@dataclass(frozen=True)
class SelectiveMetrics:
    """Metrics of labelled texts at a threshold; the last two are None without outside texts.

    Attributes:
        coverage: Share of texts with a label for an answer.
        selective_accuracy: Share of these that are right, NaN of none.
        in_scope_accuracy: Share of the texts that a label fits and that got it.
        out_of_scope_recall: Share of the others that were held back, or labelled as outside.
    """

    threshold: float
    coverage: float
    selective_accuracy: float
    in_scope_accuracy: float | None
    out_of_scope_recall: float | None


def selective_metrics(answered: Answered, threshold: float) -> SelectiveMetrics:
    """Compute the metrics of N texts where scores below the threshold are held back."""
    return _count(answered, _let_in(answered.score, threshold), threshold)


def _let_in(score: np.ndarray, threshold: float) -> np.ndarray:
    return np.asarray(score, np.float32) >= np.float32(threshold)


def _count(answered: Answered, given: np.ndarray, threshold: float) -> SelectiveMetrics:
    # The label for texts that no other label fits counts as no answer.
    given = given & ~answered.says_outside
    outside = answered.is_outside
    inside, recall = None, None
    if outside.any() and not outside.all():
        inside = float((given & answered.right)[~outside].mean())
        recall = float((~given)[outside].mean())
    accuracy = float(answered.right[given].mean()) if given.any() else math.nan
    return SelectiveMetrics(float(threshold), float(given.mean()), accuracy, inside, recall)


def threshold_for_risk(answered: Answered, risk: float, doubt: float = 0.05) -> float:
    """Find the threshold with the most answers of which, on new texts, at most `risk` are wrong.

    Each tried threshold must meet an exact upper bound at its part of `doubt`, not the observed
    share.
    Source: selection with guaranteed risk, Geifman and El-Yaniv 2017, algorithm 1
    (https://arxiv.org/abs/1705.08500).

    Args:
        answered: The answers to dev.
        risk: Share of wrong answers that is allowed.
        doubt: Probability that the share is exceeded after all.

    Raises:
        UserError: Dev warrants no threshold.
    """
    steps = sort_by_score(answered.score)
    ends = steps.ends
    wrong = np.cumsum(~answered.right[steps.order])[ends - 1]
    tries = max(1, math.ceil(math.log2(len(ends) + 1)))
    least, most, found = 0, len(ends) - 1, -1
    lowest = 1.0
    while least <= most:
        # Upwards, so that answering everything is among the tried where all goes well.
        middle = (least + most + 1) // 2
        bound = float(clopper_pearson_upper(wrong[middle], ends[middle], doubt / tries))
        lowest = min(lowest, bound)
        if bound <= risk:
            found, least = middle, middle + 1
        else:
            most = middle - 1
    if found < 0:
        raise UserError(
            f"no threshold keeps wrong answers to {risk:.2%}",
            f"with {ends[-1]} dev texts the best that can be promised is {lowest:.2%}",
            "allow a greater share of wrong answers, or give more dev texts",
        )
    return float(steps.threshold[found])


def threshold_for_scope(answered: Answered) -> float:
    """Find the threshold with the best mean of in-scope accuracy and out-of-scope recall.

    Both count alike, however few of dev's texts are outside. Of equally good ones it is that with
    the most answers. Raises UserError with fewer than 5 outside texts.
    """
    outside = answered.is_outside
    if outside.sum() < LEAST_OUTSIDE or outside.all():
        raise UserError(
            "dev has too few texts to choose a threshold for out-of-scope texts on",
            f"{int(outside.sum())} of {len(outside)} have the label {answered.outside!r}",
            f"add at least {LEAST_OUTSIDE} such texts to dev, mend the label's name, or give a "
            "target for the share of wrong answers",
        )
    return _best_balance(answered)


def _best_balance(answered: Answered) -> float:
    outside = answered.is_outside
    steps = sort_by_score(answered.score)
    kept = (answered.right & ~outside)[steps.order]
    let_in = (outside & ~answered.says_outside)[steps.order]
    accuracy = np.cumsum(kept)[steps.ends - 1] / (~outside).sum()
    missed = np.cumsum(let_in)[steps.ends - 1] / outside.sum()
    balance = (accuracy - missed)[::-1]
    return float(steps.threshold[::-1][np.argmax(balance)])


def held_out_metrics(answered: Answered, seed: int = 0) -> SelectiveMetrics:
    """Compute the metrics of N texts, each with the threshold that other texts give.

    An estimate for new texts: on the texts that it was chosen on a threshold is too good. The
    threshold returned is that of all texts. Raises UserError as `threshold_for_scope` does.
    """
    chosen = threshold_for_scope(answered)
    given = np.zeros(len(answered.score), bool)
    for fit, held_out in folds(len(given), answered.is_outside, seed):
        given[held_out] = _let_in(answered.score[held_out], _best_balance(answered.rows(fit)))
    return _count(answered, given, chosen)

"""Temperature scaling, fitted on dev, and reliability of scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from tfpipe.stats.cross_fitting import folds
from tfpipe.stats.proportions import wilson_interval

BINS = 15
# What holds the temperature in place is wrong answers, not texts: without one, the sharper the
# scores the better, without end. On logits drawn with a known temperature, fits on fewer than 5
# wrong answers made new texts worse on average, up to 3.6 nats; from 10 on they cost 0.01 at most.
LEAST_WRONG = 10
COOLEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class Temperature:
    """The number that logits are divided by before softmax; reason: why it was left at 1."""

    value: float
    reason: str | None = None


def fit_temperature(
    logits: np.ndarray, gold: np.ndarray, least_wrong: int = LEAST_WRONG
) -> Temperature:
    """Fit the temperature with the least mean cross-entropy of logits [N, K] and gold int [N].

    The cost is convex in 1 / temperature, so the one root of its slope is the optimum. It stays 1
    with fewer than `least_wrong` wrong answers, or where the optimum is not within 0.05 and 20.
    Source: Guo et al. 2017, section 4.2 (https://arxiv.org/abs/1706.04599).
    """
    logits = np.asarray(logits, np.float64)
    if not np.isfinite(logits).all():
        return Temperature(1.0, "the model's answers are not finite numbers")
    wrong = int((logits.argmax(axis=1) != gold).sum()) if len(logits) else 0
    if wrong < least_wrong:
        return Temperature(
            1.0, f"{wrong} wrong answers on dev are too few to fit on, {least_wrong} are needed"
        )
    margins = logits - np.take_along_axis(logits, np.asarray(gold)[:, None], axis=1)

    def slope(log_temperature: float) -> float:
        chances = softmax(margins * np.exp(-log_temperature), axis=1)
        return float((chances * margins).sum(axis=1).mean())

    coolest, hottest = np.log(COOLEST), np.log(HOTTEST)
    if slope(coolest) <= 0.0:
        return Temperature(1.0, f"the best temperature lies below {COOLEST:g}")
    if slope(hottest) >= 0.0:
        return Temperature(
            1.0, f"the best temperature lies above {HOTTEST:g}: the model is no better than chance"
        )
    return Temperature(float(np.exp(brentq(slope, coolest, hottest, xtol=1e-9))))


def cross_fitted_scores(logits: np.ndarray, gold: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return probabilities, float64 [N, K], each row's with the temperature fitted on other rows.

    For metrics of calibration: on the rows that a temperature was fitted on they are too good.
    """
    logits = np.asarray(logits, np.float64)
    scores = np.zeros_like(logits)
    # The fit that is kept has all the wrong answers; here some are always held back.
    least_wrong = LEAST_WRONG // 2
    for fit, held_out in folds(len(logits), seed=seed):
        temperature = fit_temperature(logits[fit], gold[fit], least_wrong)
        scores[held_out] = softmax(logits[held_out] / temperature.value, axis=1)
    return scores


@dataclass(frozen=True)
class Reliability:
    """Answers sorted into M bins by their confidence; NaN in bins without answers.

    Attributes:
        edges: float [M + 1], a bin is (edges[i], edges[i + 1]].
        counts: int [M].
        confidence: float [M], mean confidence of a bin's answers.
        accuracy: float [M], the share of them that are right.
        low: float [M], lower end of the 95 % Wilson interval of accuracy.
        high: float [M], its upper end.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @cached_property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over answers.

        NaN of no answers. Source: Guo et al. 2017, equation 3.
        """
        filled = self.counts > 0
        if not filled.any():
            return float("nan")
        gaps = np.abs(self.confidence[filled] - self.accuracy[filled])
        return float(np.average(gaps, weights=self.counts[filled]))


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Sort confidences float [N] with right bool [N] into `bins` bins of equal width.

    One answer a row: the highest score of a text, or every score of every label (multilabel).
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, bool)
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.digitize(confidence, edges[1:-1], right=True)
    counts = np.bincount(place, minlength=bins)
    hits = np.bincount(place[right], minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, confidence, minlength=bins) / counts
        accuracy = hits / counts
    ends = np.array([wilson_interval(h, n) for h, n in zip(hits, counts, strict=True)])
    return Reliability(edges, counts, mean, accuracy, ends[:, 0], ends[:, 1])

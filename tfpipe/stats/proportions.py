"""Confidence limits of proportions."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta, binomtest


def wilson_interval(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return both ends of Wilson's score interval of hits / trials; (nan, nan) of no trials.

    Source: Wilson 1927; kept over the normal interval, which has no width at 0 and at 1.
    """
    if not trials:
        return float("nan"), float("nan")
    ends = binomtest(int(hits), int(trials)).proportion_ci(confidence, "wilson")
    return float(ends.low), float(ends.high)


def clopper_pearson_upper(
    hits: int | np.ndarray, trials: int | np.ndarray, alpha: float
) -> np.ndarray:
    """Return the one-sided exact upper limit float64 of hits / trials; 1.0 of no trials.

    The true proportion exceeds it with a probability of `alpha` at most. Source: Clopper and
    Pearson 1934.
    """
    hits, trials = np.asarray(hits), np.asarray(trials)
    all_hits = hits >= trials
    missed = np.where(all_hits, 1, trials - hits)
    return np.where(all_hits, 1.0, beta.ppf(1.0 - alpha, hits + 1, missed))

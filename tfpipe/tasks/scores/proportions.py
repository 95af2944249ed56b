"""How sure a share is that was counted on few texts."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta, binomtest


def wilson(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Both ends of Wilson's score interval of hits / trials; (nan, nan) of no trials.

    Source: Wilson 1927; kept over the normal interval, which has no width at 0 and at 1.
    """
    if not trials:
        return float("nan"), float("nan")
    ends = binomtest(int(hits), int(trials)).proportion_ci(confidence, "wilson")
    return float(ends.low), float(ends.high)


def upper_bound(hits: int | np.ndarray, trials: int | np.ndarray, doubt: float) -> np.ndarray:
    """float64: what the true share exceeds with a chance of `doubt` at most; 1.0 of no trials.

    One-sided and exact, however few the trials. Source: Clopper and Pearson 1934.
    """
    hits, trials = np.asarray(hits), np.asarray(trials)
    all_wrong = hits >= trials
    missed = np.where(all_wrong, 1, trials - hits)
    return np.where(all_wrong, 1.0, beta.ppf(1.0 - doubt, hits + 1, missed))

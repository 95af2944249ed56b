"""Confidence limits of proportions."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, ndtri


def wilson_interval(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return both ends of Wilson's score interval of hits / trials; (nan, nan) of no trials.

    Source: Wilson 1927; kept over the normal interval, which has no width at 0 and at 1. Computed
    here, as the import of SciPy's statistics takes half a second.
    """
    if not trials:
        return float("nan"), float("nan")
    share, z = hits / trials, float(ndtri(0.5 + 0.5 * confidence))
    middle = (2 * hits + z**2) / (2 * (trials + z**2))
    spread = z * (z**2 + 4 * hits * (1 - share)) ** 0.5 / (2 * (trials + z**2))
    low = 0.0 if hits == 0 else middle - spread
    return float(low), float(1.0 if hits == trials else middle + spread)


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
    return np.where(all_hits, 1.0, betaincinv(hits + 1, missed, 1.0 - alpha))

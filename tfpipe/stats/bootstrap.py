"""The percentile bootstrap of one model's metrics, and of the difference between two models'.

N examples are drawn from the N given ones with replacement, many times, and the metrics of each
resample are computed. A resample is a row of weights: how often each group of equal examples was
drawn. Drawing groups by a multinomial is the same distribution as drawing examples, and costs
nothing for a million examples in a few groups.

Sources: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentile
interval); Koehn 2004 (https://aclanthology.org/W04-3250/), the paired test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

REPLICATES = 1000
CONFIDENCE = 0.95
# Draws of single examples: a million examples are drawn 300 times, not 1,000.
MOST_DRAWS = 300_000_000
# Numbers in memory at once.
CHUNK = 8_000_000

# From weights [R, M] to each statistic's values [R].
Statistics: TypeAlias = "Callable[[np.ndarray], Mapping[str, np.ndarray]]"


@dataclass(frozen=True)
class Interval:
    """The percentile interval of a statistic over `replicates` resamples."""

    low: float
    high: float
    replicates: int = REPLICATES


@dataclass(frozen=True)
class Difference:
    """A statistic of two models on the same examples, with the interval of its difference.

    Attributes:
        name: Of the statistic.
        a: The first model's value.
        b: The second model's value.
        low: Lower end of the percentile interval of b - a.
        high: Upper end.
        p_value: Two-sided, of no difference.
        drawings: Number of resamples.
        direction: `max` where higher is better, `min` where lower is.
    """

    name: str
    a: float
    b: float
    low: float
    high: float
    p_value: float
    drawings: int
    direction: str

    @property
    def value(self) -> float:
        """The difference b - a."""
        return self.b - self.a

    @property
    def better(self) -> str | None:
        """`A` or `B` where the interval excludes zero, else None."""
        if not (self.low > 0 or self.high < 0):
            return None
        return "B" if (self.low > 0) == (self.direction == "max") else "A"


def bootstrap(
    statistics: Statistics,
    groups: int,
    counts: np.ndarray | None = None,
    seed: int = 1,
    replicates: int = REPLICATES,
) -> dict[str, Interval]:
    """Compute the 95 % interval of each statistic.

    Args:
        statistics: Function of weights float64 [R, groups].
        groups: Number of groups of examples.
        counts: int [groups], examples in each group; None for one in each.
        seed: Of the resampling.
        replicates: Number of resamples; fewer of over 300,000 groups with one example each.

    Returns:
        Name to interval; statistics that are NaN in every resample are left out.
    """
    found = {}
    for name, values in resample(statistics, groups, counts, seed, replicates).items():
        low, high = percentile_interval(values, CONFIDENCE)
        if not np.isnan(low):
            found[name] = Interval(low, high, len(values))
    return found


def paired_bootstrap(
    sizes: np.ndarray,
    a: Statistics,
    b: Statistics,
    directions: Mapping[str, str],
    resamples: int = 10_000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> list[Difference]:
    """Compute the difference of each statistic between two models on the same resamples.

    Args:
        sizes: int [M], examples in each group.
        a: The first model's statistics.
        b: The second model's.
        directions: Name to `max` or `min`, in the order of the result; names that `a` does not
            give are left out.
        resamples: How many; fewer of over 30,000 groups with one example each.
        confidence: Share of the resamples inside an interval.
        seed: Of the resampling.
    """
    observed_a, observed_b = a(sizes[None]), b(sizes[None])
    names = [name for name in directions if name in observed_a]

    def differences(weights: np.ndarray) -> dict[str, np.ndarray]:
        values_a, values_b = a(weights), b(weights)
        return {name: values_b[name] - values_a[name] for name in names}

    # Counting single draws is faster than a multinomial of as many outcomes as draws.
    counts = None if (sizes == 1).all() else sizes
    return [
        Difference(
            name,
            float(observed_a[name][0]),
            float(observed_b[name][0]),
            *percentile_interval(values, confidence),
            two_sided_p(values),
            len(values),
            directions[name],
        )
        for name, values in resample(differences, len(sizes), counts, seed, resamples).items()
    ]


def resample(
    statistics: Statistics, groups: int, counts: np.ndarray | None, seed: int, replicates: int
) -> dict[str, np.ndarray]:
    """Return each statistic's values [R] over the resamples; none of no groups."""
    found: dict[str, list[np.ndarray]] = {}
    for weights in resample_weights(groups, counts, seed, replicates):
        for name, values in statistics(weights).items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def resample_weights(
    groups: int, counts: np.ndarray | None = None, seed: int = 1, replicates: int = REPLICATES
) -> Iterator[np.ndarray]:
    """Yield float64 [some, groups] at a time: how often each group is drawn; a row sums to N."""
    if groups == 0:
        return
    random = np.random.default_rng(seed)
    if counts is None:
        replicates = int(np.clip(MOST_DRAWS // groups, min(100, replicates), replicates))
    step = max(1, CHUNK // groups)
    for begin in range(0, replicates, step):
        rows = min(step, replicates - begin)
        if counts is None:
            # Counting single draws is faster than a multinomial of as many outcomes as draws.
            drawn = random.integers(groups, size=(rows, groups))
            drawn += np.arange(rows)[:, None] * groups
            weights = np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups)
        else:
            total = int(counts.sum())
            weights = random.multinomial(total, counts / total, size=rows)
        yield weights.astype(np.float64)


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return both ends of the middle share `confidence` of the finite values; NaN of none."""
    tail = (1 - confidence) / 2
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def two_sided_p(differences: np.ndarray) -> float:
    """Return 1 minus the largest confidence at which the interval of [R] excludes zero.

    Twice the share of the resamples on the rarer side of zero, where zero itself and NaN count on
    both; the observed sample counts with them, so that it is never 0. Sources: Efron & Tibshirani
    1993, chapter 15.4; Davison & Hinkley 1997, equation 4.11.
    """
    below, above = (~(differences > 0)).sum(), (~(differences < 0)).sum()
    return float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(differences))))

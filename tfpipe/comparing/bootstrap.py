"""The paired bootstrap: how the difference of two models' figures varies over drawings of examples.

Both models are looked at on the same drawings. Examples that are alike in all that a figure looks
at, such as those with one gold label and the same two answers, make a group.

Sources: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentile
interval); Koehn 2004 (https://aclanthology.org/W04-3250/), the paired test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tfpipe.report.intervals import draw_weights

# From how often each of M groups was drawn, [R, M], to R values of every figure.
Figures: TypeAlias = "Callable[[np.ndarray], Mapping[str, np.ndarray]]"


@dataclass(frozen=True)
class Difference:
    """One figure of two models on the same examples, and how sure their difference is.

    low, high: percentile interval of b - a; p_value: two-sided, of no difference; drawings: how
    many both are of; direction: `max` where higher is better, `min` where lower is.
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
        return self.b - self.a

    @property
    def better(self) -> str | None:
        """`A` or `B` where the interval leaves out zero, else None."""
        if not (self.low > 0 or self.high < 0):
            return None
        return "B" if (self.low > 0) == (self.direction == "max") else "A"


def paired_bootstrap(
    sizes: np.ndarray,
    a: Figures,
    b: Figures,
    directions: Mapping[str, str],
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Difference]:
    """The difference of every figure of `directions` that `a` and `b` give, in that order.

    sizes: int [M], examples in each group; resamples: how many drawings, fewer of over 30,000
    examples that are all unlike; confidence: share of the intervals.
    """
    observed_a, observed_b = a(sizes[None]), b(sizes[None])
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in directions if name in observed_a}
    # Counting single draws is faster than a multinomial of as many outcomes as draws.
    grouped = None if (sizes == 1).all() else sizes
    for counts in draw_weights(len(sizes), grouped, seed, resamples):
        values_a, values_b = a(counts), b(counts)
        for name, parts in drawn.items():
            parts.append(values_b[name] - values_a[name])
    found = []
    for name, parts in drawn.items():
        differences = np.concatenate(parts)
        found.append(
            Difference(
                name,
                float(observed_a[name][0]),
                float(observed_b[name][0]),
                *percentile_interval(differences, confidence),
                two_sided_p(differences),
                len(differences),
                directions[name],
            )
        )
    return found


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The middle share `confidence` of the values; those that are NaN say nothing."""
    tail = (1 - confidence) / 2
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def two_sided_p(differences: np.ndarray) -> float:
    """The least doubt at which the percentile interval of [R] drawings leaves out zero.

    Twice the share of the drawings on the rarer side of zero, on which zero itself and NaN lie,
    too; the drawing that was observed counts with them, so that it is never 0. Sources: Efron &
    Tibshirani 1993, chapter 15.4; Davison & Hinkley 1997, equation 4.11.
    """
    below, above = (~(differences > 0)).sum(), (~(differences < 0)).sum()
    return float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(differences))))

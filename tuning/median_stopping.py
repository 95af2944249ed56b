"""Stopping poor trials early: the median rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

# So many trials must have come as far: a median of fewer is rng.
MIN_TRIALS = 4


@dataclass
class LearningCurve:
    """The best dev figure of a trial after each epoch (from 1), of `epochs` in all."""

    epochs: int
    best: dict[int, float] = field(default_factory=dict)

    def at(self, share: float) -> float | None:
        """The best figure after this share of all epochs; None where none was finished by then."""
        # Rounding must not lose the epoch that ends exactly there.
        reached = [e for e in self.best if e <= share * self.epochs + 1e-9]
        return self.best[max(reached)] if reached else None


def median_if_worse(
    curve: LearningCurve, epoch: int, others: Iterable[LearningCurve], direction: str
) -> float | None:
    """The others' median when `curve` is worse than it after `epoch`, else None.

    Trials of different lengths are compared at the same share of their epochs: a rate that is
    scheduled over six epochs has not come as far after two as one that ends there. others: curves
    of all other trials; direction: `max` or `min`. Source: Golovin et al., Google Vizier (KDD
    2017), section 3.1, with the best figure so far in place of the running average.
    """
    share = epoch / curve.epochs
    reached = [value for other in others if (value := other.at(share)) is not None]
    if share >= 1 or len(reached) < MIN_TRIALS:
        return None
    middle, mine = median(reached), curve.best[epoch]
    worse = mine < middle if direction == "max" else mine > middle
    return middle if worse else None

"""Early stopping of poor trials by the median rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

# Ended trials needed at the same point: the median of fewer is too noisy to stop a trial by.
MIN_TRIALS = 4


@dataclass
class LearningCurve:
    """The learning curve of a trial: its best dev metric so far after each epoch.

    Attributes:
        epochs: Number of epochs that the trial is to train for.
        best: Best value of the objective so far, by epoch (from 1).
    """

    epochs: int
    best: dict[int, float] = field(default_factory=dict)

    def at(self, share: float) -> float | None:
        """Return the best value after a fraction of all epochs.

        Args:
            share: Fraction of the trial's epochs, from 0 to 1.

        Returns:
            The best value so far, or None if no epoch had ended by then.
        """
        # The tolerance keeps an epoch that ends exactly at this fraction despite rounding.
        reached = [e for e in self.best if e <= share * self.epochs + 1e-9]
        return self.best[max(reached)] if reached else None


def median_if_worse(
    curve: LearningCurve, epoch: int, others: Iterable[LearningCurve], direction: str
) -> float | None:
    """Return the median of the other trials if a trial is worse than it.

    Trials of different lengths are compared at the same fraction of their epochs, because a
    learning rate schedule over six epochs has decayed less after two epochs than one over two.
    Source: Golovin et al., Google Vizier (KDD 2017), section 3.1, with the best value so far in
    place of the running average.

    Args:
        curve: Learning curve of the trial to judge.
        epoch: Epoch of that trial that has just ended, from 1.
        others: Learning curves of the trials to compare with.
        direction: Which values of the objective are better, `max` or `min`.

    Returns:
        The median, or None if the trial is not worse, has finished its last epoch, or fewer than
        `MIN_TRIALS` others have come as far.
    """
    share = epoch / curve.epochs
    reached = [value for other in others if (value := other.at(share)) is not None]
    if share >= 1 or len(reached) < MIN_TRIALS:
        return None
    middle, own = median(reached), curve.best[epoch]
    worse = own < middle if direction == "max" else own > middle
    return middle if worse else None

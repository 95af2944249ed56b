"""Default training settings that depend on the model and the data."""

from __future__ import annotations

LEAST_STEPS = 400


def default_rate(hidden_size: int) -> float:
    """Compute the peak rate for a BERT of this width: 1.5e-4 at 384, 5e-5 at 768, 3e-5 at 1,024.

    It has four significant digits, so that a rate copied from a log or a file is the same.
    """
    return float(f"{min(3e-3, 5e-5 * (768 / hidden_size) ** 1.6):.4g}")


def default_epochs(steps_an_epoch: int) -> int:
    """Compute the number of epochs: 4; up to 10 where these make fewer than 400 steps."""
    return max(4, min(10, -(-LEAST_STEPS // steps_an_epoch)))

"""Which of two values of a metric is better."""

from __future__ import annotations

import math


def is_better(value: float, before: float, direction: str) -> bool:
    """Whether a figure is better than the one before; NaN never is, and all else beats NaN.

    direction: `max` where higher is better, `min` where lower is.
    """
    if math.isnan(value) or math.isnan(before):
        return not math.isnan(value)
    return value > before if direction == "max" else value < before

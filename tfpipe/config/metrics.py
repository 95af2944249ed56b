"""Which of two values of a metric, or of two epochs, is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def is_better(value: float, before: float, direction: str) -> bool:
    """Whether a figure is better than the one before; NaN never is, and all else beats NaN.

    direction: `max` where higher is better, `min` where lower is.
    """
    if math.isnan(value) or math.isnan(before):
        return not math.isnan(value)
    return value > before if direction == "max" else value < before


def is_better_epoch(
    record: Mapping[str, Any], best: Mapping[str, Any], figure: str, direction: str
) -> bool:
    """Whether an epoch is better than the best by `figure`, or equal in it with a lower dev loss.

    Few dev examples allow few values of a figure such as accuracy, so that epochs often tie.

    Args:
        record: the epoch's dev figures, as in a run's history: `dev_loss`, `dev_accuracy`, ...
        best: those of the best epoch before.
        figure: name of the figure, without `dev_`.
        direction: as of `is_better`.
    """
    value, other = record[f"dev_{figure}"], best[f"dev_{figure}"]
    # The same answers summed in another order differ by rounding alone.
    if math.isclose(value, other, rel_tol=1e-9) or (math.isnan(value) and math.isnan(other)):
        return is_better(record["dev_loss"], best["dev_loss"], "min")
    return is_better(value, other, direction)

"""Comparison of metric values and of epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def is_better(value: float, before: float, direction: str) -> bool:
    """Return whether a value of a metric is better than the one before.

    NaN is never better, and every other value is better than NaN.

    Args:
        value: The value.
        before: The value to compare with.
        direction: `max` where higher is better, `min` where lower is better.
    """
    if math.isnan(value) or math.isnan(before):
        return not math.isnan(value)
    return value > before if direction == "max" else value < before


def is_better_epoch(
    record: Mapping[str, Any], best: Mapping[str, Any], metric: str, direction: str
) -> bool:
    """Return whether an epoch is better by `metric`, or equal in it with a lower dev loss.

    Few dev examples allow few values of a metric such as accuracy, so epochs often tie.

    Args:
        record: The epoch's dev metrics, as in a run's history: `dev_loss`, `dev_accuracy`, ...
        best: Those of the best epoch before.
        metric: Name of the metric, without `dev_`.
        direction: `max` or `min`, as for `is_better`.
    """
    value, other = record[f"dev_{metric}"], best[f"dev_{metric}"]
    # Equal predictions summed in another order differ by rounding only.
    if math.isclose(value, other, rel_tol=1e-9) or (math.isnan(value) and math.isnan(other)):
        return is_better(record["dev_loss"], best["dev_loss"], "min")
    return is_better(value, other, direction)

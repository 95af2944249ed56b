"""The figures of each task on dev, and which way each of them gets better."""

from __future__ import annotations

import math

# The first of a task is the one that its best epoch is chosen by where nothing else is asked for.
FIGURES: dict[str, dict[str, str]] = {
    "classify": {"accuracy": "max", "macro_f1": "max", "weighted_f1": "max", "loss": "min"},
    "multilabel": {"micro_f1": "max", "macro_f1": "max", "exact_match": "max", "loss": "min"},
    "regress": {"pearson": "max", "spearman": "max", "mae": "min", "rmse": "min", "loss": "min"},
    "tag": {"f1": "max", "precision": "max", "recall": "max", "loss": "min"},
    "qa": {"f1": "max", "exact_match": "max", "loss": "min"},
}


def is_better(value: float, before: float, direction: str) -> bool:
    """Whether a figure is better than the one before; NaN never is, and all else beats NaN.

    direction: `max` where higher is better, `min` where lower is.
    """
    if math.isnan(value) or math.isnan(before):
        return not math.isnan(value)
    return value > before if direction == "max" else value < before

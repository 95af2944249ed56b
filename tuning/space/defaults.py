"""Defaults of tfpipe.train for a model and its data, used by trial 1 and by `factor`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tfpipe.config import TrainConfig
from tfpipe.training.defaults import default_epochs, default_head_rate, default_rate
from tuning.space.checks import ErrorCollector

# Used until the model and the data are read: the width of `starter`, and many rows.
USUAL_WIDTH, MANY_ROWS = 384, 10**6
# Keys that contradict a `factor`.
ENDS = ("choice", "int", "float", "type", "values", "min", "max")


def training_defaults(
    fixed: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
    rows: int = MANY_ROWS,
) -> dict[str, Any]:
    """Return all training settings as tfpipe.train would complete them.

    Args:
        fixed: The settings that are given.
        settings: Contents of the model's config.json; None for a model of the usual width.
        rows: Number of training examples.

    Returns:
        The value of every setting, by name.
    """
    settings = settings or {"hidden_size": USUAL_WIDTH}
    taken = vars(TrainConfig()) | dict(fixed)
    rate = taken["learning_rate"] or default_rate(
        settings.get("hidden_size", 768), taken["model"], taken["adapter"]
    )
    derived = {
        "learning_rate": rate,
        "epochs": default_epochs(-(-rows // taken["batch_size"]), taken["few_shot"]),
        "head_rate": default_head_rate(taken["model"], taken["few_shot"]) or rate,
        "hidden_dropout": settings.get("hidden_dropout_prob", 0.1),
        "attention_dropout": settings.get("attention_probs_dropout_prob", 0.1),
    }
    return taken | {name: value for name, value in derived.items() if taken[name] is None}


def scale_default(
    name: str, entry: Mapping[Any, Any], default: Any, collector: ErrorCollector
) -> dict[Any, Any] | None:
    """Convert an entry with a `factor` to a range around the default.

    Args:
        name: Name of the setting.
        entry: The entry, whose `factor` holds the bounds as multiples of the default.
        default: Default of the setting.
        collector: Collects the errors.

    Returns:
        The entry with an `int` or a `float` range, or None after an error. Bounds of an integer
        setting are rounded, and at least 1.
    """
    factors, before = entry["factor"], len(collector.errors)
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if not number or not default:
        collector.add(
            name,
            "`factor` multiplies what training takes by itself",
            f"for {name} that is {default}",
            "write a range such as `float: [LOW, HIGH]`, or a choice",
        )
    numbers = isinstance(factors, list) and len(factors) == 2
    if not numbers or not all(_is_factor(one) for one in factors):
        collector.add(
            name, "`factor` takes two numbers above 0", entry, "write such as `factor: [0.5, 2]`"
        )
    for key in [key for key in ENDS if key in entry]:
        collector.add(
            name, f"`factor` is a range, beside which there is no `{key}`", entry, "leave one out"
        )
    if len(collector.errors) > before:
        return None
    whole = isinstance(default, int)
    ends = [
        max(1, math.floor(one * default + 0.5)) if whole else float(f"{one * default:.4g}")
        for one in factors
    ]
    rest = {key: value for key, value in entry.items() if key != "factor"}
    return {"int" if whole else "float": ends, **rest}


def _is_factor(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf

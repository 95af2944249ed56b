"""What `tfpipe.train` takes for the settings that nobody gives, which trial 1 and `factor` need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tfpipe.config import TrainConfig
from tfpipe.training.defaults import default_epochs, default_rate
from tuning.space.checks import ErrorCollector

# Where a space is read before its model and its data are: as for `starter` and many rows.
USUAL_WIDTH, MANY_ROWS = 384, 10**6
# Keys of a range that a `factor` stands for.
ENDS = ("choice", "int", "float", "type", "values", "min", "max")


def training_defaults(
    fixed: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
    rows: int = MANY_ROWS,
) -> dict[str, Any]:
    """Every training setting as `tfpipe.train` takes it where only those of `fixed` are given.

    settings: the model's config.json, None for a model of the usual width; rows: of train.
    """
    settings = settings or {"hidden_size": USUAL_WIDTH}
    taken = vars(TrainConfig()) | dict(fixed)
    rate = taken["learning_rate"] or default_rate(settings.get("hidden_size", 768))
    derived = {
        "learning_rate": rate,
        "epochs": default_epochs(-(-rows // taken["batch_size"])),
        "head_rate": rate,
        "hidden_dropout": settings.get("hidden_dropout_prob", 0.1),
        "attention_dropout": settings.get("attention_probs_dropout_prob", 0.1),
    }
    return taken | {name: value for name, value in derived.items() if taken[name] is None}


def scale_default(
    name: str, entry: Mapping[Any, Any], default: Any, collector: ErrorCollector
) -> dict[Any, Any] | None:
    """An entry with a `factor` as one with the range of so many times the default.

    Ends are whole numbers from 1 where the setting is one. None after a complaint.
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

"""Ranges of a space file: bounds, sampling scale and steps."""

from __future__ import annotations

import decimal
import math
from decimal import Decimal
from typing import Any

from tfpipe.config import TrainConfig, field_type
from tfpipe.errors import did_you_mean
from tuning.space.checks import ErrorCollector, brief, check_value
from tuning.space.parameters import Parameter

SAMPLINGS = ("linear", "log")
MAX_VALUES = 10_000


def read_range(
    name: str, kind: str, entry: dict[str, Any], collector: ErrorCollector
) -> Parameter | None:
    """Read a range with `min`, `max` and, optionally, `step`, `sampling` or `log`.

    Args:
        name: Name of the setting.
        kind: `int` or `float`.
        entry: The keys of the range and their values.
        collector: Collects the errors.

    Returns:
        The parameter, with all its values if the range has a step or its bounds are equal, or
        None after an error.
    """
    plain = field_type(TrainConfig, name)[0]
    if plain.__name__ != kind:
        fix = {
            int: "write int for float",
            float: "write float for int, with `step: 1` for whole numbers",
        }.get(plain, "write such as `choice: [...]`")
        wanted = {int: "whole numbers", float: "numbers", bool: "true or false", str: "texts"}
        collector.add(
            name, f"{name} takes {wanted[plain]}, of which there is no {kind} range", entry, fix
        )
        return None
    before = len(collector.errors)
    if "values" in entry:
        collector.add(name, "`values` says nothing of a range", entry, "write `choice: [...]`")
    log = _read_sampling(name, entry, collector)
    step = _read_step(name, kind, log, entry, collector)
    ends = []
    for key in ("min", "max"):
        if key in entry:
            ends.append(check_value(name, entry[key], collector))
        else:
            collector.add(name, f"the range has no `{key}`", entry, "give both ends")
    if len(collector.errors) > before:
        return None
    low, high = ends
    if low > high:
        collector.add(
            name, "the range ends before it begins", f"{low} to {high}", "swap the two ends"
        )
    elif log and low <= 0:
        collector.add(
            name,
            "a log scale has no zero and nothing below",
            f"{low} to {high}",
            "give a `min` above 0, or leave out `sampling: log`",
        )
    elif low == high:
        return Parameter(name, kind, (low,))
    elif step is None:
        return Parameter(name, kind, (), low, high, log)
    else:
        values = _steps(name, low, high, step, log, collector)
        return Parameter(name, kind, values, log=log)
    return None


def _read_sampling(name: str, entry: dict[str, Any], collector: ErrorCollector) -> bool:
    log, sampling = entry.get("log"), entry.get("sampling")
    if log is not None and not isinstance(log, bool):
        collector.add(name, "`log` takes true or false", log, "write `log: true`")
    if "sampling" in entry and sampling not in SAMPLINGS:
        collector.add(
            name,
            "this way of sampling is not known",
            f"sampling: {brief(sampling)}",
            f"{did_you_mean(str(sampling), SAMPLINGS)}choose one of {', '.join(SAMPLINGS)}",
        )
    elif sampling and log is not None and (sampling == "log") != log:
        collector.add(
            name, "`sampling` and `log` contradict each other", entry, "leave out one of the two"
        )
    return sampling == "log" or log is True


def _read_step(
    name: str, kind: str, log: bool, entry: dict[str, Any], collector: ErrorCollector
) -> float | None:
    raw = entry.get("step")
    if raw is None:
        return None
    wanted = "a whole number" if kind == "int" else "a number"
    try:
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            raise ValueError
        step = float(raw)
        if not math.isfinite(step) or (kind == "int" and step != int(step)):
            raise ValueError
    except (ValueError, OverflowError):
        collector.add(name, f"`step` takes {wanted}", f"step: {brief(raw)}", "mend or leave it out")
        return None
    if step <= log:
        collector.add(
            name,
            "a step on a log scale multiplies" if log else "a step leads nowhere",
            f"step: {brief(raw)}",
            f"give a step above {int(log)}",
        )
        return None
    return step


def _steps(
    name: str, low: float, high: float, step: float, log: bool, collector: ErrorCollector
) -> tuple[Any, ...]:
    """Return all values of a range with a step, including the upper bound if a step ends there.

    Computed in decimals, because in floats 0.1 + 2 * 0.1 is not 0.3.
    """
    steps = (math.log(high) - math.log(low)) / math.log(step) if log else (high - low) / step
    if steps < 1 - 1e-6:
        collector.add(
            name,
            "the step is larger than the range",
            f"{low} to {high}, step: {step:g}",
            "give a smaller step, or list the values as a choice",
        )
        return ()
    with decimal.localcontext() as context:
        context.prec = 50
        first, last, by = (Decimal(repr(one)) for one in (low, high, step))
        values: list[float] = []
        for index in range(int(min(steps + 1e-6, MAX_VALUES)) + 1):
            exact = first * by**index if log else first + by * index
            # A rounded factor such as 3.16227766, the square root of 10, is to reach the bound.
            values.append(type(low)(exact) if last - exact > last * Decimal("1e-8") else high)
    if len(values) > MAX_VALUES:
        collector.add(
            name,
            f"the range has more than {MAX_VALUES:,} values",
            f"{low} to {high}, step: {step:g}",
            "give a larger step, or none",
        )
    elif len(set(values)) < len(values):
        collector.add(
            name, "the step is too small to count", f"step: {step!r}", "give a larger step, or none"
        )
    return tuple(values)

"""Entries of a space file: every way to write a setting, read as a Parameter."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfpipe.config import TrainConfig, field_type
from tfpipe.errors import did_you_mean
from tuning.space.checks import ErrorCollector, brief, check_value
from tuning.space.defaults import scale_default
from tuning.space.parameters import Parameter
from tuning.space.ranges import read_range

KINDS = ("choice", "int", "float")
RANGE_KEYS = ("min", "max", "step", "sampling", "log")
KEYS = (*KINDS, "factor", "type", "values", *RANGE_KEYS, "when")


def read_entry(
    name: str, written: Any, defaults: Mapping[str, Any], collector: ErrorCollector
) -> Parameter | None:
    """Read the entry of a training setting.

    Args:
        name: Name of the setting.
        written: The entry: a value, a list of choices or a table.
        defaults: Defaults of the training settings, which a `factor` multiplies.
        collector: Collects the errors.

    Returns:
        The parameter, or None after an error. A fixed value is the only one of `values`; `when`
        is not checked yet, because its parents may follow in the file.
    """
    before = len(collector.errors)
    if isinstance(written, dict) and "factor" in written:
        written = scale_default(name, written, defaults[name], collector)
        if written is None:
            return None
    if not isinstance(written, dict):
        several = isinstance(written, list)
        # A fixed value may be null, for a setting whose default training derives.
        found = _values(name, written if several else [written], collector, not several)
        return None if len(collector.errors) > before else Parameter(name, "choice", found)
    entry = _normalize(name, written, collector)
    kind, when = entry.pop("kind", None), entry.pop("when", {})
    if not isinstance(when, dict):
        collector.add(
            name,
            "`when` is not a table of parents and values",
            when,
            "write such as `when: {loss: focal}`",
        )
    parameter = None
    if kind == "choice":
        parameter = _read_choice(name, entry, collector)
    elif kind:
        parameter = read_range(name, kind, entry, collector)
    if len(collector.errors) > before or parameter is None:
        return None
    return dataclasses.replace(parameter, when=when)


def _normalize(name: str, written: dict[Any, Any], collector: ErrorCollector) -> dict[str, Any]:
    """Return the entry in its long form: kind, values or min and max, step, sampling, log, when."""
    entry = {str(key): value for key, value in written.items()}
    named = [kind for kind in KINDS if kind in entry]
    body = entry.pop(named[0]) if len(named) == 1 else None
    if isinstance(body, dict):
        inner = {str(key): value for key, value in body.items()}
        for key in inner.keys() & entry.keys():
            collector.add(name, f"`{key}` is given twice", written, "leave out one of the two")
        entry |= inner
    unknown = [key for key in entry if key not in KEYS]
    for key in unknown:
        hint = did_you_mean(key, KEYS)
        collector.add(
            name, f"there is no key {key!r} here", brief(written), f"{hint}known: {', '.join(KEYS)}"
        )
        del entry[key]
    kinds = [*named, *([str(entry.pop("type"))] if "type" in entry else [])]
    if not kinds:
        plain = field_type(TrainConfig, name)[0]
        by_field = "int" if plain is int else "float"
        kinds = ["choice" if "values" in entry else by_field if {"min", "max"} & {*entry} else ""]
    if len(kinds) > 1 or kinds[0] not in KINDS:
        hint = did_you_mean(kinds[0], KINDS) if len(kinds) == 1 else ""
        if kinds[0] or not unknown:  # else the error of the unknown key is enough
            collector.add(
                name,
                "this is not one of choice, int and float",
                brief(written),
                f"{hint}write such as `{{float: [1e-5, 3e-4], sampling: log}}`, or one value",
            )
        return {"when": entry.get("when", {})}
    if named and not isinstance(body, dict):
        if kinds[0] == "choice":
            entry["values"] = body
        elif isinstance(body, list) and len(body) == 2:
            entry["min"], entry["max"] = body
        else:
            collector.add(
                name, "a range has two ends", body, f"write such as `{kinds[0]}: [LOW, HIGH]`"
            )
            return {"when": entry.get("when", {})}
    return entry | {"kind": kinds[0]}


def _read_choice(name: str, entry: dict[str, Any], collector: ErrorCollector) -> Parameter | None:
    for key in [key for key in RANGE_KEYS if key in entry]:
        collector.add(
            name, f"`{key}` says nothing of a choice", entry, f"leave out `{key}`, or write a range"
        )
    values = entry.get("values")
    if not isinstance(values, list):
        collector.add(
            name, "a choice takes a list of values", values, "write such as `choice: [16, 32]`"
        )
        return None
    return Parameter(name, "choice", _values(name, values, collector, False))


def _values(
    name: str, raw: list[Any], collector: ErrorCollector, may_be_none: bool
) -> tuple[Any, ...]:
    """Return the checked values of a choice; numbers ascending, for the Gaussian process."""
    if not raw:
        collector.add(name, "a choice is empty", raw, "write such as `choice: [16, 32]`")
    values = []
    for one in raw:
        value = check_value(name, one, collector, may_be_none)
        if value in values and value is not None:
            collector.add(name, "a value is there twice", one, "write it once")
        elif value is not None or may_be_none:
            values.append(value)
    numbers = all(isinstance(value, int | float) for value in values)
    return tuple(sorted(values) if numbers else values)

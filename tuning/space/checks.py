"""A single value of a space file, and the errors that are told of it."""

from __future__ import annotations

import dataclasses
import reprlib
from typing import Any

from tfpipe.config import TrainConfig, checked_value
from tfpipe.errors import UserError

FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}
# A float, which is what an oracle computes in, holds every whole number up to here.
MAX_INTEGER = 2**53


class ErrorCollector:
    """The errors of a space file, each with the file and the setting it is about."""

    def __init__(self, path: str):
        self.path = path
        self.errors: list[UserError] = []

    def add(self, name: str, wrong: str, found: Any, fix: str) -> None:
        """Note an error; `found` is shown as YAML's value, or as it is where it is a text."""
        shown = found if isinstance(found, str) else brief(found)
        self.errors.append(UserError(wrong, f"{self.path}: {name}: {shown}", fix))


def brief(value: Any) -> str:
    """A value of a YAML file in few words, whatever its size."""
    short = reprlib.Repr()
    short.maxlevel, short.maxdict, short.maxother = 3, 8, 60
    return short.repr(value)


def check_value(name: str, raw: Any, collector: ErrorCollector, may_be_none: bool = False) -> Any:
    """A value within the training field's own rules, None after a complaint."""
    if raw is None and not may_be_none:
        collector.add(
            name, "null is no value to search", "null", "name the value that it stands for"
        )
        return None
    if isinstance(raw, list | dict | tuple | set):
        collector.add(name, "a value is not a single one", brief(raw), "write one value")
        return None
    try:
        value = checked_value(TrainConfig, FIELDS[name], raw)
    except UserError as error:
        collector.add(name, error.wrong, error.found, error.fix)
        return None
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        collector.add(name, "the number is too large", brief(raw), f"stay within {MAX_INTEGER}")
        return None
    return value

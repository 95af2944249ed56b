"""Validation of single values of a space file, and collection of its errors."""

from __future__ import annotations

import dataclasses
import reprlib
from typing import Any

from tfpipe.config import TrainConfig, checked_value
from tfpipe.errors import UserError

FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}
# Oracles compute with floats, which represent every integer exactly up to this one.
MAX_INTEGER = 2**53


class ErrorCollector:
    """Collects the errors of a space file, each with the file and the setting.

    Attributes:
        path: The space file, for messages.
        errors: The errors found so far.
    """

    def __init__(self, path: str):
        self.path = path
        self.errors: list[UserError] = []

    def add(self, name: str, wrong: str, found: Any, fix: str) -> None:
        """Add an error.

        Args:
            name: Setting that it is about.
            wrong: What is wrong.
            found: What was found: a value of the file, or a text that is shown as it is.
            fix: What to do.
        """
        shown = found if isinstance(found, str) else brief(found)
        self.errors.append(UserError(wrong, f"{self.path}: {name}: {shown}", fix))


def brief(value: Any) -> str:
    """Return a value of a YAML file as text of limited length."""
    short = reprlib.Repr()
    short.maxlevel, short.maxdict, short.maxother = 3, 8, 60
    return short.repr(value)


def check_value(name: str, raw: Any, collector: ErrorCollector, may_be_none: bool = False) -> Any:
    """Check a value by the rules of its training setting.

    Args:
        name: Name of the setting, a field of TrainConfig.
        raw: The value of the YAML file.
        collector: Collects the errors.
        may_be_none: Whether null is valid.

    Returns:
        The value with the setting's type, or None after an error.
    """
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

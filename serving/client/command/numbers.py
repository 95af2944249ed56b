"""Numbers on the command line, each with the range that makes sense for it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any


def positive_int(text: str) -> int:
    """An argument of at least 1."""
    return _number(text, int, lambda value: value >= 1, "a whole number from 1")


def not_negative_int(text: str) -> int:
    """An argument of at least 0."""
    return _number(text, int, lambda value: value >= 0, "a whole number from 0")


def positive_number(text: str) -> float:
    """A finite argument above 0."""
    return _number(text, float, lambda value: 0 < value < math.inf, "a number above 0")


def not_negative(text: str) -> float:
    """A finite argument of at least 0."""
    return _number(text, float, lambda value: 0 <= value < math.inf, "a number from 0")


def seconds_or_none(text: str) -> float | None:
    """A finite argument above 0, or None for the word `none`."""
    if text.lower() == "none":
        return None
    wanted = "a number above 0, or none"
    return _number(text, float, lambda value: 0 < value < math.inf, wanted)


def _number(text: str, kind: Any, fits: Callable[[Any], bool], wanted: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value

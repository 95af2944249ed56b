"""argparse types: numbers with a range."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def unicode_text(argument: str) -> str:
    """Return an argument as text, also where it is UTF-8 and the locale's encoding is ASCII.

    Python keeps the bytes that it cannot decode as surrogates.
    """
    try:
        return argument.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        return argument


def positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    return _number(text, int, lambda value: value >= 1, "an integer of at least 1")


def not_negative_int(text: str) -> int:
    """Parse an integer of at least 0."""
    return _number(text, int, lambda value: value >= 0, "an integer of at least 0")


def positive_number(text: str) -> float:
    """Parse a finite number above 0."""
    return _number(text, float, lambda value: 0 < value < math.inf, "a number above 0")


def not_negative(text: str) -> float:
    """Parse a finite number of at least 0."""
    return _number(text, float, lambda value: 0 <= value < math.inf, "a number of at least 0")


def seconds_or_none(text: str) -> float | None:
    """A finite argument above 0, or None for the word `none`."""
    if text.lower() == "none":
        return None
    wanted = "a number above 0, or none"
    return _number(text, float, lambda value: 0 < value < math.inf, wanted)


def _number(
    text: str, kind: Callable[[str], Number], fits: Callable[[Number], bool], wanted: str
) -> Number:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value

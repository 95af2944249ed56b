"""Values of a data file as texts, and rows of it in messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def show_few(numbers: Sequence[int]) -> str:
    """List the first five numbers, and how many more there are."""
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return ", ".join(map(str, numbers[:5])) + more


def as_text(value: Any) -> str | None:
    """Convert a value to text; None for a missing one (null, or NaN as pandas writes it).

    Raises:
        TypeError: The value is a list or a table.
        UnicodeError: It is not valid Unicode.
    """
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        raise TypeError(f"a {type(value).__name__}, {str(value)[:60]}")
    if isinstance(value, bytes):
        return value.decode("utf-8")
    text = value if isinstance(value, str) else str(value)
    if not text.isascii():
        text.encode("utf-8")  # half of a surrogate pair, as JSON can spell it, is no character
    return text


def written(value: Any) -> str:
    """Return a value of any format as text: nothing for null and NaN, JSON for lists."""
    try:
        return as_text(value) or ""
    except TypeError:
        return json.dumps(value, ensure_ascii=False, default=str)
    except UnicodeError:
        return str(value).encode("utf-8", "replace").decode()

"""Formatting of the values, scores and durations of trials."""

from __future__ import annotations

import math
from typing import Any

from tfpipe.text_display import shorten

DASH = "–"


def format_value(value: Any, most: int = 80) -> str:
    """Format the value of a training setting, such as 3e-05, 16 or none.

    Args:
        value: The value.
        most: Number of characters after which a text is cut.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else DASH
    return shorten(str(value), most) or "(empty)"


def format_score(score: float | None, digits: int = 4) -> str:
    """Format a score; a dash if it is missing or not finite.

    Args:
        score: The score.
        digits: Decimal places of scores below 1000.
    """
    if score is None or not math.isfinite(score):
        return DASH
    return f"{score:.{digits}f}" if abs(score) < 1000 else f"{score:.5g}"


def format_time(seconds: float) -> str:
    """Format a duration in its two largest units: 4.2 s, 12 min 5 s, 3 h 20 min, 2 d 4 h."""
    if not math.isfinite(seconds) or seconds < 0:
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"

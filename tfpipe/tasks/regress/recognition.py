"""Labels that are numbers."""

from __future__ import annotations

import math
from collections.abc import Collection

from tfpipe.tasks.recognition import shortest_example
from tfpipe.tasks.spec import Recognition


def recognise(labels: Collection[str], pairs: bool) -> Recognition | None:
    """Recognise numbers; whole ones may be names of classes, so they are only noted."""
    numbers = [*map(_as_number, labels)]
    finite = [number for number in numbers if number is not None]
    if len(finite) < len(numbers):
        return None
    if all(number.is_integer() for number in finite):
        return Recognition(
            "The labels are whole numbers: add --task regress where they are amounts, not names of"
            " classes.",
            certain=False,
        )
    shown = shortest_example(labels)
    return Recognition(f"The labels look like numbers, such as {shown}: --task regress.")


def _as_number(label: str) -> float | None:
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

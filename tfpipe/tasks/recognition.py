"""Recognition of the task that a data file's labels are for."""

from __future__ import annotations

from collections.abc import Iterable

MOST_SHOWN = 60


def shortest_example(labels: Iterable[str]) -> str:
    """Return the first label in sorted order, in quotes, cut to a readable length."""
    shown = repr(min(labels, default=""))
    return shown if len(shown) <= MOST_SHOWN else f"{shown[: MOST_SHOWN - 3]}..."

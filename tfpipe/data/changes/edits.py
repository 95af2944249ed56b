"""Edits of a text, and where the places of the text are after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias


class Edit(NamedTuple):
    """`text[start:end]`, counted in code points, becomes `new`."""

    start: int
    end: int
    new: str


# Of one text, in its order, without overlaps.
Edits: TypeAlias = Sequence[Edit]


def apply(text: str, edits: Edits) -> str:
    """Return the text after the edits."""
    parts, done = [], 0
    for edit in edits:
        parts += [text[done : edit.start], edit.new]
        done = edit.end
    return "".join([*parts, text[done:]])


def move(start: int, end: int, edits: Edits) -> tuple[int, int]:
    """Return where `text[start:end]` is after the edits.

    It grows and shrinks with edits inside of it; of an edit that it shares a part with it has the
    whole. What is inserted at its ends is outside.
    """
    shift = 0
    first, last = start, end
    for edit in edits:
        grown = len(edit.new) - (edit.end - edit.start)
        if edit.end <= start:
            first = start + shift + grown
            last = end + shift + grown
        elif edit.start < end:
            if edit.start < start:
                first = edit.start + shift
            last = max(end, edit.end) + shift + grown
        shift += grown
    return first, last

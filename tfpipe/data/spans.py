"""Entities as spans of a text, and their form in a label: `[[0, 6, "person"], ...]` in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from tfpipe.data.tabular import strip_blanks
from tfpipe.errors import UserError


class Span(NamedTuple):
    """An entity, `text[start:end]` counted in code points, and its type."""

    start: int
    end: int
    type: str


def format_spans(spans: Iterable[Span]) -> str:
    """Format spans as a label that `parse_spans` reads back."""
    return json.dumps([list(span) for span in spans], ensure_ascii=False)


def strip_types(label: str) -> str:
    """Remove blanks around the types in a label; a label without such blanks is unchanged."""
    try:
        values = json.loads(label)
    except (ValueError, RecursionError):
        return label
    changed = False
    for value in values if isinstance(values, list) else ():
        if isinstance(value, list) and len(value) == 3 and isinstance(value[2], str):
            stripped = strip_blanks(value[2])
            changed |= stripped != value[2]
            value[2] = stripped
    return json.dumps(values, ensure_ascii=False) if changed else label


def parse_spans(label: str, text: str | None = None, where: str = "a label") -> list[Span]:
    """Parse the spans of a label, which must be sorted and must not overlap.

    Args:
        label: JSON.
        text: The text that the spans lie in; None leaves their ends unchecked.
        where: For messages, such as a file and row.

    Raises:
        UserError: The label is not a list of spans, or they are out of order or of the text.
    """
    try:
        values = json.loads(label)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list):
        raise _refuse("a label is not a list of entities", where, label)
    spans: list[Span] = []
    for value in values:
        if not _is_span(value):
            raise _refuse("an entity is not [start, end, type]", where, json.dumps(value))
        span = Span(*value)
        if not 0 <= span.start < span.end:
            raise _outside(span, where)
        if spans and span.start < spans[-1].end:
            before, this = (json.dumps([*s], ensure_ascii=False) for s in (spans[-1], span))
            apart = span.end <= spans[-1].start
            raise UserError(
                "entities are not in the order of the text" if apart else "two entities overlap",
                f"{where}: {before}, then {this}",
                "sort them by start" if apart else "keep one of them: entities cannot be nested",
            )
        spans.append(span)
    if text is not None:
        refuse_outside(spans, text, where)
    return spans


def refuse_outside(spans: Iterable[Span], text: str, where: str) -> None:
    """Raise UserError for a span that ends behind its text; where: for the message."""
    for span in spans:
        if span.end > len(text):
            raise _outside(span, f"{where}", f" in a text of {len(text)} characters")


def _outside(span: Span, where: str, room: str = "") -> UserError:
    return UserError(
        "an entity lies outside of its text, or is empty",
        f"{where}: {json.dumps([*span], ensure_ascii=False)}{room}",
        "count characters from 0, the end exclusive: text[start:end] is the entity",
    )


def _is_span(value: Any) -> bool:
    # A bool is an int to Python, and no place in a text.
    return (
        isinstance(value, list)
        and [*map(type, value)] == [int, int, str]
        and bool(value[2].strip())
        and value[2] == value[2].strip()
    )


def _refuse(wrong: str, where: str, found: str) -> UserError:
    shown = found if len(found) <= 80 else f"{found[:77]}..."
    return UserError(
        wrong,
        f"{where}: {shown}",
        'write [[0, 6, "person"]]: start and end (exclusive) in characters; [] where none is',
    )

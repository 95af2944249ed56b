"""Labels that are lists of entities."""

from __future__ import annotations

from collections.abc import Collection

from tfpipe.data.label_values import dump, parse_literal, spans_of
from tfpipe.data.spans import parse_spans, strip_types
from tfpipe.errors import UserError
from tfpipe.tasks.recognition import shortest_example
from tfpipe.tasks.spec import Recognition


def recognise(labels: Collection[str], pairs: bool) -> Recognition | None:
    """Recognise `[[start, end, "type"], ...]` as label of single texts."""
    if pairs or not all(map(_is_spans, labels)):
        return None
    shown = shortest_example(labels)
    return Recognition(f"The labels look like entities in JSON, such as {shown}: --task tag.")


def _is_spans(label: str) -> bool:
    try:
        spans = spans_of(parse_literal(label))
        return spans is not None and parse_spans(strip_types(dump(spans))) is not None
    except UserError:
        return False

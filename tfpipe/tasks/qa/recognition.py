"""Labels that are lists of answers."""

from __future__ import annotations

from collections.abc import Collection

from tfpipe.data.label_values import answers_of, parse_literal
from tfpipe.tasks.recognition import shortest_example
from tfpipe.tasks.spec import Recognition


def recognise(labels: Collection[str], pairs: bool) -> Recognition | None:
    """Recognise `[[start, "answer"], ...]` as label of pairs of texts."""
    if not pairs or not all(answers_of(parse_literal(label)) is not None for label in labels):
        return None
    shown = shortest_example(labels)
    return Recognition(f"The labels look like answers in JSON, such as {shown}: --task qa.")

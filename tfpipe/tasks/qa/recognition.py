"""Labels that are lists of answers."""

from __future__ import annotations

from collections.abc import Collection

from tfpipe.data.squad import load_answers
from tfpipe.tasks.recognition import shortest_example
from tfpipe.tasks.spec import Recognition


def recognise(labels: Collection[str], pairs: bool) -> Recognition | None:
    """Recognise `[[start, "answer"], ...]` as label of pairs of texts."""
    if not pairs or not all(map(_is_answers, labels)):
        return None
    shown = shortest_example(labels)
    return Recognition(f"The labels look like answers in JSON, such as {shown}: --task qa.")


def _is_answers(label: str) -> bool:
    try:
        return label.startswith("[") and load_answers(label) is not None
    except (ValueError, RecursionError):
        return False

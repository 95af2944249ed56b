"""Output of answers on the command line: JSON lines or a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from serving.client.cli.text_input import Row
from serving.standard_output import json_line


@dataclass(frozen=True)
class TextVerb:
    """Output format of one verb.

    Args:
        fields: Names of the texts in JSON.
        heading: Column names of the table.
        record: Converts an answer to a JSON object.
        lines: Converts an answer and its row to table lines of cells; the last is not padded.
    """

    fields: tuple[str, ...]
    heading: tuple[str, ...]
    record: Callable[[Any], dict[str, Any]]
    lines: Callable[[Any, Row], list[tuple[str, ...]]]


def _entity_lines(entities: list[Any], row: Row) -> list[tuple[str, ...]]:
    return [
        (f"{e.score:.4f}", e.entity, f"{e.start}-{e.end}", row[0][e.start : e.end])
        for e in entities
    ] or [("-", "-", "-", "-")]


def _result_lines(results: list[Any], row: Row) -> list[tuple[str, ...]]:
    return [(f"{r.score:.4f}", r.id, r.answer) for r in results] or [("-", "-", "-")]


def _shorten_vector(vector: Any) -> str:
    """The first numbers of a vector, and how many there are."""
    shown = " ".join(f"{number:.4f}" for number in vector[:3].tolist())
    return f"{shown} ... ({len(vector)})"


TEXT_VERBS = {
    "classify": TextVerb(
        ("text", "text_pair"),
        ("score", "label", "text"),
        lambda answer: {
            "label": answer.label,
            "score": answer.score,
            "scores": answer.scores.tolist(),
        },
        lambda answer, row: [(f"{answer.score:.4f}", answer.label, " | ".join(row))],
    ),
    "multilabel": TextVerb(
        ("text", "text_pair"),
        ("labels", "text"),
        lambda answer: {
            "active": answer.active_labels,
            "labels": list(answer.labels),
            "scores": answer.scores.tolist(),
        },
        lambda answer, row: [(", ".join(answer.active_labels) or "-", " | ".join(row))],
    ),
    "regress": TextVerb(
        ("text", "text_pair"),
        ("value", "text"),
        lambda answer: {"value": answer.value},
        lambda answer, row: [(f"{answer.value:.4f}", " | ".join(row))],
    ),
    "tag": TextVerb(
        ("text",),
        ("line", "score", "entity", "place", "words"),
        lambda answer: {"entities": [vars(entity) for entity in answer]},
        _entity_lines,
    ),
    "search": TextVerb(
        ("text",),
        ("line", "score", "id", "answer"),
        lambda answer: {"results": [vars(result) for result in answer]},
        _result_lines,
    ),
    "embed": TextVerb(
        ("text",),
        ("vector", "text"),
        lambda answer: {"embedding": answer.tolist()},
        lambda answer, row: [(_shorten_vector(answer), row[0])],
    ),
    "answer": TextVerb(
        ("question", "context"),
        ("score", "place", "answer", "question"),
        vars,
        lambda answer, row: [
            (f"{answer.score:.4f}", f"{answer.start}-{answer.end}", answer.answer, row[0])
        ],
    ),
}


def format_shape(shape: tuple[int | None, ...] | None) -> str:
    """Format a shape as `[?, 3]`, an unknown rank as `of any rank`."""
    if shape is None:
        return "of any rank"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


class Table:
    """Table printed incrementally; columns only grow wider."""

    def __init__(self, heading: tuple[str, ...]):
        self._heading: tuple[str, ...] | None = heading
        self._widths = [len(name) for name in heading[:-1]]

    def print(self, lines: list[tuple[str, ...]]) -> None:
        """Print lines, preceded by the heading the first time."""
        for index in range(len(self._widths)):
            self._widths[index] = max(self._widths[index], *(len(cells[index]) for cells in lines))
        if self._heading:
            lines, self._heading = [self._heading, *lines], None
        for cells in lines:
            padded = [f"{cell:<{width + 2}}" for cell, width in zip(cells, self._widths)]  # noqa: B905
            # One answer is one line, although a text from a file may contain line breaks.
            print("".join([*padded, cells[-1]]).replace("\r", " ").replace("\n", " "))


def print_json(**values: object) -> None:
    """Print one JSON object on one line."""
    print(json_line(values))

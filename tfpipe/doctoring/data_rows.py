"""Rows of data files that a problem or a note of the doctor is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tfpipe.data.dev_split import example_keys
from tfpipe.data.labels import LabelRules, parsed_labels
from tfpipe.data.repeats import find_repeats
from tfpipe.data.row_errors import FileRow, RowsError, RowsOf
from tfpipe.data.splits import Splits
from tfpipe.errors import UserError
from tfpipe.io.tables import write_table


def rows_of_errors(errors: Iterable[UserError]) -> Iterator[FileRow]:
    """Yield the rows that errors are about."""
    for error in errors:
        if isinstance(error, RowsError):
            yield from error.of.in_file(error.finding)


def rows_of_notes(parts: Splits, rules: type[LabelRules]) -> Iterator[FileRow]:
    """Yield the rows of empty texts, repeats, contradictions, near labels and leaks."""
    for part in parts:
        empty = [row for row, text in enumerate(part.joined()) if not text.strip()]
        yield from RowsOf(part, empty).in_file("empty_text")
    duplicates, contradictions = find_repeats(parts.train)
    yield from RowsOf(parts.train, duplicates).in_file("duplicate")
    yield from RowsOf(parts.train, contradictions).in_file("contradiction")
    rare = {pair.rare.label for pair in parts.label_notes.near}
    labels = parsed_labels(parts.train, rules) if rare else ()
    near = [row for row, label in enumerate(labels) if rare & {*rules.names_in(label)}]
    yield from RowsOf(parts.train, near).in_file("near_label")
    in_train = {*example_keys(parts.train)}
    for other in (parts.dev, parts.test):
        if other is not None:
            leaks = [row for row, key in enumerate(example_keys(other)) if key in in_train]
            yield from RowsOf(other, leaks).in_file("in_train")


def write_rows(path: str, rows: Sequence[FileRow]) -> None:
    """Write rows as a table with the columns file, line, row, finding, text, label."""
    write_table(Path(path), FileRow._fields, rows)

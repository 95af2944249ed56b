"""A data file as a table that can be written again, with the examples in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfpipe.data.columns import find_columns
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.label_column import LabelColumn
from tfpipe.data.picked import Picked, other_widths, places_of
from tfpipe.data.read_examples import read_examples, task_of_format
from tfpipe.data.rows import Rows, Trace, hold_rows
from tfpipe.data.tabular import open_rows
from tfpipe.data.token_columns import find_token_columns
from tfpipe.data.values import written
from tfpipe.errors import UserError, raise_all
from tfpipe.tasks.spec import TaskSpec


@dataclass(frozen=True)
class DataTable:
    """N rows of a file.

    Attributes:
        header: The names of the columns.
        rows: The values of all columns.
        examples: The texts, and the labels without blanks around them, empty where a row has none.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    examples: Examples

    def with_labels(
        self, rows: Sequence[int], labels: Mapping[int, str], as_texts: bool
    ) -> Iterator[list[Any]]:
        """Yield some rows with new labels.

        Args:
            rows: Their numbers, from 0.
            labels: The new label by the row; other rows keep theirs.
            as_texts: Whether all values are to be texts, and none a number, null or list.
        """
        label = self.examples.columns.label
        place = self.header.index(label) if label else None
        for row in rows:
            values = [*self.rows[row]]
            if place is not None and row in labels:
                values[place] = labels[row]
            yield [*map(written, values)] if as_texts else values


def read_table(path: Path, columns: Columns, spec: TaskSpec) -> DataTable:
    """Read a data file with all its columns.

    Args:
        path: The file.
        columns: Names given by the user.
        spec: The task that the labels are for.

    Raises:
        UserError: The file cannot be read, or a value is no text or label.
    """
    if task_of_format(path):
        return _of_examples(read_examples(path, columns, rules=spec.rules))
    trace = Trace(other_width=[])
    opened, sample = hold_rows(open_rows(path, columns=columns, trace=trace))
    if spec.reads_tokens and find_token_columns(opened.header, sample, columns):
        return _of_examples(read_examples(path, columns, rules=spec.rules))
    found = find_columns(opened, path, columns, False, spec, sample)
    rows: list[Sequence[Any]] = []
    opened = replace(opened, rows=_recorded(opened, rows))
    labels, picked = LabelColumn(spec.rules, found.label is not None), Picked()
    picked.read(opened, found, labels, None)
    errors: list[UserError] = [other_widths(path, opened, trace)] if trace.other_width else []
    lines, numbers = places_of(picked, trace, opened)
    texts, text_pairs, label = picked.columns
    examples = Examples(
        *(texts, text_pairs if found.text_pair else None, label if found.label else None),
        *(str(path), found, labels.stripped),
        decisions=[*opened.decisions, *labels.sentences(str(path))],
        lines=lines,
        rows=numbers,
    )
    raise_all([*errors, *picked.errors(examples), *labels.errors(examples, optional=True)])
    return DataTable(opened.header, rows, examples)


def _recorded(opened: Rows, rows: list[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    for row in opened.rows:
        rows.append(row)
        yield row


def _of_examples(examples: Examples) -> DataTable:
    """Return the table of a file without other columns."""
    names = {"text": examples.texts, "text_pair": examples.text_pairs, "label": examples.labels}
    columns = {name: values for name, values in names.items() if values is not None}
    pair, label = (name if name in columns else None for name in ("text_pair", "label"))
    found = Columns("text", pair, label)
    rows = [*map(list, zip(*columns.values(), strict=True))]
    return DataTable([*columns], rows, replace(examples, columns=found))

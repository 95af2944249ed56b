"""The entries of an index, read from a table and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfpipe.config.index import IndexConfig
from tfpipe.data.column_names import is_unnamed
from tfpipe.data.table_rows import TableRows, read_table
from tfpipe.data.values import written
from tfpipe.errors import UserError, raise_all
from tfpipe.text_display import shorten


@dataclass(frozen=True)
class Entries:
    """N entries, in the order of the table.

    Attributes:
        ids: Their ids, all different.
        texts: The texts that are searched, all different.
        answers: The answers.
        payloads: The further columns of each as a JSON object; None of a table without any.
        columns: Names of the columns by role, None of those that the table lacks.
        notes: How the table was read where that is not evident: sentences without a full stop.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    answers: Sequence[str]
    payloads: Sequence[str] | None
    columns: Mapping[str, str | None]
    notes: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)


def read_entries(config: IndexConfig) -> Entries:
    """Read the entries of --data.

    Raises:
        UserError: The table cannot be read, or entries are empty or repeated; all errors together.
    """
    table = read_table(config.data, config.header)
    text = table.find_text(config.text)
    names = {"text": text} | {
        role: table.find(role, getattr(config, role)) for role in ("id", "answer")
    }
    texts = table.column(text)
    ids = table.column(names["id"]) if names["id"] else [str(n + 1) for n in range(len(texts))]
    answers = table.column(names["answer"]) if names["answer"] else texts
    raise_all([*_find_errors(table, names, ids, texts, answers)])
    return Entries(ids, texts, answers, _read_payloads(table, names), names, table.notes)


def _find_errors(
    table: TableRows,
    names: Mapping[str, str | None],
    ids: Sequence[str],
    texts: Sequence[str],
    answers: Sequence[str],
) -> Iterator[UserError]:
    for values, wrong, fix in (
        (ids, "entries have no id", f"fill the column {names['id']!r}"),
        (texts, "entries have no text", f"fill the column {names['text']!r}, or remove the rows"),
        (answers, "entries have no answer", f"fill the column {names['answer']!r}"),
    ):
        empty = [row for row, value in enumerate(values) if not value]
        # Without a column of answers the texts are the answers.
        if empty and not (values is answers and answers is texts):
            yield table.error(wrong, empty, fix)
    for values, what, fix in (
        (ids, "id", "give every entry an id of its own"),
        (texts, "text", "merge the entries, or make their texts differ"),
    ):
        repeated = _find_repeated(values)
        if repeated:
            first, second = repeated[0]
            found = f"{table.path}: {shorten(values[first], 60)!r} in {table.places[first]} and in"
            more = f", and {len(repeated) - 1:,} more" if repeated[1:] else ""
            yield UserError(
                f"entries have the same {what}", f"{found} {table.places[second]}{more}", fix
            )


def _find_repeated(values: Sequence[str]) -> list[tuple[int, int]]:
    """Return the rows of values that an earlier row has, too: (earlier, later)."""
    first: dict[str, int] = {}
    return [
        (first[value], row)
        for row, value in enumerate(values)
        if value and first.setdefault(value, row) != row
    ]


def _read_payloads(table: TableRows, names: Mapping[str, str | None]) -> list[str] | None:
    used = {*names.values()}
    places = [
        place
        for place, name in enumerate(table.header)
        if name not in used and not is_unnamed(name)
    ]
    if not places:
        return None
    return [
        json.dumps(
            {table.header[place]: _plain(row[place]) for place in places}, ensure_ascii=False
        )
        for row in table.values
    ]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; null for NaN, texts for dates and the like."""
    if value is None or isinstance(value, bool | int | list | dict):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return written(value)

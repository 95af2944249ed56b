"""The entries of an index, read from a table and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfpipe.config.index import IndexConfig
from tfpipe.data.column_names import TEXT_COLUMNS, find_name, is_unnamed
from tfpipe.data.examples import Columns
from tfpipe.data.tabular import open_rows
from tfpipe.data.values import written
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.text_display import count_of, list_few, shorten

# Names of each column, in the order in which they are looked for.
USUAL = {
    "id": ("id", "编号"),
    "text": ("text", "question", "文本", "问题", *TEXT_COLUMNS),
    "answer": ("answer", "答案", "回答"),
}


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


@dataclass
class TableRows:
    """The rows of a table by column, with the place of each for messages.

    Attributes:
        path: The file.
        header: The names of its columns.
        values: The values of each row, as the format has them.
        places: `line 7`, or `row 6` of a format without lines.
        notes: See Entries.
    """

    path: str
    header: Sequence[str]
    values: list[Sequence[Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    notes: Sequence[str] = ()

    def column(self, name: str) -> list[str]:
        """Return a column as texts without blanks around them; empty where a value is missing."""
        place = self.header.index(name)
        return [written(row[place]).strip() for row in self.values]

    def find(self, role: str, given: str | None) -> str | None:
        """Return the name of a role's column, None where there is none.

        Raises:
            UserError: It is given and does not exist.
        """
        if given is None:
            return find_name(self.header, USUAL[role])
        if given not in self.header:
            fix = f"{did_you_mean(given, self.header)}name one of its columns with --{role}"
            found = f"{self.path} has {', '.join(self.header)}; no {given!r}"
            raise UserError(f"the column of --{role} is missing", found, fix)
        return given

    def find_text(self, given: str | None) -> str:
        """Return the name of the column of the texts; raises UserError without one."""
        name = self.find("text", given)
        if name is None:
            fix = "call the column of the texts `text` or `question`, or name it with --text"
            found = f"{self.path} has {', '.join(self.header)}"
            raise UserError("the table has no column of texts", found, fix)
        return name

    def error(self, wrong: str, rows: Sequence[int], fix: str) -> UserError:
        """Return the error about some rows, which are counted, and the first of them named."""
        shown = list_few([self.places[row] for row in rows], show=str)
        return UserError(wrong, f"{self.path}: {count_of(len(rows), 'row')}, {shown}", fix)


def read_table(path: str, header: bool | None = None) -> TableRows:
    """Read all rows of a table of any format that is trained on.

    Raises:
        UserError: It cannot be read, or has no rows.
    """
    opened = open_rows(Path(path), columns=Columns(header=header))
    table = TableRows(path, opened.header, notes=opened.decisions)
    for number, row in enumerate(opened.rows, 1):
        line = opened.line()
        table.values.append(row)
        table.places.append(f"row {number}" if line is None else f"line {line}")
    if not table.values:
        raise UserError("the table has no rows", path, "give a table with a row for each entry")
    return table


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

"""A whole table of any format: its rows by column, and the place of each for messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfpipe.data.column_names import TEXT_COLUMNS, find_name
from tfpipe.data.examples import Columns
from tfpipe.data.tabular import open_rows
from tfpipe.data.values import written
from tfpipe.errors import UserError, did_you_mean
from tfpipe.text_display import count_of, list_few

# Names of each column, in the order in which they are looked for; of other roles the role itself.
USUAL = {
    "id": ("id", "编号"),
    "text": ("text", "question", "文本", "问题", *TEXT_COLUMNS),
    "answer": ("answer", "答案", "回答"),
}


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
            return find_name(self.header, USUAL.get(role, (role,)))
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
        raise UserError("the table has no rows", path, "give a table with rows below its header")
    return table

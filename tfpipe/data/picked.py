"""The columns of a data file that become examples, and the places of their rows."""

from __future__ import annotations

from array import array
from pathlib import Path

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.label_column import LabelColumn
from tfpipe.data.left_out import LeftOut
from tfpipe.data.row_errors import RowsError, RowsOf, in_several
from tfpipe.data.rows import Rows, Trace
from tfpipe.data.token_columns import read_value
from tfpipe.data.values import as_text
from tfpipe.errors import UserError


class Picked:
    """The values of the columns of text, second text and label; a column may be empty.

    Attributes:
        columns: The three columns.
        lines: The line of each row, 0 where a file has none.
        numbers: The number of each row that is kept, from 1.
    """

    def __init__(self) -> None:
        self.columns: list[list[str]] = [[], [], []]
        self.lines, self.numbers = array("q"), array("q")
        self._wrong: dict[int, str] = {}

    def read(
        self, opened: Rows, found: Columns, labels: LabelColumn, left_out: LeftOut | None
    ) -> None:
        """Read all rows but those that are left out."""
        header = opened.header
        texts = [(i, header.index(n)) for i, n in enumerate((found.text, found.text_pair)) if n]
        label = header.index(found.label) if found.label else None
        for number, row in enumerate(opened.rows, start=1):
            if left_out and left_out.holds(row):
                continue
            place = len(self.lines)
            self.lines.append(opened.line() or 0)
            self.numbers.append(number)
            try:
                values = [as_text(read_value(header[at], row[at])) or "" for _, at in texts]
                written = None if label is None else labels.read(row[label], place)
            except (TypeError, UnicodeError) as error:
                self._wrong[place] = str(error)
                values, written = [""] * len(texts), None if label is None else ""
            for (column, _), value in zip(texts, values, strict=True):
                self.columns[column].append(value)
            if written is not None:
                self.columns[2].append(written)

    def errors(self, examples: Examples) -> list[UserError]:
        """Return the error of rows with a value that is no text."""
        if not self._wrong:
            return []
        wrong = f"a value is not text{in_several(len(self._wrong), len(examples))}"
        of = RowsOf(examples, [*self._wrong], [*self._wrong.values()])
        return [RowsError("bad_value", wrong, examples.path, "mend or remove the row", of)]


def places_of(
    picked: Picked, trace: Trace, opened: Rows
) -> tuple[array[int] | None, array[int] | None]:
    """Return the lines of the rows, and their rows in a spreadsheet, as Examples has them."""
    if opened.line() is None:
        return None, picked.numbers
    if trace.begins:
        return picked.lines, trace.rows_of(picked.lines)
    # The rows of a workbook are its lines; JSON has no others.
    return (None, picked.lines) if trace.is_workbook else (picked.lines, None)


def other_widths(path: Path, opened: Rows, trace: Trace) -> UserError:
    """Return the error of the rows that are not as wide as the header."""
    rows = trace.other_width or []
    lines = array("q", (line for line, _ in rows))
    numbers = trace.rows_of(lines) if trace.begins else lines
    texts = ["\t".join(str(value) for value in row) for _, row in rows]
    examples = Examples(
        texts, None, None, str(path), Columns(), lines=lines if trace.begins else None, rows=numbers
    )
    details = [f"{len(row)} fields, {len(opened.header)} in {trace.first}" for _, row in rows]
    one, several = "a row is", f"{len(rows):,} rows are"
    return RowsError(
        "other_width",
        f"{several if rows[1:] else one} not as wide as {trace.first}",
        str(path),
        "check separators, tabs and quotes in these lines",
        RowsOf(examples, range(len(rows)), details),
    )

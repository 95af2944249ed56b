"""Errors of single rows of a data file, with the places of the rows and excerpts of their texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tfpipe.data.examples import Examples
from tfpipe.errors import UserError
from tfpipe.text_display import shorten

SHOWN, EXCERPT = 5, 40


class FileRow(NamedTuple):
    """A row of a data file that something was found about.

    Attributes:
        file: The file.
        line: The line at which it begins, counted from 1; None where a file has no lines.
        row: The row of a spreadsheet that opens the file, header counted; of other files the row.
        finding: What was found, as one word.
        text: Its text, pairs with ` | ` between.
        label: Its label as written.
    """

    file: str
    line: int | None
    row: int | None
    finding: str
    text: str
    label: str


class RowsOf(NamedTuple):
    """Some rows of examples.

    Attributes:
        examples: The examples.
        rows: Their numbers, from 0.
        details: What is wrong with each of them, for the first few or all; may be none.
    """

    examples: Examples
    rows: Sequence[int]
    details: Sequence[str] = ()

    def __str__(self) -> str:
        """The first few rows: `line 6 'Where is my ...'; line 9 'A card'; and 3 more`."""
        shown = [self._show(place) for place in range(min(SHOWN, len(self.rows)))]
        more = [f"and {len(self.rows) - SHOWN:,} more"] if self.rows[SHOWN:] else []
        return "; ".join([*shown, *more])

    def _show(self, place: int) -> str:
        row = self.rows[place]
        text = shorten(self.examples.texts[row], EXCERPT)
        detail = f" ({self.details[place]})" if place < len(self.details) else ""
        return f"{name_row(self.examples, row)} {text!r}{detail}"

    def in_file(self, finding: str) -> Iterator[FileRow]:
        """Yield the rows as the file has them."""
        examples, joined = self.examples, self.examples.joined()
        for row in self.rows:
            line = examples.lines[row] if examples.lines else None
            number = examples.rows[row] if examples.rows else None
            label = examples.labels[row] if examples.labels else ""
            yield FileRow(examples.path, line, number, finding, joined[row], label)


class RowsError(UserError):
    """A mistake in some rows of a data file.

    Attributes:
        finding: The kind of mistake, as one word.
        of: The rows.
    """

    def __init__(self, finding: str, wrong: str, found: str, fix: str, of: RowsOf):
        """Create the error; `found` is what precedes the places of the rows."""
        super().__init__(wrong, f"{found}: {of}", fix)
        self.finding, self.of = finding, of


def name_row(examples: Examples, row: int) -> str:
    """Return the place of an example in its file; row: from 0.

    It is the line, and where a field before it holds line breaks, the row of a spreadsheet, too.
    """
    number = examples.rows[row] if examples.rows else row + 1
    if not examples.lines:
        return f"row {number}"
    line = examples.lines[row]
    return (
        f"line {line}, row {number} of the sheet"
        if examples.rows and number != line
        else f"line {line}"
    )


def in_several(count: int, rows: int) -> str:
    """Return how many rows of a file an error is about, to be added to what is wrong."""
    return "" if count == 1 else f", in {count:,} of {rows:,} rows"


def without_rows(examples: Examples, errors: Iterable[UserError]) -> Examples:
    """Return the examples without the rows that some of the errors are about."""
    wrong = {
        row
        for error in errors
        if isinstance(error, RowsError) and error.of.examples is examples
        for row in error.of.rows
    }
    return examples.without(wrong) if wrong else examples

"""The rows of a data file as they are read, with what is known about the reading."""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tfpipe.errors import UserError

T = TypeVar("T")
HELD = 200  # rows that are looked at before columns are chosen
# Rows with the lines, counted from 1, at which they begin.
Numbered = Iterator[tuple[int, Sequence[Any]]]


@dataclass(frozen=True)
class Rows:
    """An open data file.

    Attributes:
        header: The column names, without blanks around them.
        rows: The rows as they are read, each as wide as the header.
        share_read: Returns the share of the file read so far, 0 to 1.
        decisions: How the file is read where that is not evident: sentences without a full stop.
        line: Returns the line, counted from 1, at which the row that was yielded last begins; None
            before the first row and where a file has no lines.
        first_row: The first row of a file without a header, for messages; None with a header.
        may_lack_header: Whether the header was taken from a first row that might be data.
    """

    header: list[str]
    rows: Iterator[Sequence[Any]]
    share_read: Callable[[], float]
    decisions: list[str] = field(default_factory=list)
    line: Callable[[], int | None] = lambda: None
    first_row: Sequence[str] | None = None
    may_lack_header: bool = False


@dataclass
class Trace:
    """What is noted while a file is read whole.

    Attributes:
        begins: The lines at which the records of a separated file begin, header and blank ones
            included: the rows of a spreadsheet that opens it.
        other_width: Rows of another width than the header, with their lines; None where they are
            an error at once.
        first: What gives the width.
        is_workbook: Whether what counts as lines are the rows of a workbook.
    """

    begins: array[int] = field(default_factory=lambda: array("q"))
    other_width: list[tuple[int, Sequence[Any]]] | None = None
    first: str = ""
    is_workbook: bool = False

    def rows_of(self, lines: array[int]) -> array[int]:
        """Return the rows of a spreadsheet, counted from 1, that begin at lines of the file."""
        return array("q", (bisect_left(self.begins, line) + 1 for line in lines))

    def follow(self, records: Iterable[tuple[int, T]]) -> Iterator[tuple[int, T]]:
        """Yield the records of a separated file."""
        for line, record in records:
            self.begins.append(line)
            yield line, record


def check_widths(
    path: Path, rows: Iterable[tuple[int, Sequence[Any]]], width: int, trace: Trace
) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield the rows of that width; raises UserError for another one, unless the trace notes it."""
    for line, row in rows:
        if len(row) == width:
            yield line, row
        elif trace.other_width is not None:
            trace.other_width.append((line, row))
        else:
            raise UserError(
                f"a row is not as wide as {trace.first}",
                f"{path}, line {line}: {len(row)} fields, {width} in {trace.first}",
                "check separators, tabs and quotes in that line",
            )


class LineMark:
    """Yields values that come with the lines where they begin, and holds the last one's line."""

    def __init__(self) -> None:
        self.line: int | None = None

    def follow(self, numbered: Iterable[tuple[int | None, T]]) -> Iterator[T]:
        """Yield the values."""
        for self.line, value in numbered:
            yield value


def hold_rows(opened: Rows, count: int = HELD) -> tuple[Rows, list[Sequence[Any]]]:
    """Return the file as before, and its first rows, by which columns are distinguished.

    A broken row among them is reported where it stands, when the rows before it have been read.
    """
    seen: list[tuple[int | None, Sequence[Any]]] = []
    broken: UserError | None = None
    try:
        # What was read before an error stays in the list.
        seen.extend((opened.line(), row) for row in itertools.islice(opened.rows, count))
    except UserError as error:
        broken = error
    mark = LineMark()

    def rows() -> Iterator[tuple[int | None, Sequence[Any]]]:
        yield from seen
        if broken is not None:
            raise broken
        yield from ((opened.line(), row) for row in opened.rows)

    held = replace(opened, rows=mark.follow(rows()), line=lambda: mark.line)
    return held, [row for _, row in seen]

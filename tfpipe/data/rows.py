"""The rows of a data file as they are read, with what is known about the reading."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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


class LineMark:
    """Yields values that come with the lines where they begin, and holds the last one's line."""

    def __init__(self) -> None:
        self.line: int | None = None

    def follow(self, numbered: Iterable[tuple[int | None, T]]) -> Iterator[T]:
        """Yield the values."""
        for self.line, value in numbered:
            yield value


def hold_rows(opened: Rows, count: int = HELD) -> tuple[Rows, list[Sequence[Any]]]:
    """Return the file as before, and its first rows, by which columns are told from each other.

    A broken row among them is told where it stands, when the rows before it have been read.
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

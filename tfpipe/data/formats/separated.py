"""Lines of separated fields to rows: CSV, TSV and their relatives."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tfpipe.errors import UserError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


class Dialect(NamedTuple):
    """How fields are written.

    Attributes:
        separator: Between fields.
        quoted: Whether quotes around a field are not part of it; in others a quote is a character.
        first_line: The line, counted from 1, with which the table begins.
    """

    separator: str
    quoted: bool
    first_line: int = 1


def read_records(
    path: Path, lines: Iterator[str], dialect: Dialect
) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each row with the line where it begins; a blank line has none.

    Raises:
        UserError: The quoting is broken.
    """
    for _ in range(1, dialect.first_line):
        next(lines, None)
    if dialect.quoted:
        return _read_quoted(path, lines, dialect)
    return _read_unquoted(lines, dialect)


def _read_unquoted(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    # Only "\n" ends a line: str.splitlines would also break at U+2028 or a form feed in a text.
    for number, line in enumerate(lines, start=dialect.first_line):
        bare = line.removesuffix("\n").removesuffix("\r")
        yield number, bare.split(dialect.separator) if bare else []


def _read_quoted(
    path: Path, lines: Iterable[str], dialect: Dialect
) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(split_at_returns(lines), delimiter=dialect.separator, strict=True)
    # The line where a record begins: a quote that is never closed swallows all that follow.
    line = dialect.first_line
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + dialect.first_line
    except csv.Error as error:
        raise UserError(
            "the CSV quoting is broken",
            f"{path}, record from line {line}: {error}",
            'write quotes inside a quoted field as ""',
        ) from None


def split_at_returns(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that end at a carriage return, too, as some old programs write CSV."""
    for line in lines:
        if "\r" in line:
            yield from io.StringIO(line, newline="")
        else:
            yield line

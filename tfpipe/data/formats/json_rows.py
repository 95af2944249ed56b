"""JSON to rows: one object a line, or an array of objects."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfpipe.data.formats.header import Table
from tfpipe.errors import UserError

BETWEEN = (" ", "\n", "\r", "\t", ",")
EXAMPLE = '{"text": "...", "label": "..."}'


def read_lines(path: Path, lines: Iterable[str], look_ahead: int | None) -> Table:
    """Read one object a line.

    Args:
        path: The file, for messages.
        lines: Its lines.
        look_ahead: Objects that are held to find the columns; None holds all of them.

    Raises:
        UserError: A line is not an object: of the first ones here, of later ones while iterating.
    """
    return _tabulate(_parse_lines(path, lines), look_ahead)


def read_array(path: Path, lines: Iterable[str]) -> Table:
    """Read an array of objects, whole, as JSON must be; raises UserError."""
    return _tabulate(_parse_array(path, "".join(lines)), None)


def _tabulate(records: Iterator[tuple[int, dict[str, Any]]], look_ahead: int | None) -> Table:
    seen = list(itertools.islice(records, look_ahead))
    header = list(dict.fromkeys(key for _, record in seen for key in record))
    every = itertools.chain(seen, records)
    rows = ((line, [record.get(name) for name in header]) for line, record in every)
    return Table(header, rows, [])


def _parse_lines(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                "a line is not JSON", f"{path}, line {number}: {error}", "write one object a line"
            ) from None
        if not isinstance(record, dict):
            raise UserError(
                "a line is not a JSON object",
                f"{path}, line {number}: {type(record).__name__}",
                f"write lines such as {EXAMPLE}",
            )
        yield number, record


def _parse_array(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects one by one with their lines, so that their number may be large."""
    decoder = json.JSONDecoder()
    place, line, counted = text.index("[") + 1, 1, 0
    while True:
        while text[place : place + 1] in BETWEEN:
            place += 1
        line, counted = line + text.count("\n", counted, place), place
        if text.startswith("]", place):
            rest = text[place + 1 :].strip()
            if rest:
                raise _broken(path, line, f"{rest[:40]!r} after the end of the array")
            return
        try:
            record, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise _broken(path, line, str(error)) from None
        if not isinstance(record, dict):
            raise UserError(
                "an element of the array is not a JSON object",
                f"{path}, line {line}: {type(record).__name__}",
                f"write an array of objects such as {EXAMPLE}",
            )
        yield line, record


def _broken(path: Path, line: int, found: str) -> UserError:
    return UserError(
        "the file is not a JSON array",
        f"{path}, in the element from line {line}: {found}",
        "write it again, or write one object a line",
    )

"""Texts of standard input or a file, streamed."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from serving.client.errors import InvalidRequest

Row = tuple[str, ...]
MAX_FIELD_BYTES = 2**31 - 1


def read_rows(
    file: str | None, fields: Sequence[str], columns: Sequence[str | None], pairs: bool
) -> Iterator[Row]:
    """Yield one row for each record of a file or line of text.

    Args:
        file: Path; None: standard input. CSV, TSV and JSON lines have named columns, other
            files one text on each line.
        fields: Default column names of the one or two texts of a row.
        columns: Column names given by the user, for each field; None: the field's own name.
        pairs: Lines hold two texts separated by a tab.

    Raises:
        InvalidRequest: A record does not fit; the message names its line.
    """
    kind = Path(file).suffix.lower() if file else ""
    if kind in (".csv", ".tsv", ".jsonl"):
        records = {".csv": _read_csv, ".tsv": _read_tsv, ".jsonl": _read_jsonl}[kind]
        yield from _choose(str(file), records(str(file)), fields, columns)
        return
    if any(columns):
        raise InvalidRequest(
            f"Column {next(filter(None, columns))!r} needs a file with named columns. The input is "
            f"{file or 'standard input'}. Give --data with .csv, .tsv or .jsonl."
        )
    for number, line in read_lines(file):
        yield _split_pair(number, line) if pairs else (line,)


def read_lines(file: str | None) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a UTF-8 file or of standard input; an empty line is an empty text.

    Invalid UTF-8 becomes U+FFFD on standard input; in a file it is an error.
    """
    if file:
        for number, line in enumerate(_decode_file(file), start=1):
            yield number, line.rstrip("\r\n")
        return
    if sys.stdin.isatty():
        print("Reading lines from standard input; Ctrl-D ends.", file=sys.stderr)
    for number, line_bytes in enumerate(sys.stdin.buffer, start=1):
        yield number, line_bytes.decode("utf-8", "replace").rstrip("\r\n")


def _decode_file(file: str) -> Iterator[str]:
    try:
        with Path(file).open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except OSError as error:
        raise InvalidRequest(
            f"The file cannot be read. {file}: {error.strerror}. Check its path and permissions."
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The file is not valid UTF-8. {file}, line {number}: byte "
            f"0x{error.object[error.start]:02x}. Save it as UTF-8."
        ) from None


def _read_csv(file: str, separator: str = ",") -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(MAX_FIELD_BYTES)
    reader = csv.reader(_decode_file(file), delimiter=separator, strict=True)
    try:
        yield from _name_fields(file, ((reader.line_num, row) for row in reader))
    except csv.Error as error:
        raise InvalidRequest(
            f"The quoting is invalid. {file}, line {reader.line_num}: {error}. "
            'Write quotes inside a quoted field as "".'
        ) from None


def _read_tsv(file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = (line.rstrip("\r\n") for line in _decode_file(file))
    header = next((line for _, line in read_lines(file)), "").split("\t")
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        # As in tfpipe: quotes around the names mark a quoted TSV; elsewhere they are characters.
        yield from _read_csv(file, separator="\t")
    else:
        rows = (line.split("\t") if line else [] for line in lines)
        yield from _name_fields(file, enumerate(rows, start=1))


def _name_fields(
    file: str, rows: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    header: list[str] = []
    for number, row in rows:
        if not header:
            header = [name.strip() for name in row]
        elif len(row) == len(header):
            yield number, dict(zip(header, row, strict=True))
        elif row:
            raise InvalidRequest(
                f"A row and the header differ in width. {file}, line {number}: {len(row)} fields, "
                f"{len(header)} in the header. Check separators and quotes in that line."
            )


def _read_jsonl(file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in read_lines(file):
        if line.strip():
            yield number, read_object(line, f"{file}, line {number}")


def read_object(line: str, place: str) -> dict[str, Any]:
    """Parse a JSON object; raises InvalidRequest that names `place`."""
    try:
        record = json.loads(line)
    except ValueError as error:
        raise InvalidRequest(
            f"A line is not JSON. {place}: {error}. Write one JSON object on each line."
        ) from None
    if not isinstance(record, dict):
        raise InvalidRequest(
            f'A line is not a JSON object. {place}: {line[:60]}. Write {{"name": value}}.'
        )
    return record


def _choose(
    file: str,
    records: Iterable[tuple[int, dict[str, Any]]],
    fields: Sequence[str],
    columns: Sequence[str | None],
) -> Iterator[Row]:
    """Yield the rows of the columns; the first record decides whether there are pairs."""
    names: list[str] = []
    for number, record in records:
        if not names:
            names = [column or field for column, field in zip(columns, fields, strict=True)]
            # A second text without a column name of the user is optional.
            while len(names) > 1 and not columns[len(names) - 1] and names[-1] not in record:
                names.pop()
        values = [value for value in map(record.get, names) if isinstance(value, str)]
        if len(values) < len(names):
            raise InvalidRequest(
                f"A column has no text. {file}, line {number}: {names} of "
                f"{list(record)}. Name the columns with --text and --pair-column."
            )
        yield tuple(values)


def _split_pair(number: int, line: str) -> Row:
    parts = tuple(line.split("\t"))
    if len(parts) != 2:
        raise InvalidRequest(
            f"With --pairs a line is two texts separated by one tab. Line {number}, "
            f"{line[:60]!r}, has {len(parts) - 1} tabs. Check that line."
        )
    return parts

"""Tabular files to rows: the format by name and content, and how it is to be read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfpipe.data.examples import Columns
from tfpipe.data.formats.content import PARQUET, XLSX, Content, refuse_content
from tfpipe.data.formats.dialect import find_dialect
from tfpipe.data.formats.fasttext import is_fasttext, read_fasttext
from tfpipe.data.formats.header import Table, split_header
from tfpipe.data.formats.json_rows import read_array, read_lines
from tfpipe.data.formats.parquet import read_parquet
from tfpipe.data.formats.separated import read_records
from tfpipe.data.formats.spreadsheet import read_workbook
from tfpipe.data.rows import LineMark, Rows, Trace, check_widths
from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError

JSON_LINES = (".jsonl", ".ndjson", ".json")
SEPARATED = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
BINARY = {".parquet": PARQUET, ".xlsx": XLSX, ".xlsm": XLSX}
# Named for messages: .txt has fastText's lines or tabs.
FORMATS = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
SPREADSHEETS = (".xls", ".ods", ".numbers")
# What is no space in Unicode, and yet cannot be seen at the end of a name: zero-width space and
# word joiner, byte order mark, marks of direction.
INVISIBLE = "\u200b\u2060\ufeff\u200e\u200f"
SPACES = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
BLANKS = SPACES + INVISIBLE


def read_rows(
    path: Path, columns: Columns | None = None
) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Read column names, without blanks around them, and an iterator of rows as wide as the header.

    Raises:
        UserError: The file is missing, empty, of unknown format, in an uncertain encoding or
            broken: for its beginning here, for a later row while iterating, with its line.
    """
    opened = open_rows(path, columns=columns)
    return opened.header, opened.rows


def open_rows(
    path: Path,
    look_ahead: int | None = None,
    columns: Columns | None = None,
    trace: Trace | None = None,
) -> Rows:
    """Open a file as `read_rows` does, without holding it whole.

    How it is encoded and quoted is decided from all of it, in passes over the file before the
    first row.

    Args:
        path: The file; it may be larger than memory unless `look_ahead` is None or it is an array
            of JSON.
        look_ahead: Records of a .jsonl that are held to find its columns; None holds all of them,
            because any may add a column.
        columns: Names given by the user, and whether there is a header.
        trace: Notes what is known about the rows; None where rows of another width are an error.
    """
    columns = columns or Columns()
    kind, zipped = split_ending(path)
    if kind not in (*JSON_LINES, *SEPARATED, *BINARY, *SPREADSHEETS):
        raise _unknown_ending(path, DataFile(path, False).is_content if path.is_file() else None)
    file = DataFile(path, zipped)
    content = _binary_content(file, kind)
    if content is PARQUET:
        opened = read_parquet(file)
        return replace(opened, header=[*map(strip_blanks, opened.header)])
    noted = trace or Trace()
    noted.is_workbook = content is XLSX
    if content is XLSX:
        return _rows_of(file, read_workbook(file, columns), noted)
    if kind in SEPARATED:
        # Without a trace the lines are not kept: there may be any number of them.
        return _rows_of(file, _read_separated(file, kind, columns, trace), noted)
    return _rows_of(file, _read_json(file, look_ahead), noted)


def _rows_of(file: DataFile, table: Table, trace: Trace) -> Rows:
    mark = LineMark()
    trace.first = "the header" if table.first_row is None else "the first row"
    return Rows(
        [*map(strip_blanks, table.header)],
        mark.follow(check_widths(file.path, table.rows, len(table.header), trace)),
        lambda: file.share_read,
        [*file.decisions, *table.decisions],
        lambda: mark.line,
        table.first_row,
        table.may_lack_header,
    )


def split_ending(path: Path) -> tuple[str, bool]:
    """Return the ending that determines the format, in lower case, and whether it is gzipped."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    return "".join(suffixes[-2:-1] if zipped else suffixes[-1:]), zipped


def strip_blanks(name: str) -> str:
    """Strip spaces and invisible characters around the name of a column or label."""
    return name.strip(BLANKS)


def holds_objects(path: Path) -> bool:
    """Return whether a .json is an array or lines of objects, not one document as SQuAD's.

    Raises:
        UserError: The file cannot be read.
    """
    lines = DataFile(path, split_ending(path)[1]).lines()
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("["):
        return True
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and not isinstance(record.get("data"), list)


def _binary_content(file: DataFile, kind: str) -> Content | None:
    """Return parquet or Excel by the file's content, or else its name; None for text."""
    if file.is_content in (PARQUET, XLSX):
        if BINARY.get(kind) is not file.is_content:
            sentence = (
                f"read {file.path.name} as {file.is_content.name}, which its name does not say"
            )
            file.decisions.append(sentence)
        return file.is_content
    if kind in SPREADSHEETS:
        raise UserError(
            f"{kind} is not read",
            str(file.path),
            "save it as .xlsx, or as CSV in UTF-8; a text file needs the name of what it is",
        )
    return BINARY.get(kind) if not file.is_content else None


def _read_separated(file: DataFile, kind: str, columns: Columns, trace: Trace | None) -> Table:
    first = next((line for line in file.lines() if line.strip()), None)
    if first is None:
        raise file.empty()
    if is_fasttext(first):
        return read_fasttext(file.path.name, file.lines())
    if kind == ".txt" and "\t" not in first:
        raise _unknown_ending(file.path)
    dialect, decisions = find_dialect(file, SEPARATED[kind])
    records = read_records(file.path, file.lines(), dialect)
    table = split_header(file.path, trace.follow(records) if trace else records, columns)
    return table._replace(decisions=[*decisions, *table.decisions])


def _read_json(file: DataFile, look_ahead: int | None) -> Table:
    lines, blank = file.lines(), []
    for line in lines:
        blank.append(line)
        if line.strip():
            break
    else:
        raise file.empty()
    every = itertools.chain(blank, lines)
    if blank[-1].lstrip().startswith("["):
        file.decisions.append(f"read {file.path.name} as a JSON array of objects")
        return read_array(file.path, every)
    if split_ending(file.path)[0] == ".json":
        file.decisions.append(f"read {file.path.name} as one JSON object a line")
    return read_lines(file.path, every, look_ahead)


def _unknown_ending(path: Path, content: Content | None = None) -> UserError:
    if content is not None:
        return refuse_content(path, content)
    return UserError(
        "the data file's format is not known by its ending",
        str(path),
        f"name it {', '.join(FORMATS)}, .conll (tags) or .json (SQuAD, or rows as in .jsonl), or"
        " one with .gz",
    )

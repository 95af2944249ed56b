"""Tabular files to rows: csv, tsv, jsonl and parquet, each also gzipped."""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
PARQUET_ROWS = 1024  # read at once
HELD = 200  # rows that are looked at before columns are chosen
T = TypeVar("T")
# What is no space in Unicode, and yet cannot be seen at the end of a name: zero-width space and
# word joiner, byte order mark, marks of direction.
INVISIBLE = "\u200b\u2060\ufeff\u200e\u200f"
SPACES = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
BLANKS = SPACES + INVISIBLE


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
    """

    header: list[str]
    rows: Iterator[Sequence[Any]]
    share_read: Callable[[], float]
    decisions: list[str] = field(default_factory=list)
    line: Callable[[], int | None] = lambda: None


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


def read_rows(path: Path) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Read column names, without blanks around them, and an iterator of rows as wide as the header.

    Raises:
        UserError: The file is missing, empty, of unknown format, not valid UTF-8 or broken: for its
            beginning here, for a later row while iterating, with its line.
    """
    opened = open_rows(path)
    return opened.header, opened.rows


def open_rows(path: Path, look_ahead: int | None = None) -> Rows:
    """Open a file as `read_rows` does, without reading it whole.

    Args:
        path: The file; it may be larger than memory unless `look_ahead` is None.
        look_ahead: Records of a .jsonl that are held to find its columns; None holds all of them,
            because any may add a column.
    """
    kind, zipped = split_ending(path)
    if kind not in FORMATS:
        raise UserError(
            "the data file's format is not known by its ending",
            str(path),
            f"name it {', '.join(FORMATS)}, .conll (tags) or .json (SQuAD), or one with .gz",
        )
    file = DataFile(path, zipped)
    if kind == ".parquet":
        return _read_parquet(file, zipped)
    lines = _skip_to_content(file)
    if kind == ".csv":
        header, rows = _read_csv(path, lines)
    elif kind == ".tsv":
        header, rows = _read_tsv(path, lines)
    else:
        header, rows = _read_jsonl(path, lines, look_ahead)
    mark = LineMark()
    return Rows(
        [*map(strip_blanks, header)],
        mark.follow(rows),
        lambda: file.share_read,
        line=lambda: mark.line,
    )


def split_ending(path: Path) -> tuple[str, bool]:
    """Return the ending that determines the format, in lower case, and whether it is gzipped."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    return "".join(suffixes[-2:-1] if zipped else suffixes[-1:]), zipped


def strip_blanks(name: str) -> str:
    """Strip spaces and invisible characters around the name of a column or label."""
    return name.strip(BLANKS)


def _skip_to_content(file: DataFile) -> Iterator[str]:
    """All lines, once one that is not blank was seen; blank ones count for the line numbers."""
    lines, blank = file.lines(), []
    for line in lines:
        blank.append(line)
        if line.strip():
            return itertools.chain(blank, lines)
    raise _empty(file.path)


def _empty(path: Path) -> UserError:
    return UserError("the data file is empty", str(path), "give a file with a header and rows")


def _read_csv(
    path: Path, lines: Iterable[str], separator: str = ","
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(_split_at_returns(lines), delimiter=separator, strict=True)

    def numbered() -> Iterator[tuple[int, list[str]]]:
        # The line where a record begins: a quote that is never closed swallows all that follow.
        line = 1
        try:
            for row in reader:
                yield line, row
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(
                "the CSV quoting is broken",
                f"{path}, record from line {line}: {error}",
                'write quotes inside a quoted field as ""',
            ) from None

    return _split_header(path, numbered())


def _split_at_returns(lines: Iterable[str]) -> Iterator[str]:
    """Lines that end at a carriage return, too, as some old programs write CSV."""
    for line in lines:
        if "\r" in line:
            yield from io.StringIO(line, newline="")
        else:
            yield line


def _read_tsv(
    path: Path, lines: Iterator[str]
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    # Only "\n" ends a line: str.splitlines would also break at U+2028 or a form feed in a text.
    before = []
    for line in lines:
        before.append(line)
        if line.strip():
            break
    header = _bare(before[-1]).split("\t")
    lines = itertools.chain(before, lines)
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        # A header in quotes is how spreadsheets and pandas mark a quoted TSV; in all others a
        # quote character is a character.
        return _read_csv(path, lines, separator="\t")
    fields = (line.split("\t") if line else [] for line in map(_bare, lines))
    return _split_header(path, enumerate(fields, start=1))


def _bare(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _split_header(
    path: Path, numbered: Iterable[tuple[int, list[str]]]
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The first row that is not blank, and the rows after it; blank lines are passed over."""
    rest = iter(numbered)
    header = next((row for _, row in rest if "".join(row).strip()), [])

    def rows() -> Iterator[tuple[int, list[str]]]:
        for line, row in rest:
            # In a file of one column a field of spaces is a row.
            if not row or (len(row) == 1 < len(header) and not row[0].strip()):
                continue
            if len(row) != len(header):
                raise UserError(
                    "a row is not as wide as the header",
                    f"{path}, line {line}: {len(row)} fields, {len(header)} in the header",
                    "check separators, tabs and quotes in that line",
                )
            yield line, row

    return header, rows()


def _read_jsonl(
    path: Path, lines: Iterable[str], look_ahead: int | None
) -> tuple[list[str], Iterator[tuple[int, list[Any]]]]:
    records = _parse_records(path, lines)
    seen = list(itertools.islice(records, look_ahead))
    header = list(dict.fromkeys(key for _, record in seen for key in record))
    every = itertools.chain(seen, records)
    return header, ((line, [record.get(name) for name in header]) for line, record in every)


def _parse_records(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
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
                'write lines such as {"text": "...", "label": "..."}',
            )
        yield number, record


def _read_parquet(file: DataFile, zipped: bool) -> Rows:
    import pyarrow
    import pyarrow.parquet

    path, content = file.path, file.content
    if zipped:
        # Its table of contents is at the end, so a parquet file cannot be read in one go.
        content = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the last row that needs it)
        try:
            shutil.copyfileobj(file.content, content)
        except (OSError, EOFError, zlib.error) as error:
            raise file.unreadable(error) from None
    if not content.seek(0, io.SEEK_END):
        raise _empty(path)

    def broken(error: Exception) -> UserError:
        return UserError(
            "the file cannot be read as parquet",
            f"{path}: {error}",
            "write it again, or give another format",
        )

    failures = (pyarrow.ArrowException, OSError, UnicodeDecodeError)
    try:
        # A buffer and no reading ahead: else whole row groups, which have no largest size.
        table = pyarrow.parquet.ParquetFile(content, buffer_size=2**20, pre_buffer=False)
        header, count = table.schema_arrow.names, table.metadata.num_rows
    except failures as error:
        raise broken(error) from None
    done = 0

    def rows() -> Iterator[Sequence[Any]]:
        nonlocal done
        try:
            for batch in table.iter_batches(PARQUET_ROWS):
                columns = [column.to_pylist() for column in batch.columns]
                yield from zip(*columns, strict=True)
                done += len(batch)
        except failures as error:
            raise broken(error) from None

    return Rows([*map(strip_blanks, header)], rows(), lambda: done / count if count else 0.0)

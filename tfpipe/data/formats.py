"""File formats to rows: csv, tsv, jsonl and parquet, each also gzipped."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError, did_you_mean

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_rows(path: Path) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Column names, without spaces around them, and an iterator of rows as wide as the header.

    Raises UserError for a file that is missing, empty, of unknown format, not valid UTF-8 or
    broken; for a broken row while iterating, with its line.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if zipped else suffixes[-1:])
    if kind not in FORMATS:
        raise UserError(
            "the data file's format is not known by its ending",
            str(path),
            f"name it {', '.join(FORMATS)}, or one of these with .gz",
        )
    content = _read_content(path, zipped)
    if kind == ".parquet" and content:
        header, rows = _read_parquet(path, content)
    else:
        text = _decode(path, content)
        if not text.strip():
            raise UserError(
                "the data file is empty", str(path), "give a file with a header and rows"
            )
        read = {".csv": _read_csv, ".tsv": _read_tsv, ".jsonl": _read_jsonl}[kind]
        header, rows = read(path, text)
    return [name.strip() for name in header], rows


def _read_content(path: Path, zipped: bool) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if zipped else content
    except FileNotFoundError:
        raise UserError("the data file is missing", str(path), _similar_files(path)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            "the data file cannot be read", f"{path}: {error}", "check the file and its rights"
        ) from None


def _similar_files(path: Path) -> str:
    siblings: list[str] = []
    with suppress(OSError):
        siblings = [child.name for child in path.parent.iterdir()]
    return f"{did_you_mean(path.name, siblings)}check the path"


def _decode(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        source = "UTF-16" if content.startswith(UTF_16_MARKS) else "GB18030"
        raise UserError(
            "the data file is not valid UTF-8",
            f"{path}, line {line}: byte 0x{content[error.start]:02x}",
            f"save it as UTF-8; if it comes from Windows, perhaps `iconv -f {source} -t UTF-8`",
        ) from None
    if "\0" in text:
        # No text has it, and not every Python's csv reads it.
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(
            "the data file holds NUL characters",
            f"{path}, line {line}",
            "save it as UTF-8 text, or remove them with `tr -d '\\000'`",
        )
    return text


def _read_csv(path: Path, text: str, separator: str = ",") -> tuple[list[str], Iterator[list[str]]]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)

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


def _read_tsv(path: Path, text: str) -> tuple[list[str], Iterator[list[str]]]:
    # Only "\n" ends a line: str.splitlines would also break at U+2028 or a form feed in a text.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    header = next(line for line in lines if line.strip()).split("\t")
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        # A header in quotes is how spreadsheets and pandas mark a quoted TSV; in all others a
        # quote character is a character.
        return _read_csv(path, text, separator="\t")
    fields = (line.split("\t") if line else [] for line in lines)
    return _split_header(path, enumerate(fields, start=1))


def _split_header(
    path: Path, numbered: Iterable[tuple[int, list[str]]]
) -> tuple[list[str], Iterator[list[str]]]:
    """The first row that is not blank, and the rows after it; blank lines are passed over."""
    rest = iter(numbered)
    header = next((row for _, row in rest if "".join(row).strip()), [])

    def rows() -> Iterator[list[str]]:
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
            yield row

    return header, rows()


def _read_jsonl(path: Path, text: str) -> tuple[list[str], Iterator[list[Any]]]:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
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
        records.append(record)
    header = list(dict.fromkeys(key for record in records for key in record))
    return header, ([record.get(name) for name in header] for record in records)


def _read_parquet(path: Path, content: bytes) -> tuple[list[str], Iterator[Sequence[Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(io.BytesIO(content)).read()
        columns = [column.to_pylist() for column in table.columns]
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(
            "the file cannot be read as parquet",
            f"{path}: {error}",
            "write it again, or give another format",
        ) from None
    return table.column_names, zip(*columns, strict=True)

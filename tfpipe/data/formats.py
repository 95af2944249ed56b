"""File formats to rows: csv, tsv, jsonl and parquet, each also gzipped."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError, did_you_mean

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")


def read_rows(path: Path) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Column names and an iterator of rows as wide as the header.

    Raises UserError for a file that is missing, empty, of unknown format, not valid UTF-8 or
    broken; for a broken row while iterating, with its line.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if zipped else suffixes[-1:])
    if kind not in FORMATS:
        raise UserError(
            "the data file's format is not known by its ending",
            path.name,
            f"name it {', '.join(FORMATS)}, or one of these with .gz",
        )
    try:
        content = path.read_bytes()
        if zipped:
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise UserError("the data file is missing", str(path), _similar_files(path)) from None
    except (OSError, EOFError) as error:
        raise UserError(
            "the data file cannot be read", f"{path}: {error}", "check the file and its rights"
        ) from None
    if kind == ".parquet" and content:
        return _read_parquet(path, content)
    text = _decode(path, content)
    if not text.strip():
        raise UserError("the data file is empty", str(path), "give a file with a header and rows")
    return {".csv": _read_csv, ".tsv": _read_tsv, ".jsonl": _read_jsonl}[kind](path, text)


def _similar_files(path: Path) -> str:
    siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"{did_you_mean(path.name, siblings)}check the path"


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            "the data file is not valid UTF-8",
            f"{path}, line {line}: byte 0x{content[error.start]:02x}",
            "save it as UTF-8, for example with `iconv -f GB18030 -t UTF-8` for Chinese Windows",
        ) from None


def _read_csv(path: Path, text: str, separator: str = ",") -> tuple[list[str], Iterator[list[str]]]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = next(reader)
    except csv.Error as error:
        raise _broken_csv(path, reader.line_num, error) from None

    def rows() -> Iterator[list[str]]:
        try:
            for row in reader:
                if row:
                    yield _as_wide_as(header, row, path, reader.line_num)
        except csv.Error as error:
            raise _broken_csv(path, reader.line_num, error) from None

    return header, rows()


def _broken_csv(path: Path, line: int, error: csv.Error) -> UserError:
    return UserError(
        "the CSV quoting is broken", f"{path}, line {line}: {error}", 'write quotes inside as ""'
    )


def _read_tsv(path: Path, text: str) -> tuple[list[str], Iterator[list[str]]]:
    # Only "\n" ends a line: str.splitlines would also break at U+2028 or a form feed in a text.
    lines = text.split("\n")
    header = lines[0].rstrip("\r").split("\t")
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        # A header in quotes is how spreadsheets and pandas mark a quoted TSV; in all others a
        # quote character is a character.
        return _read_csv(path, text, separator="\t")

    def rows() -> Iterator[list[str]]:
        for number, line in enumerate(lines[1:], start=2):
            line = line.removesuffix("\r")
            if line:
                yield _as_wide_as(header, line.split("\t"), path, number)

    return header, rows()


def _as_wide_as(header: list[str], row: list[str], path: Path, line: int) -> list[str]:
    if len(row) != len(header):
        raise UserError(
            "a row is not as wide as the header",
            f"{path}, line {line}: {len(row)} fields, {len(header)} in the header",
            "check separators, tabs and quotes in that line",
        )
    return row


def _read_jsonl(path: Path, text: str) -> tuple[list[str], Iterator[list[Any]]]:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
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
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    except pyarrow.ArrowException as error:
        raise UserError(
            "the file is not parquet", f"{path}: {error}", "write it again, or give another format"
        ) from None
    return table.column_names, zip(*(c.to_pylist() for c in table.columns), strict=True)

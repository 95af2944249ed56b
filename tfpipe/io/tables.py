"""Tables as files: .csv and .tsv with quotes where they are needed, and .jsonl."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ENDINGS = (*SEPARATORS, ".jsonl")


def check_target(path: Path, flag: str, overwrite: bool) -> None:
    """Refuse a file that cannot be written as a table.

    Args:
        path: The file.
        flag: The flag that names it, for messages.
        overwrite: Whether it may exist.

    Raises:
        UserError: Its ending is unknown, or it exists.
    """
    if path.suffix.lower() not in ENDINGS:
        ending = f"name it {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        raise UserError(f"{flag} has an unknown ending", str(path), ending)
    if path.exists() and not overwrite:
        fix = f"give another {flag}, or add --overwrite"
        raise UserError(f"the file of {flag} exists", str(path), fix)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write a table in UTF-8, aside first and then renamed into place.

    Args:
        path: The file; its ending is one of ENDINGS.
        header: The names of the columns.
        rows: The rows, each as wide as the header; None is an empty field, or null.

    Returns:
        The number of rows.

    Raises:
        UserError: The file cannot be written.
    """
    content, count = io.StringIO(newline=""), 0
    separator = SEPARATORS.get(path.suffix.lower())
    writer = csv.writer(content, delimiter=separator or ",", lineterminator="\n")
    if separator:
        writer.writerow(header)
    for row in rows:
        count += 1
        if separator:
            writer.writerow(row)
        else:
            record = dict(zip(header, row, strict=True))
            content.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, content.getvalue())
    except OSError as error:
        found = f"{path}: {error.strerror}"
        raise UserError("the file cannot be written", found, "name a file elsewhere") from None
    return count

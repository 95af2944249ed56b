"""Parquet files to rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfpipe.data.rows import Rows
from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError

ROWS = 1024  # read at once


def read_parquet(file: DataFile) -> Rows:
    """Read a file, plain or gzipped; raises UserError, also while iterating."""
    import pyarrow
    import pyarrow.parquet

    if file.is_empty:
        raise file.empty()
    path, content = file.path, file.unzipped_copy()

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
        names = _names_of_tags(table.schema_arrow.metadata or {})
    except failures as error:
        raise broken(error) from None
    done = 0

    def rows() -> Iterator[Sequence[Any]]:
        nonlocal done
        try:
            for batch in table.iter_batches(ROWS):
                columns = [column.to_pylist() for column in batch.columns]
                for place, column in enumerate(header):
                    if column in names:
                        columns[place] = _named(columns[place], names[column])
                yield from zip(*columns, strict=True)
                done += len(batch)
        except failures as error:
            raise broken(error) from None

    return Rows(header, rows(), lambda: done / count if count else 0.0, file.decisions)


def _names_of_tags(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of the numbers in columns of lists, as Hugging Face's files carry them."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        inner = {name: feature.get("feature") for name, feature in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {
        name: feature["names"]
        for name, feature in inner.items()
        if isinstance(feature, dict) and isinstance(feature.get("names"), list)
    }


def _named(rows: list[Any], names: Sequence[str]) -> list[Any]:
    """Return lists of numbers as lists of their names; what has no name stays as it is."""
    known = dict(enumerate(names))
    return [[known.get(tag, tag) for tag in row] if isinstance(row, list) else row for row in rows]

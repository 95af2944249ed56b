"""Parquet files to rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    except failures as error:
        raise broken(error) from None
    done = 0

    def rows() -> Iterator[Sequence[Any]]:
        nonlocal done
        try:
            for batch in table.iter_batches(ROWS):
                columns = [column.to_pylist() for column in batch.columns]
                yield from zip(*columns, strict=True)
                done += len(batch)
        except failures as error:
            raise broken(error) from None

    return Rows(header, rows(), lambda: done / count if count else 0.0, file.decisions)

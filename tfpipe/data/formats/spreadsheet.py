"""Excel workbooks to rows: the first sheet that has a table."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from tfpipe.data.examples import Columns
from tfpipe.data.formats.header import Table, split_header
from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError

FAILURES = (zipfile.BadZipFile, OSError, KeyError, ValueError, TypeError, ParseError)


def read_workbook(file: DataFile, columns: Columns) -> Table:
    """Read the first sheet of a workbook that has rows; lines are the spreadsheet's rows.

    Args:
        file: The file.
        columns: Names given by the user, and whether there is a header.

    Raises:
        UserError: openpyxl is not installed, or the file is broken or has no rows.
    """
    try:
        import openpyxl
    except ImportError:
        raise UserError(
            "reading Excel workbooks needs the package openpyxl",
            f"{file.path}, and openpyxl cannot be imported",
            "install it with `pip install 'tfpipe[excel]'` (or `pip install openpyxl`), or save the"
            " sheet as CSV in UTF-8",
        ) from None
    if file.is_empty:
        raise file.empty()
    path = file.path
    try:
        with warnings.catch_warnings():
            # Of styles and extensions, which have no rows.
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(file.unzipped_copy(), read_only=True, data_only=True)
    except FAILURES as error:
        raise _broken(path, error) from None
    sheets = book.worksheets
    widths = (max((len(row) for _, row in _filled_rows(path, one)), default=0) for one in sheets)
    sheet, width = next(((s, w) for s, w in zip(sheets, widths, strict=True) if w), (None, 0))
    if sheet is None:
        raise file.empty()
    # A sheet has no rows of another width, only cells without a value.
    filled = ((n, row + [None] * (width - len(row))) for n, row in _filled_rows(path, sheet))
    table = split_header(path, filled, columns)
    others = f", the first of {len(sheets)} that has rows" if sheets[1:] else ""
    decision = f"read the sheet {sheet.title!r} of {path.name}{others}"
    return table._replace(decisions=[decision, *table.decisions])


def _filled_rows(path: Path, sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows that have a value, up to their last one, with their numbers."""
    try:
        # What some programs write there is smaller than the sheet.
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            values = list(row)
            while values and values[-1] in (None, ""):
                values.pop()
            if values:
                yield number, values
    except FAILURES as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(
        "the file cannot be read as an Excel workbook",
        f"{path}: {error}",
        "save it again as .xlsx, or as CSV in UTF-8",
    )

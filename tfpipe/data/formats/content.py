"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tfpipe.errors import UserError

HEAD = 4096
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
SAVE_AS = "open it and save it as .xlsx, or as CSV in UTF-8"
DECOMPRESS = "decompress it, or compress it with gzip"


class Content(NamedTuple):
    """What a file is that is no text.

    Attributes:
        kind: `xlsx` and `parquet` are read; other kinds are refused.
        name: In words.
        fix: What to do with it.
    """

    kind: str
    name: str
    fix: str


XLSX = Content("xlsx", "an Excel workbook", "name it .xlsx")
PARQUET = Content("parquet", "a parquet file", "name it .parquet")
ODS = Content("ods", "an OpenDocument spreadsheet", SAVE_AS)
ARCHIVE = Content("zip", "a zip archive", "unpack it, and give the data file that it holds")
MAGIC = {
    b"PAR1": PARQUET,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": Content(
        "xls", "an Excel workbook that is old (.xls) or has a password", SAVE_AS
    ),
    b"%PDF-": Content("pdf", "a PDF", "give the table or the texts in it as CSV in UTF-8"),
    b"BZh": Content("bzip2", "compressed with bzip2", DECOMPRESS),
    b"\xfd7zXZ\0": Content("xz", "compressed with xz", DECOMPRESS),
    b"\x28\xb5\x2f\xfd": Content("zstd", "compressed with zstd", DECOMPRESS),
    b"7z\xbc\xaf\x27\x1c": Content("7z", "a 7z archive", ARCHIVE.fix),
}
WEB_PAGE = Content(
    "html", "a web page", "download the data file itself, not the page that shows it"
)


def find_content(head: bytes, content: BinaryIO) -> Content | None:
    """Return what a file is; None for what may be text.

    Args:
        head: Its first bytes.
        content: The file; it is rewound.
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:20].lower()
    if start.startswith((b"<!doctype html", b"<html>", b"<html ")):
        return WEB_PAGE
    if head.startswith(ZIP):
        return _find_in_zip(content)
    return next((found for magic, found in MAGIC.items() if head.startswith(magic)), None)


def _find_in_zip(content: BinaryIO) -> Content:
    try:
        with zipfile.ZipFile(content) as archive:
            names = archive.namelist()
            is_ods = "mimetype" in names and b"spreadsheet" in archive.read("mimetype")
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return ARCHIVE
    finally:
        content.seek(0, io.SEEK_SET)
    if any(name.startswith("xl/") for name in names):
        return XLSX
    return ODS if is_ods else ARCHIVE


def refuse_content(path: Path, found: Content) -> UserError:
    """Return the error for a file that is not what its name says."""
    return UserError(f"the data file is {found.name}", str(path), found.fix)

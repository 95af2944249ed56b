"""The lines of a text file, plain or gzipped, read one by one and checked to be UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from tfpipe.errors import UserError, did_you_mean

UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
BUFFER = 2**18


class DataFile:
    """An open data file that measures how much of it has been read.

    Raises:
        UserError: The file is missing or cannot be read, also while it is read.
    """

    def __init__(self, path: Path, zipped: bool):
        self.path = path
        try:
            self._raw = path.open("rb")
            self._size = os.fstat(self._raw.fileno()).st_size
        except FileNotFoundError:
            raise UserError("the data file is missing", str(path), _similar_files(path)) from None
        except OSError as error:
            raise self.unreadable(error) from None
        # GzipFile's own readline goes byte by byte through Python; a buffer around it does not.
        unzipped = cast(io.RawIOBase, gzip.GzipFile(fileobj=self._raw)) if zipped else None
        self.content: BinaryIO = io.BufferedReader(unzipped, BUFFER) if unzipped else self._raw

    @property
    def share_read(self) -> float:
        """Share of the file's bytes that has been read, 0 to 1; 0 where its size is not known."""
        return min(1.0, self._raw.tell() / self._size) if self._size else 0.0

    def unreadable(self, error: Exception) -> UserError:
        """Build the UserError for an error of the operating system."""
        return UserError(
            "the data file cannot be read", f"{self.path}: {error}", "check the file and its rights"
        )

    def lines(self) -> Iterator[str]:
        """Yield the lines with their line feeds, and without byte order mark.

        Raises:
            UserError: A line is not valid UTF-8 or holds a NUL character.
        """
        number, first = 0, b""
        try:
            for number, line in enumerate(self.content, start=1):
                if number == 1:
                    first = line
                text = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode("utf-8")
                if "\0" in text:
                    # No text has it, and not every Python's csv reads it.
                    raise UserError(
                        "the data file holds NUL characters",
                        f"{self.path}, line {number}",
                        "save it as UTF-8 text, or remove them with `tr -d '\\000'`",
                    )
                yield text
        except UnicodeDecodeError as error:
            source = "UTF-16" if first.startswith(UTF_16_MARKS) else "GB18030"
            raise UserError(
                "the data file is not valid UTF-8",
                f"{self.path}, line {number}: byte 0x{error.object[error.start]:02x}",
                f"save it as UTF-8; if it comes from Windows, perhaps `iconv -f {source} -t UTF-8`",
            ) from None
        except (OSError, EOFError, zlib.error) as error:
            raise self.unreadable(error) from None


def _similar_files(path: Path) -> str:
    siblings: list[str] = []
    with suppress(OSError):
        siblings = [child.name for child in path.parent.iterdir()]
    return f"{did_you_mean(path.name, siblings)}check the path"

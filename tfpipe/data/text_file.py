"""An open data file: plain or gzipped, and its lines, decoded and checked."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from tfpipe.data.formats.content import GZIP, HEAD, Content, find_content, refuse_content
from tfpipe.data.formats.encoding import UTF_8, UTF_16, Encoding, find_encoding
from tfpipe.errors import UserError, did_you_mean
from tfpipe.io.git_lfs import refuse_pointer

BUFFER = 2**18


class DataFile:
    """An open data file that measures how much of it has been read.

    Args:
        path: The file.
        zipped: Whether its name says that it is gzipped; one that is gzipped without saying so is
            recognised.

    Attributes:
        decisions: How it is read where that is not evident: sentences without a full stop.
        is_content: What it is when it is no text.

    Raises:
        UserError: The file is missing, is a pointer of Git LFS, or cannot be read, also while it
            is read.
    """

    def __init__(self, path: Path, zipped: bool):
        self.path = path
        self.decisions: list[str] = []
        self._encoding: Encoding | None = None
        try:
            self._raw = _open_rewindable(path)
            self._size = os.fstat(self._raw.fileno()).st_size
            head = self._raw.peek(HEAD)[:HEAD]
        except FileNotFoundError:
            raise UserError("the data file is missing", str(path), _similar_files(path)) from None
        except OSError as error:
            raise self.unreadable(error) from None
        refuse_pointer(path, head)
        if head.startswith(GZIP) and not zipped:
            zipped = True
            self.decisions.append(f"read {path.name} as gzip, which its name does not say")
        # GzipFile's own readline goes byte by byte through Python; a buffer around it does not.
        unzipped = cast(io.RawIOBase, gzip.GzipFile(fileobj=self._raw)) if zipped else None
        buffered = io.BufferedReader(unzipped, BUFFER) if unzipped else self._raw
        self.content: BinaryIO = buffered
        try:
            self._head = buffered.peek(HEAD)[:HEAD]
            self.is_content: Content | None = find_content(self._head, buffered)
        except (OSError, EOFError, zlib.error) as error:
            raise self.unreadable(error) from None

    @property
    def share_read(self) -> float:
        """Share of the file's bytes that has been read, 0 to 1; 0 where its size is not known."""
        return min(1.0, self._raw.tell() / self._size) if self._size else 0.0

    def unreadable(self, error: Exception) -> UserError:
        """Build the UserError for an error of the operating system."""
        return UserError(
            "the data file cannot be read", f"{self.path}: {error}", "check the file and its rights"
        )

    @property
    def is_empty(self) -> bool:
        """Whether it has no content."""
        return not self._head

    def empty(self) -> UserError:
        """Build the UserError for a file without content."""
        return UserError(
            "the data file is empty", str(self.path), "give a file with a header and rows"
        )

    def unzipped_copy(self) -> BinaryIO:
        """Return the content, at its beginning, so that it can be read in any order."""
        self.content.seek(0)
        if self.content is self._raw:
            return self.content
        copy = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the last row that needs it)
        try:
            shutil.copyfileobj(self.content, copy)
        except (OSError, EOFError, zlib.error) as error:
            raise self.unreadable(error) from None
        copy.seek(0)
        return cast(BinaryIO, copy)

    def lines(self) -> Iterator[str]:
        """Return the lines with their line feeds, and without byte order mark, from the first on.

        How they are encoded is decided from the whole file, before the first is read.

        Raises:
            UserError: The file is no text, or not in an encoding that is certain; a line, while
                it is read, holds a NUL character.
        """
        if self.is_content:
            raise refuse_content(self.path, self.is_content)
        try:
            self.content.seek(0)
            self._decide_encoding()
        except (OSError, EOFError, zlib.error) as error:
            raise self.unreadable(error) from None
        return self._read_lines(self._encoding or UTF_8)

    def _decide_encoding(self) -> None:
        if self._encoding is None:
            self._encoding = find_encoding(self.path, self._head, self.content)
            if self._encoding.shown:
                self.decisions.append(f"read {self.path.name} as {self._encoding.shown}")
            self.content.seek(0)

    def _read_lines(self, encoding: Encoding) -> Iterator[str]:
        number = 0
        try:
            for number, text in enumerate(_decode_lines(self.content, encoding), start=1):
                if "\0" in text:
                    raise _holds_nul(self.path, number, self._head)
                yield text.removeprefix("\ufeff") if number == 1 else text
        except UnicodeDecodeError as error:
            raise UserError(
                "the data file is not valid UTF-8",
                f"{self.path}, line {number + 1}: byte 0x{error.object[error.start]:02x}",
                "save it as UTF-8",
            ) from None
        except (OSError, EOFError, zlib.error) as error:
            raise self.unreadable(error) from None


def _open_rewindable(path: Path) -> io.BufferedReader:
    """Open a file; what comes through a pipe is copied, because it is read more than once."""
    raw = path.open("rb")
    if raw.seekable():
        return raw
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the DataFile)
    with raw:
        shutil.copyfileobj(raw, copy)
    copy.seek(0)
    return cast(io.BufferedReader, copy)


def _decode_lines(content: BinaryIO, encoding: Encoding) -> Iterator[str]:
    if encoding is UTF_16:
        # Its line feeds are two bytes, one of which may be part of another character.
        text = io.TextIOWrapper(content, "utf-16", newline="\n")
        try:
            # Of a generator, for `yield from text` would close it.
            yield from (line for line in text)
        finally:
            with suppress(ValueError):  # the file is closed
                text.detach()
        return
    for line in content:
        yield encoding.decode(line)


def _holds_nul(path: Path, number: int, head: bytes) -> UserError:
    """Return the error for NUL characters: no text has them, and not every Python's csv does."""
    fix = "save it as UTF-8 text, or remove them with `tr -d '\\000'`"
    for name, places in (("UTF-16LE", head[1::2]), ("UTF-16BE", head[::2])):
        if places.count(0) > len(places) / 2:
            fix = f"it is probably UTF-16: `iconv -f {name} -t UTF-8` makes UTF-8 of it"
    return UserError("the data file holds NUL characters", f"{path}, line {number}", fix)


def _similar_files(path: Path) -> str:
    siblings: list[str] = []
    with suppress(OSError):
        siblings = [child.name for child in path.parent.iterdir()]
    return f"{did_you_mean(path.name, siblings)}check the path"

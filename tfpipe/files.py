"""Files that a later step reads are written aside and renamed: whole, or not there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfpipe.errors import UserError


def cache_folder() -> Path:
    """The folder TFPIPE_CACHE, by default ~/.cache/tfpipe; it may not exist."""
    try:
        return Path(os.environ.get("TFPIPE_CACHE") or Path.home() / ".cache" / "tfpipe")
    except RuntimeError:
        # A user without a home: no folder can be made below this one, so nothing is kept.
        return Path(os.devnull) / "tfpipe"


# The names of files that are being written.
ASIDE = ".*.tmp"


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file aside, sync it and rename it into place; raises OSError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files that may be gone already, and no folders; raises OSError."""
    for path in paths:
        if path.is_file():
            path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems know no syncing of folders.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(handle)


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """A fresh folder beside `path` that takes its place when the block ends well.

    An old folder at `path` is replaced; when the block raises, it stays and nothing new does.
    The disk holds all of it before it takes its place. Raises UserError where folders cannot be
    made.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    made_parents = [parent for parent in path.parents if not parent.exists()]
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # In containers process ids come again: a killed process may have left this.
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
        except OSError as error:
            raise UserError(
                "the folder cannot be written",
                f"{path}: {error.strerror}",
                "name a folder that you may write",
            ) from None
        yield aside
        for inside in [*aside.rglob("*"), aside]:
            sync(inside)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
        aside.rename(path)
    except BaseException:
        with suppress(OSError):
            old.rename(path)
        shutil.rmtree(aside, ignore_errors=True)
        for parent in made_parents:
            with suppress(OSError):
                parent.rmdir()
        raise
    sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)

"""Atomic writes of files and folders: written under a temporary name, synced, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfpipe.errors import UserError

# Pattern of the temporary names of files.
ASIDE = ".*.tmp"


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file, sync it and rename it into place; raises OSError."""
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
    """Remove files, skipping folders and what is missing already; raises OSError."""
    for path in paths:
        if path.is_file():
            path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot sync folders.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(handle)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, synced and renamed to `path` when the block succeeds.

    An old folder at `path` is replaced; when the block raises, it stays and the new one goes.

    Raises:
        UserError: The folder cannot be made.
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


def clear_leftovers(folder: Path, name: str = "*") -> None:
    """Remove what killed processes left of `atomic_folder`; restore a folder that was replaced.

    Args:
        folder: The parent of the folders that were written.
        name: Name, or glob pattern, of the folders that were written.
    """
    for left in folder.glob(f".{name}.*.old"):
        place = folder / left.name[1:].rsplit(".", 2)[0]
        if place.exists():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.rename(place)
    for left in folder.glob(f".{name}.*.tmp"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)

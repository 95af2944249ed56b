"""Folders that one process alone writes, and what killed processes left of them."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfpipe.errors import UserError


def clear_leftovers(folder: Path, name: str = "*") -> None:
    """Remove what killed processes left of folders written aside; bring a replaced one back.

    folder: where they were written; name: of the folder they were to become.
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


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Nobody else trains in this folder while the block runs; the system ends it with the process.

    Raises UserError when another process does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "another process trains in this folder",
                str(folder),
                "wait for it, or stop it: it saves its state",
            ) from None
        except OSError:
            # A file system without locks: the user must take care.
            yield
            return
        yield

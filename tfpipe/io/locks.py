"""Exclusive locks on files and folders; the system releases them when their process ends.

flock(2) and not the `filelock` library, which cannot lock a folder and truncates what it locks.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tfpipe.errors import UserError

# In a folder that one process at a time may train in.
LOCK_FILE = ".lock"


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock of an existing file or folder while the block runs.

    On a file system without locks nothing is locked: the user must take care.

    Raises:
        BlockingIOError: The lock is held elsewhere, by another process or by this one.
        OSError: `path` cannot be opened.
    """
    try:
        # NFS locks only what is open for writing.
        handle = os.open(path, os.O_RDWR)
    except OSError:
        # A folder, or a file of another user.
        handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock of a file or folder; False for none."""
    try:
        with exclusive_lock(path):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


@contextmanager
def training_lock(folder: Path) -> Iterator[None]:
    """Hold the training lock of a folder, made where it is missing, while the block runs.

    Raises:
        UserError: Another process trains in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOCK_FILE).touch()
    with ExitStack() as held:
        try:
            held.enter_context(exclusive_lock(folder / LOCK_FILE))
        except BlockingIOError:
            raise UserError(
                "another process trains in this folder",
                str(folder),
                "wait for it, or stop it: it saves its state",
            ) from None
        yield

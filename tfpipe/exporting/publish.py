"""Version folders of a served model: written aside, renamed into place, old ones removed.

No server takes a name that is no number for a version, so what lies aside is never loaded.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tfpipe.errors import UserError
from tfpipe.files import sync

ASIDE, REMOVED = ".export-", ".removed-"


@dataclass(frozen=True)
class Folder:
    """FOLDER/NAME, whose versions are FOLDER/NAME/N; its methods are this module's functions."""

    base: Path

    @property
    def name(self) -> str:
        return self.base.name

    def refuse_taken(self, version: int | None) -> None:
        refuse_taken(self.base, version)

    def folder_for_export(self) -> AbstractContextManager[Path]:
        return folder_for_export(self.base)

    def publish(self, folder: Path, version: int | None) -> Path:
        return publish(folder, self.base, version)

    def remove_old(self, keep: int, named: frozenset[int], new: int) -> list[int]:
        return remove_old(self.base, keep, named, new)


def list_versions(base: Path) -> dict[int, Path]:
    """The versions in FOLDER/NAME by ascending number; none where there is no folder."""
    if not base.is_dir():
        return {}
    names = (child.name for child in base.iterdir())
    numbers = {int(name): base / name for name in names if name.isascii() and name.isdecimal()}
    return dict(sorted(numbers.items()))


def refuse_taken(base: Path, version: int | None) -> None:
    """Raise UserError where `version` is asked for and there."""
    if version is not None and version in list_versions(base):
        raise UserError(
            "this version exists",
            str(list_versions(base)[version]),
            "leave out --version for the next number",
        )


@contextmanager
def folder_for_export(base: Path) -> Iterator[Path]:
    """A fresh folder in FOLDER/NAME, to be filled and published; leaves nothing when not published.

    What killed exports left is cleared away first, what others write at this moment is not.
    Raises UserError where no folder can be made and where the disk is full.
    """
    made = [parent for parent in (base, *base.parents) if not parent.exists()]
    clear_leftovers(base)
    try:
        folder, lock = _make_folder(base)
    except OSError as error:
        _remove_empty(made)
        raise UserError(
            "the target folder cannot be written",
            f"{base}: {error.strerror}",
            "name a folder that you may write with --to",
        ) from None
    try:
        yield folder
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(made)
        # Python and TensorFlow each have an error of their own for it.
        if isinstance(error, Exception) and os.strerror(errno.ENOSPC) in str(error):
            raise UserError(
                "the disk is full, nothing was published",
                f"{base}: {str(error).splitlines()[0]}",
                "make room, or name a folder on another disk with --to",
            ) from None
        raise
    finally:
        os.close(lock)


def publish(folder: Path, base: Path, version: int | None) -> Path:
    """Rename the finished folder to FOLDER/NAME/N, N the next number or `version`.

    The disk holds all of it before. A version that somebody else published meanwhile is never
    replaced: the next number is taken, or UserError raised where `version` was asked for.
    """
    for inside in [*folder.rglob("*"), folder]:
        sync(inside)
    while True:
        refuse_taken(base, version)
        number = max(list_versions(base), default=0) + 1 if version is None else version
        place = base / str(number)
        try:
            # To rename onto a folder with content fails: two exports cannot both take a number.
            folder.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            continue
        sync(base)
        return place


def remove_old(base: Path, keep: int, named: frozenset[int], new: int) -> list[int]:
    """Remove all versions but the `keep` highest, the `new` one and the `named` ones.

    Returns the removed numbers. Raises OSError.
    """
    versions = list_versions(base)
    removed = choose_old(versions, keep, named, new)
    for number in removed:
        # Renamed first: a server must never find half a version.
        dying = base / f"{REMOVED}{number}-{secrets.token_hex(4)}.tmp"
        versions[number].rename(dying)
        shutil.rmtree(dying, ignore_errors=True)
    return removed


def choose_old(versions: Iterable[int], keep: int, named: frozenset[int], new: int) -> list[int]:
    """All of the ascending `versions` but the `keep` highest, the `new` one and the `named`."""
    return [n for n in list(versions)[:-keep] if n not in named and n != new]


def clear_leftovers(base: Path) -> None:
    """Remove what killed exports left in FOLDER/NAME; a live one holds a lock on its folder."""
    for left in base.glob(f"{REMOVED}*.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    for left in base.glob(f"{ASIDE}*.tmp"):
        with suppress(OSError):
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)


def _make_folder(base: Path) -> tuple[Path, int]:
    """A fresh folder in `base` and the handle that holds its lock; raises OSError."""
    for attempt in range(1, 101):
        folder = base / f"{ASIDE}{os.getpid()}-{secrets.token_hex(4)}.tmp"
        try:
            base.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            # Another export that failed removed the empty FOLDER/NAME that it had made.
            if attempt == 100:
                raise
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Taken for a leftover before it was locked.
            os.close(lock)
            continue
        except OSError:
            # A file system without locks: nobody can lock it to clear it away either.
            return folder, lock
        if folder.exists():
            return folder, lock
        os.close(lock)
    raise OSError(errno.EAGAIN, "other exports keep removing what this one makes")


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()

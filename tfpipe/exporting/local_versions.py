"""Versions of a served model in a local folder: written aside, then renamed into place.

Model servers skip names that are not numbers, so an unfinished version is never loaded.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tfpipe.errors import UserError
from tfpipe.io.atomic import sync
from tfpipe.io.locks import exclusive_lock
from tfpipe.locations import list_versions

ASIDE, REMOVED = ".export-", ".removed-"


class PublishTarget(Protocol):
    """FOLDER/NAME, local or in an object store, whose versions are FOLDER/NAME/N."""

    @property
    def base(self) -> Path | str:
        """Path of FOLDER/NAME, or its URL."""

    @property
    def name(self) -> str:
        """NAME."""

    def list_versions(self) -> Mapping[int, Path | str]:
        """Return the versions by ascending number."""

    def refuse_taken(self, version: int | None) -> None:
        """Raise UserError where `version` is given and exists."""

    def folder_for_export(self) -> AbstractContextManager[Path]:
        """Yield a new local folder, to be filled and published; removed if it is not published."""

    def publish(self, folder: Path, version: int | None) -> Path | str:
        """Publish the finished folder as `version`, by default the next number.

        Returns:
            The path or URL of the version.

        Raises:
            UserError: `version` was published by another process meanwhile.
        """

    def remove_old(self, keep: int, named: frozenset[int], new: int) -> list[int]:
        """Remove all versions but the `keep` highest, the `new` one and the `named` ones.

        Returns:
            The removed numbers.

        Raises:
            OSError: A version cannot be removed.
        """


def choose_old(versions: Iterable[int], keep: int, named: frozenset[int], new: int) -> list[int]:
    """Return the ascending `versions` but the `keep` highest, the `new` one and the `named`."""
    return [n for n in list(versions)[:-keep] if n not in named and n != new]


@dataclass(frozen=True)
class LocalVersions:
    """A PublishTarget in a local folder.

    Attributes:
        base: FOLDER/NAME.
    """

    base: Path

    @property
    def name(self) -> str:
        """NAME."""
        return self.base.name

    def list_versions(self) -> dict[int, Path]:
        """Return the folders of the versions by ascending number."""
        return list_versions(self.base)

    def refuse_taken(self, version: int | None) -> None:
        """Raise UserError where `version` is given and exists."""
        versions = self.list_versions()
        if version is not None and version in versions:
            raise UserError(
                "this version exists",
                str(versions[version]),
                "leave out --version for the next number",
            )

    @contextmanager
    def folder_for_export(self) -> Iterator[Path]:
        """Yield a new folder in FOLDER/NAME, removed if it is not published.

        Leftovers of killed exports are removed first; folders of running exports stay.

        Raises:
            UserError: The folder cannot be made, or the disk is full.
        """
        made = [parent for parent in (self.base, *self.base.parents) if not parent.exists()]
        self.clear_leftovers()
        try:
            folder, held = self._make_folder()
        except OSError as error:
            _remove_empty(made)
            raise UserError(
                "the target folder cannot be written",
                f"{self.base}: {error.strerror}",
                "name a folder that you may write with --to",
            ) from None
        with held:
            try:
                yield folder
            except BaseException as error:
                shutil.rmtree(folder, ignore_errors=True)
                _remove_empty(made)
                # Python and TensorFlow raise different errors for a full disk.
                if isinstance(error, Exception) and os.strerror(errno.ENOSPC) in str(error):
                    raise UserError(
                        "the disk is full, nothing was published",
                        f"{self.base}: {str(error).splitlines()[0]}",
                        "make room, or name a folder on another disk with --to",
                    ) from None
                raise

    def publish(self, folder: Path, version: int | None) -> Path:
        """Sync the finished folder and rename it to FOLDER/NAME/N.

        A version that another process published meanwhile is never replaced: the next number is
        taken, or UserError raised where `version` is given.
        """
        for inside in [*folder.rglob("*"), folder]:
            sync(inside)
        while True:
            self.refuse_taken(version)
            number = max(self.list_versions(), default=0) + 1 if version is None else version
            place = self.base / str(number)
            try:
                # Renaming onto a folder with content fails: two exports cannot share a number.
                folder.rename(place)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
                continue
            sync(self.base)
            return place

    def remove_old(self, keep: int, named: frozenset[int], new: int) -> list[int]:
        """Remove old versions as PublishTarget.remove_old; each is renamed before."""
        versions = self.list_versions()
        removed = choose_old(versions, keep, named, new)
        for number in removed:
            # Renamed first: a server must never find an incomplete version.
            removing = self.base / f"{REMOVED}{number}-{secrets.token_hex(4)}.tmp"
            versions[number].rename(removing)
            shutil.rmtree(removing, ignore_errors=True)
        return removed

    def clear_leftovers(self) -> None:
        """Remove folders of killed exports; a running export holds the lock of its folder."""
        for left in self.base.glob(f"{REMOVED}*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        for left in self.base.glob(f"{ASIDE}*.tmp"):
            with suppress(OSError), exclusive_lock(left):
                shutil.rmtree(left, ignore_errors=True)

    def _make_folder(self) -> tuple[Path, ExitStack]:
        """Return a new folder in FOLDER/NAME and the context that holds its lock."""
        for attempt in range(1, 101):
            folder = self.base / f"{ASIDE}{os.getpid()}-{secrets.token_hex(4)}.tmp"
            with ExitStack() as held:
                try:
                    self.base.mkdir(parents=True, exist_ok=True)
                    folder.mkdir()
                    held.enter_context(exclusive_lock(folder))
                except FileNotFoundError:
                    # Another export that failed removed the empty FOLDER/NAME that it had made.
                    if attempt == 100:
                        raise
                except BlockingIOError:
                    # Another export is removing it as a leftover: it was not locked yet.
                    continue
                if folder.exists():
                    return folder, held.pop_all()
        raise OSError(errno.EAGAIN, "other exports keep removing the folder of this one")


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()

"""Versions of a served model in an object store: uploaded aside, moved into place by file.

No store renames folders, and a model server gives up a version that it cannot load for minutes. So
the files are uploaded under a name that is not a number and then renamed within the store to
BASE/N/, saved_model.pb last: without it, N is not a version. Killed at any moment, an export leaves
the old state or the new. The files that it leaves beside that keep their number from others until
a later export removes them, a day later at the earliest.

A store cannot promise that two exports never share a number. Claims (version_claims.py) prevent it
where a listing shows all that was written before it, as in Google Cloud Storage, and in S3 since
2020, and where no upload is suspended for a day and then continued. Folder markers may stay.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.exporting.local_versions import LocalVersions, PublishTarget, choose_old
from tfpipe.exporting.object_store import (
    copy,
    list_files,
    list_names,
    move,
    refuse_unknown_store,
    remove_tree,
    store_errors,
    write,
)
from tfpipe.exporting.version_claims import (
    ATTEMPTS,
    claim_number,
    is_held,
    list_leftovers,
    list_numbers,
    refuse_claimed,
    settle,
    stamp,
    write_claim,
)
from tfpipe.locations import SAVED_MODEL, locate

READABLE = "the store cannot be read", "see that it is there and that you may read it"
WRITABLE = "the store cannot be written", "see that it is there and that you may write it"


def open_target(to: str) -> PublishTarget:
    """Open FOLDER/NAME or its URL; raises UserError for a store that cannot be written."""
    found = locate(to)
    if found.kind == "export" and found.folder == Path(to):
        raise UserError(
            "--to names a version, and not the folder of versions",
            to,
            "give FOLDER/NAME, as in models/support",
        )
    if found.kind != "store":
        return LocalVersions(Path(to))
    store = RemoteVersions(to.rstrip("/"))
    refuse_unknown_store(store.base)
    with store_errors(store.base, *WRITABLE):
        store.clear_leftovers()
    return store


@dataclass(frozen=True)
class RemoteVersions:
    """A PublishTarget in an object store.

    Attributes:
        base: URL of BASE without a slash at its end; its versions are BASE/N.
    """

    base: str

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return self.base.rpartition("/")[2]

    def list_versions(self) -> dict[int, str]:
        """Return the URLs of the versions by ascending number; raises UserError."""
        with store_errors(self.base, *READABLE):
            places = list_numbers(self.base).items()
            return {n: place for n, place in places if tf.io.gfile.exists(f"{place}/{SAVED_MODEL}")}

    def refuse_taken(self, version: int | None) -> None:
        """Raise UserError where `version` is given and exists, complete or not."""
        with store_errors(self.base, *READABLE):
            refuse_claimed(self.base, version)

    @contextmanager
    def folder_for_export(self) -> Iterator[Path]:
        """Yield a local folder, to be filled and published."""
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    def publish(self, folder: Path, version: int | None) -> str:
        """Upload the finished folder as BASE/N.

        Args:
            folder: The finished folder.
            version: N; None for the next number.

        Returns:
            The URL of the version.

        Raises:
            UserError: `version` was taken meanwhile, or the store fails.
        """
        files = [path for path in folder.rglob("*") if path.is_file()]
        names = [path.relative_to(folder).as_posix() for path in files]
        names.remove(SAVED_MODEL)
        fix = f"check whether {self.base} has the version, and export again if not"
        with store_errors(self.base, "the upload failed", fix):
            for _ in range(ATTEMPTS):
                with self._aside() as aside:
                    for name in [*names, SAVED_MODEL]:
                        copy(f"{folder}/{name}", f"{aside}/{name}")
                    place = self._move_into_place(aside, names, version)
                if place is not None:
                    return place
        raise UserError("other exports keep taking the number", self.base, "export again")

    def remove_old(self, keep: int, named: frozenset[int], new: int) -> list[int]:
        """Remove old versions as PublishTarget.remove_old; saved_model.pb goes first."""
        try:
            versions = self.list_versions()
            removed = choose_old(versions, keep, named, new)
            for number in removed:
                # If the process is killed, the claim has the rest removed later.
                claim = write_claim(self.base, versions[number].rpartition("/")[2])
                tf.io.gfile.remove(f"{versions[number]}/{SAVED_MODEL}")
                settle(self.base, claim)
        except (tf.errors.OpError, UserError) as error:
            raise OSError(str(error)) from None
        return removed

    def clear_leftovers(self) -> None:
        """Remove leftovers of exports that began more than a day ago; raises OpError."""
        with self._aside():
            for name in list_leftovers(self.base):
                if name.startswith(".claim-"):
                    settle(self.base, name)
                else:
                    remove_tree(f"{self.base}/{name}")

    @contextmanager
    def _aside(self) -> Iterator[str]:
        """Yield a new folder without a number, removed afterwards; checks that it is writable."""
        name = f".export-{stamp()}"
        try:
            write(f"{self.base}/{name}/owner", name)
            if name not in list_names(self.base):
                raise tf.errors.UnavailableError(None, None, "it does not list what was written")
            yield f"{self.base}/{name}"
        finally:
            with suppress(tf.errors.OpError):
                remove_tree(f"{self.base}/{name}")

    def _move_into_place(self, aside: str, names: list[str], version: int | None) -> str | None:
        """Return the URL that an upload got; None where another export claimed it too."""
        claim, number = claim_number(self.base, version)
        place = f"{self.base}/{number}"
        try:
            for name in names:
                move(f"{aside}/{name}", f"{place}/{name}")
            if not (is_held(self.base, claim) and {*names} <= {*list_files(place)}):
                return None
            move(f"{aside}/{SAVED_MODEL}", f"{place}/{SAVED_MODEL}")
        finally:
            settle(self.base, claim)
        return place

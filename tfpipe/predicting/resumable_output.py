"""The file of answers while it grows: whole windows only, and a note of what they answer.

    OUT.part         the windows done, in order
    OUT.part.json    how many rows and bytes they are, of which texts, by which model

The note is renamed into place when the disk holds the window, so after a kill or a power cut it
speaks of bytes that are there; what follows them is cut off.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tfpipe.errors import UserError
from tfpipe.io.atomic import sync, write_text
from tfpipe.io.locks import exclusive_lock


class ResumableOutput:
    """OUT.part of one prediction, to begin or to go on with; used as a context.

    settings: what must be the same for one file of answers. Raises UserError when OUT or somebody
    else's part is there, when the settings differ, and when another process writes it.
    """

    def __init__(self, out: Path, settings: dict[str, Any]):
        self.out, self._settings = out, settings
        self.path = out.with_name(f"{out.name}.part")
        self.note = out.with_name(f"{out.name}.part.json")
        self.rows, self.rows_sha256, self.size = 0, "", 0
        self._finished = False

    def __enter__(self) -> ResumableOutput:
        refuse_taken(self.out)
        with ExitStack() as opened:
            with self._telling("give an --out that you may write"):
                # Not truncated: it may be another process's.
                self._file: BinaryIO = opened.enter_context(open(self.path, "ab"))
                self._lock(opened)
            with self._telling("make room, or give an --out elsewhere"):
                self._resume()
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.rows and not self._finished:
            # There is nothing to go on with.
            self.path.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)
        # What the disk refused is not in the note, so it may be lost.
        with suppress(OSError):
            self._opened.close()

    def append(self, content: bytes, rows: int, rows_sha256: str) -> None:
        """Add a window and note that the first `rows` rows are answered.

        Raises UserError where the disk does not take it; the windows before are kept.
        """
        with self._telling("make room, then the same command goes on"):
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._note(rows, rows_sha256, self.size + len(content))

    def finish(self) -> None:
        """Give the file its name; raises UserError when that is taken meanwhile."""
        refuse_taken(self.out)
        with self._telling("mend that, then the same command goes on"):
            self.path.rename(self.out)
        self._finished = True
        sync(self.out.parent)
        self.note.unlink()

    def _note(self, rows: int, rows_sha256: str, size: int) -> None:
        done = {"rows": rows, "bytes": size, "rows_sha256": rows_sha256}
        write_text(self.note, json.dumps(done | self._settings, indent=2) + "\n")
        self.rows, self.rows_sha256, self.size = rows, rows_sha256, size

    def _lock(self, opened: ExitStack) -> None:
        try:
            opened.enter_context(exclusive_lock(self.path))
        except BlockingIOError:
            raise UserError(
                "another process writes this file", str(self.path), "wait for it, or stop it"
            ) from None

    def _resume(self) -> None:
        # What a process leaves that is killed while it writes a note.
        for left in self.out.parent.glob(f".{glob.escape(self.note.name)}.*.tmp"):
            left.unlink()
        size = self._file.tell()
        noted = self._read_note(size) if size else None
        if noted is None or not noted["rows"]:
            # Nothing is lost, whatever a note may say of a file that is gone.
            self._file.truncate(0)
            self._note(0, "", 0)
            return
        for name, now in self._settings.items():
            if noted.get(name) != now:
                found = f"{name} {now!r}, it was begun with {noted.get(name)!r}"
                raise self._other(f"the part file was begun with another {name}", found)
        self.rows, self.rows_sha256 = noted["rows"], noted["rows_sha256"]
        self.size = noted["bytes"]
        self._file.truncate(self.size)

    def _read_note(self, size: int) -> dict[str, Any]:
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
            if noted["bytes"] > size:
                raise ValueError(f"{size:,} bytes, and {noted['bytes']:,} were written")
            return {"rows": noted["rows"], "rows_sha256": noted["rows_sha256"]} | noted
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._other("there is a part file that cannot be gone on with", error) from None

    @contextmanager
    def _telling(self, fix: str) -> Iterator[None]:
        """Raise UserError in place of OSError."""
        try:
            yield
        except OSError as error:
            raise UserError(
                "the output file cannot be written", f"{self.path}: {error.strerror}", fix
            ) from None

    def _other(self, wrong: str, found: object) -> UserError:
        return UserError(
            wrong,
            f"{self.path}: {found}",
            f"give another --out, or remove {self.path.name} to begin anew",
        )


def refuse_taken(out: Path) -> None:
    """Raise UserError when the file is there, or its folder is not."""
    # A link that leads nowhere is there, too.
    if os.path.lexists(out):
        raise UserError(
            "the output file exists", str(out), "give another --out, or remove that file"
        )
    if not out.parent.is_dir():
        raise UserError("the folder of --out is missing", str(out.parent), "make it, or mend --out")

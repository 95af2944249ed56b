"""Output file of a prediction that can be resumed: complete windows and a state file.

    OUT.part         the answered windows, in order
    OUT.part.json    their number of rows and bytes, the hash of their texts, the model

The state file is renamed into place once the window is on the disk, so after a kill or a power cut
it describes bytes that are there; what follows them is truncated.
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
    """OUT.part of one prediction, created or resumed; a context manager.

    Attributes:
        rows: Answered rows.
        rows_sha256: Hash of their texts.
        size: Bytes of the complete windows.

    Args:
        out: The finished file's path.
        settings: Values that must be the same for all parts of one file.
        overwrite: Whether OUT is replaced where it exists.

    Raises:
        UserError: On entering, where OUT exists, the part file was begun with other settings, or
            another process writes it.
    """

    def __init__(self, out: Path, settings: dict[str, Any], overwrite: bool = False):
        self.out, self._settings, self._overwrite = out, settings, overwrite
        self.path = out.with_name(f"{out.name}.part")
        self.state = out.with_name(f"{out.name}.part.json")
        self.rows, self.rows_sha256, self.size = 0, "", 0
        self._finished = False

    def __enter__(self) -> ResumableOutput:
        refuse_taken(self.out, self._overwrite)
        with ExitStack() as opened:
            with self._os_errors("give an --out that you may write"):
                # Not truncated: it may be another process's.
                self._file: BinaryIO = opened.enter_context(self.path.open("ab"))
                self._lock(opened)
            with self._os_errors("make room, or give an --out elsewhere"):
                self._resume()
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.rows and not self._finished:
            # There is nothing to resume.
            self.path.unlink(missing_ok=True)
            self.state.unlink(missing_ok=True)
        # What the disk refused is not in the state file, so it may be lost.
        with suppress(OSError):
            self._opened.close()

    def append(self, content: bytes, rows: int, rows_sha256: str) -> None:
        """Append a window and record it in the state file.

        Args:
            content: The window's lines.
            rows: Answered rows of the whole file.
            rows_sha256: Hash of their texts.

        Raises:
            UserError: It cannot be written; the windows before are kept.
        """
        with self._os_errors("make room, then run the same command to continue"):
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._write_state(rows, rows_sha256, self.size + len(content))

    def finish(self) -> None:
        """Rename the file to OUT; raises UserError where that exists by now."""
        refuse_taken(self.out, self._overwrite)
        with self._os_errors("correct that, then run the same command to continue"):
            self.path.rename(self.out)
        self._finished = True
        sync(self.out.parent)
        self.state.unlink()

    def _write_state(self, rows: int, rows_sha256: str, size: int) -> None:
        done = {"rows": rows, "bytes": size, "rows_sha256": rows_sha256}
        write_text(self.state, json.dumps(done | self._settings, indent=2) + "\n")
        self.rows, self.rows_sha256, self.size = rows, rows_sha256, size

    def _lock(self, opened: ExitStack) -> None:
        try:
            opened.enter_context(exclusive_lock(self.path))
        except BlockingIOError:
            raise UserError(
                "another process writes this file", str(self.path), "wait for it, or stop it"
            ) from None

    def _resume(self) -> None:
        # Left by a process that was killed while it wrote the state file.
        for left in self.out.parent.glob(f".{glob.escape(self.state.name)}.*.tmp"):
            left.unlink()
        size = self._file.tell()
        state = self._read_state(size) if size else None
        if state is None or not state["rows"]:
            # Nothing is lost: the state file may describe a file that was removed.
            self._file.truncate(0)
            self._write_state(0, "", 0)
            return
        for name, now in self._settings.items():
            if state.get(name) != now:
                found = f"{name} {now!r}, it was begun with {state.get(name)!r}"
                raise self._not_resumable(f"the part file was begun with another {name}", found)
        self.rows, self.rows_sha256 = state["rows"], state["rows_sha256"]
        self.size = state["bytes"]
        self._file.truncate(self.size)

    def _read_state(self, size: int) -> dict[str, Any]:
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
            if state["bytes"] > size:
                raise ValueError(f"{size:,} bytes, and {state['bytes']:,} were written")
            return {"rows": state["rows"], "rows_sha256": state["rows_sha256"]} | state
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._not_resumable(
                "there is a part file that cannot be resumed", error
            ) from None

    @contextmanager
    def _os_errors(self, fix: str) -> Iterator[None]:
        """Raise UserError in place of OSError."""
        try:
            yield
        except OSError as error:
            raise UserError(
                "the output file cannot be written", f"{self.path}: {error.strerror}", fix
            ) from None

    def _not_resumable(self, wrong: str, found: object) -> UserError:
        return UserError(
            wrong,
            f"{self.path}: {found}",
            f"give another --out, or remove {self.path.name} to start again",
        )


def refuse_taken(out: Path, overwrite: bool | None = None) -> None:
    """Raise UserError where the file exists, or its folder is missing.

    Args:
        out: The file.
        overwrite: Whether it may exist; None for a command without that option.
    """
    # A broken link exists, too.
    if os.path.lexists(out) and not (overwrite and out.is_file()):
        other = "add --overwrite" if overwrite is False else "remove that file"
        raise UserError("the output file exists", str(out), f"give another --out, or {other}")
    if not out.parent.is_dir():
        raise UserError(
            "the folder of --out is missing", str(out.parent), "make it, or correct --out"
        )

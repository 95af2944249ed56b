"""Request log: one JSON line for each request, without the data of the client."""

from __future__ import annotations

import collections
import json
import sys
import threading
from datetime import datetime, timezone
from typing import Any, NamedTuple

# Lines are buffered for this long, so that one write covers many, outside the requests' threads.
WRITE_EVERY_SECONDS = 0.1
# When standard error is not read, lines are dropped and counted; requests do not block.
LINES_LIMIT = 100_000
# Clients choose the name of a model: it may be any text of any length.
NAME_LENGTH_LIMIT = 128


class LogEntry(NamedTuple):
    """Fields of a line; `version` and `signature` are those that answered, else empty."""

    model: str
    version: str
    signature: str
    api: str
    entrypoint: str
    status: str
    milliseconds: float
    rows: int | None
    time: float


class RequestLog:
    """Writes entries to standard error in a separate thread. `mode`: all, errors or off."""

    def __init__(self, mode: str):
        self._mode = mode
        self._entries: collections.deque[LogEntry] = collections.deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def wants(self, status: str) -> bool:
        """Return whether entries of this status are written."""
        return self._mode == "all" or (self._mode == "errors" and status != "OK")

    def add(self, entry: LogEntry) -> None:
        """Queue an entry."""
        if len(self._entries) >= LINES_LIMIT:
            self._dropped += 1
            return
        self._entries.append(entry)
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Flush the queue and stop the thread."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            closing = self._closing.wait(WRITE_EVERY_SECONDS)
            self._wake.clear()
            self._write()
            if closing:
                return

    def _write(self) -> None:
        lines = []
        while self._entries:
            lines.append(format_entry(self._entries.popleft()))
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            lines.append(json.dumps({"dropped_lines": dropped}))
        if lines:
            try:
                sys.stderr.write("\n".join([*lines, ""]))
                sys.stderr.flush()
            except (OSError, ValueError):
                # Standard error is closed, so that no message is possible.
                self._mode = "off"


def format_entry(entry: LogEntry) -> str:
    """Format an entry as a JSON object."""
    at = datetime.fromtimestamp(entry.time, timezone.utc)
    fields: dict[str, Any] = {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "model": entry.model[:NAME_LENGTH_LIMIT],
        "version": int(entry.version) if entry.version else None,
        "signature": entry.signature or None,
        "api": entry.api,
        "entrypoint": entry.entrypoint,
        "status": entry.status,
        "milliseconds": round(entry.milliseconds, 3),
    }
    if entry.rows is not None:
        fields["rows"] = entry.rows
    return json.dumps(fields)

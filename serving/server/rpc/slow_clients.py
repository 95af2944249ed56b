"""Timeouts for clients that stall while sending a request or reading its response."""

from __future__ import annotations

import threading
import time
from typing import Any


class TransferTimeouts:
    """Cancels calls whose message transfer takes longer than `seconds`.

    gRPC itself waits without limit, and the call occupies its thread or memory meanwhile.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._running: dict[object, tuple[Any, float]] = {}
        # Replaced at shutdown by the event that is set when the last call has ended.
        self.ended = threading.Event()

    def start(self) -> None:
        """Start the monitoring thread."""
        threading.Thread(target=self._watch, name="transfers", daemon=True).start()

    def begin(self, grpc_context: Any) -> object:
        """Register a transfer that starts now; return the key for `finish`."""
        key = object()
        self._running[key] = (grpc_context, time.monotonic())
        return key

    def finish(self, key: object) -> None:
        """Unregister a completed transfer."""
        self._running.pop(key, None)

    def _watch(self) -> None:
        while not self.ended.wait(min(1.0, self._seconds / 4)):
            latest = time.monotonic() - self._seconds
            for grpc_context, since in list(self._running.values()):
                if since < latest:
                    grpc_context.cancel()

"""Stopping a training run early: the exception, and the handler of SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Stopped(Exception):
    """The run stopped before its end, with its state saved.

    Attributes:
        signal: The signal that stopped it; 0 where the configuration did.
    """

    def __init__(self, when: str, signal: int = 0):
        """Create the exception; `when` follows the word `stopped` in the message."""
        super().__init__(when)
        self.signal = signal


class SignalHandler:
    """Records SIGINT and SIGTERM so that the current step can end; a second SIGINT interrupts it.

    Attributes:
        signal: The first signal received; None before.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> SignalHandler:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._record)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _record(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

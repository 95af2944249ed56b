"""A run that stops before its end: the exception, and the signals that ask for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Stopped(Exception):
    """The run stopped with its state saved; `when` says where, to follow the word `stopped`.

    signal: the one that asked for it, 0 where the configuration did.
    """

    def __init__(self, when: str, signal: int = 0):
        super().__init__(when)
        self.signal = signal


class SignalHandler:
    """Notes SIGINT and SIGTERM so that the step at hand can end; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> SignalHandler:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

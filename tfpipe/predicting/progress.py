"""How far a prediction is, on standard error."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from tfpipe.text_display import format_duration

TERMINAL_SECONDS, PLAIN_SECONDS = 0.2, 10.0


class Progress:
    """One line that renews itself on a terminal, a plain line now and then elsewhere."""

    def __init__(self, done: int, stream: TextIO | None = None):
        """done: rows that were answered before."""
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._before = self._done = done
        self._all: float | None = None
        self._began = self._shown = time.perf_counter()

    @property
    def rows(self) -> int:
        """Rows answered by this process."""
        return self._done - self._before

    @property
    def seconds(self) -> float:
        """Since the first row was asked for."""
        return time.perf_counter() - self._began

    @property
    def rows_per_second(self) -> float:
        """Rows answered by this process in a second."""
        return self.rows / max(self.seconds, 1e-9)

    def estimate(self, end: int, share_read: float) -> None:
        """The first `end` rows are this share of the file."""
        if share_read:
            self._all = end / share_read

    def advance(self, rows: int) -> None:
        """So many rows more are answered."""
        self._done += rows
        now = time.perf_counter()
        if now - self._shown < (TERMINAL_SECONDS if self._terminal else PLAIN_SECONDS):
            return
        self._shown = now
        line = f"{self._done:,} rows, {self.rows_per_second:,.0f} rows/s"
        if self._all and self._all > self._done:
            left = (self._all - self._done) / self.rows_per_second
            line += f", {self._done / self._all:.0%}, about {format_duration(left)} left"
        self._stream.write(f"\r\033[K{line}" if self._terminal else f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the line that renews itself."""
        if self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()

"""Progress of a prediction, on standard error."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from tfpipe.text_display import format_duration

TERMINAL_SECONDS, PLAIN_SECONDS = 0.2, 10.0


class Progress:
    """A line that is overwritten on a terminal; elsewhere a line every ten seconds.

    Args:
        done: Rows that earlier processes answered.
        stream: Where to write; standard error by default.
    """

    def __init__(self, done: int, stream: TextIO | None = None):
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
        """Seconds since the start."""
        return time.perf_counter() - self._began

    @property
    def rows_per_second(self) -> float:
        """Rows answered by this process per second."""
        return self.rows / max(self.seconds, 1e-9)

    def estimate(self, end: int, share_read: float) -> None:
        """Estimate the rows of the file: its first `end` rows are this share of it."""
        if share_read:
            self._all = end / share_read

    def advance(self, rows: int) -> None:
        """Count more answered rows, and write the line when it is due."""
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
        """Clear the line of a terminal."""
        if self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()

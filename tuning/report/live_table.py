"""Display of a running study: a live table on a terminal, text lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from tfpipe.text_display import shorten
from tuning.report.formatting import DASH, format_time, format_value
from tuning.report.study_progress import (
    ProgressLines,
    StudyProgress,
    first_reason_line,
    format_score_and_spread,
)
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult

STYLES = {COMPLETED: "green", STOPPED: "yellow", FAILED: "red", RUNNING: "cyan"}
GAP = 2  # characters between columns
MAX_CELL_WIDTH = 24  # characters of a value or a parameter's name
MIN_REASON_WIDTH = 16  # characters; the column of reasons is omitted below

Column = tuple[str, list[str]]  # a title and the cells below it


class TrialTable:
    """Displays the trials of a study; to be used in a `with` block.

    Values and reasons are shown as plain text, without markup or control sequences. After the
    first write error nothing more is shown, so that a study continues when its terminal closes.

    Args:
        stream: Where to write; standard error by default.
    """

    def __init__(self, stream: TextIO | None = None):
        self._stream = stream or sys.stderr
        self._console = Console(file=self._stream, markup=False, emoji=False, highlight=False)
        self._terminal = (
            self._stream.isatty()
            and self._console.is_terminal
            and not self._console.is_dumb_terminal
        )
        self._live: Live | None = None
        self._changes = ProgressLines()
        self._closed = False

    def __enter__(self) -> TrialTable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            with suppress(OSError):
                self._live.stop()
            self._live = None

    def show(self, progress: StudyProgress) -> None:
        """Update the display; to be called regularly, from one thread.

        Args:
            progress: The current snapshot of the study.
        """
        if self._closed:
            return
        try:
            if self._terminal:
                self._update_screen(progress)
            else:
                self._write_lines(self._changes.lines(progress))
        except OSError:
            self._closed = True

    def _write_lines(self, lines: Sequence[str]) -> None:
        if lines:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()

    def _update_screen(self, progress: StudyProgress) -> None:
        with suppress(OSError, ValueError):
            # rich measures the standard streams of the process, and this may be another one.
            size = os.get_terminal_size(self._stream.fileno())
            if size.columns and size.lines:
                self._console.size = size
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(_render(progress, self._console), refresh=True)


def _render(progress: StudyProgress, console: Console) -> Group:
    """Render the number of hidden trials, the table of the others and the summary."""
    width, height = console.size
    summary = Text(progress.summary())
    # Three lines for the table's header, the number of hidden trials and the cursor.
    available = height - len(summary.wrap(console, width)) - 3
    rows = _select_rows(progress, max(1, available))
    hidden = len(progress.results) - len(rows)
    above = [Text(f"… {hidden} more", style="dim")] if hidden else []
    return Group(*above, *([_grid(rows, progress, width)] if rows else []), summary)


def _select_rows(progress: StudyProgress, most: int) -> list[TrialResult]:
    """Select the best trial, then running ones, then the newest others; ordered by number."""
    best = progress.best
    by_priority = sorted(
        progress.results, key=lambda one: (one is not best, one.ended, -one.number)
    )
    return sorted(by_priority[:most], key=lambda one: one.number)


def _grid(rows: Sequence[TrialResult], progress: StudyProgress, width: int) -> Grid:
    best = progress.best
    grid = Grid(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    columns = _columns(rows, progress, width)
    for title, _ in columns:
        right = title in ("trial", "epochs", "time")
        grid.add_column(Text(title), no_wrap=True, justify="right" if right else "left")
    for row, result in enumerate(rows):
        # Text, because rich reads markup in plain strings.
        texts = [Text(cells[row]) for _, cells in columns]
        texts[1].stylize(STYLES.get(result.status, ""))
        grid.add_row(*texts, style="bold" if result is best else "")
    return grid


def _columns(rows: Sequence[TrialResult], progress: StudyProgress, width: int) -> list[Column]:
    """Return as many parameters as fit the width, and the reasons if they fit too."""
    best = progress.best
    before: list[Column] = [
        ("trial", [f"{'*' if one is best else ''}{one.number}" for one in rows]),
        ("status", [one.status for one in rows]),
        (
            progress.objective,
            [format_score_and_spread(progress.score_of(one), one.spread) for one in rows],
        ),
    ]
    after: list[Column] = [
        ("epochs", [str(one.epochs or len(one.history)) for one in rows]),
        ("time", [format_time(one.seconds) for one in rows]),
    ]
    names = dict.fromkeys(name for one in progress.results for name in one.values)
    values = [_parameter(name, rows) for name in names]
    more: list[Column] = []
    if _width([*before, *values, *after]) > width:
        more = [("…", ["…"] * len(rows))]
        fitting: list[Column] = []
        for value in values:
            if _width([*before, *fitting, value, *more, *after]) <= width:
                fitting.append(value)
        values = fitting
    columns = [*before, *values, *more, *after]
    reasons = [first_reason_line(one) for one in rows]
    available = width - _width(columns)
    if any(reasons) and available >= MIN_REASON_WIDTH:
        columns.append(("reason", [_cut(reason, available) for reason in reasons]))
    return columns


def _parameter(name: str, rows: Sequence[TrialResult]) -> Column:
    cells = [
        _cut(format_value(one.values[name], MAX_CELL_WIDTH), MAX_CELL_WIDTH)
        if name in one.values
        else DASH
        for one in rows
    ]
    return _cut(shorten(name, MAX_CELL_WIDTH), MAX_CELL_WIDTH), cells


def _width(columns: Sequence[Column]) -> int:
    return sum(max(map(cell_len, [title, *cells])) + GAP for title, cells in columns)


def _cut(text: str, cells: int) -> str:
    # Cells, not characters: Chinese characters take two cells each.
    return text if cell_len(text) <= cells else f"{set_cell_size(text, cells - 1).rstrip()}…"

"""The runs in a folder with their figures and settings, read without TensorFlow."""

from __future__ import annotations

import json
import operator
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tfpipe.config import TrainConfig, read_values
from tfpipe.errors import UserError, did_you_mean
from tfpipe.tasks import TASKS

DEPTH = 2
# Settings that have a column of their own, or that say nothing of the model.
NO_SETTINGS = {
    *("task", "model", "output", "resume", "json", "language", "dry_run", "profile_steps"),
    *("stop_after", "checkpoint_steps", "checkpoint_minutes", "keep_checkpoints"),
    *("workers", "worker_index", "worker_timeout", "tpu"),
}
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
CONDITION = re.compile(r"\s*([\w.]+)\s*(>=|<=|>|<|=)\s*(.*?)\s*")


@dataclass(frozen=True)
class ListedRun:
    """A run.

    Attributes:
        folder: Its folder.
        name: That folder's path from the folder that was searched.
        date: When its newest file of results or settings was written, `2026-01-31 12:00`.
        finished: Whether training is finished.
        settings: Its configuration.
        figures: Its metrics by name, such as `dev.accuracy`.
    """

    folder: Path
    name: str
    date: str
    finished: bool
    settings: Mapping[str, Any]
    figures: Mapping[str, float]

    def value(self, column: str) -> Any:
        """Return the value of a column: a metric, a setting, or name, date, task, model."""
        if column in ("name", "date"):
            return getattr(self, column)
        return self.figures.get(column, self.settings.get(column))


def find_runs(folder: Path) -> list[ListedRun]:
    """Find the runs in a folder, and in the folders in it; raises UserError without the folder."""
    if not folder.is_dir():
        raise UserError(
            "the folder of runs is missing", str(folder), "give the folder that runs are in"
        )
    return [_read(found, folder) for found in _walk(folder, DEPTH)]


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / "config.yaml").is_file() and any(
        (folder / name).is_file() for name in ("data.json", "metrics.json")
    ):
        yield folder
        return
    if depth:
        with os.scandir(folder) as children:
            inside = sorted(child.path for child in children if child.is_dir())
        for child in inside:
            yield from _walk(Path(child), depth - 1)


def _read(run: Path, top: Path) -> ListedRun:
    metrics, written = run / "metrics.json", run / "config.yaml"
    figures: dict[str, float] = {}
    try:
        settings = vars(TrainConfig()) | read_values(written)
    except UserError:
        settings = {}
    try:
        stored = json.loads(metrics.read_text(encoding="utf-8"))
        written = metrics
        for part in ("dev", "test"):
            figures |= {f"{part}.{name}": v for name, v in (stored.get(part) or {}).items()}
    except (OSError, ValueError, AttributeError):
        stored = None
    date = time.strftime("%Y-%m-%d %H:%M", time.localtime(written.stat().st_mtime))
    name = str(run.relative_to(top)) if run != top else run.name
    return ListedRun(run, name, date, stored is not None, settings, figures)


def differing_settings(runs: Sequence[ListedRun]) -> list[str]:
    """Return the names of the settings that are not the same in all runs."""
    names = [name for name in vars(TrainConfig()) if name not in NO_SETTINGS]
    return [name for name in names if len({repr(run.value(name)) for run in runs}) > 1]


def columns_of(runs: Sequence[ListedRun]) -> list[str]:
    """Return the names by which runs can be sorted and filtered."""
    figures = dict.fromkeys(name for run in runs for name in run.figures)
    return ["name", "date", *figures, *vars(TrainConfig())]


def sort_runs(runs: Sequence[ListedRun], column: str) -> list[ListedRun]:
    """Sort by a column, runs without a value last; raises UserError for an unknown one."""
    _refuse_unknown(column, runs, "--sort")
    valued = [run for run in runs if run.value(column) is not None]
    rest = [run for run in runs if run.value(column) is None]
    numbers = all(isinstance(run.value(column), int | float) for run in valued)
    return sorted(
        valued,
        key=lambda run: run.value(column) if numbers else str(run.value(column)),
        reverse=column == "date" or (column[:4] in ("dev.", "test") and _rises(column)),
    ) + sorted(rest, key=lambda run: run.name)


def _rises(column: str) -> bool:
    """Return whether a higher value of a metric is better."""
    name = column.partition(".")[2]
    known = (spec.metrics | spec.optional_metrics for spec in TASKS.values())  # type: ignore[operator]
    return next((metrics[name] for metrics in known if name in metrics), "max") == "max"


def filter_runs(runs: Sequence[ListedRun], conditions: str | None) -> list[ListedRun]:
    """Return the runs that meet all conditions; raises UserError for an unknown column."""
    kept = list(runs)
    for part in filter(None, (conditions or "").split(",")):
        match = CONDITION.fullmatch(part)
        if match is None:
            kept = [run for run in kept if part.strip().lower() in run.name.lower()]
            continue
        column, sign, wanted = match.groups()
        _refuse_unknown(column, runs, "--filter")
        kept = [run for run in kept if _meets(run.value(column), sign, wanted)]
    return kept


def _meets(value: Any, sign: str, wanted: str) -> bool:
    if sign == "=":
        same_text = fnmatch(str(value).lower(), wanted.lower())
        return same_text or (_number(value) is not None and _number(value) == _number(wanted))
    if _number(value) is not None and _number(wanted) is not None:
        return COMPARISONS[sign](_number(value), _number(wanted))
    return value is not None and COMPARISONS[sign](str(value), wanted)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _refuse_unknown(column: str, runs: Sequence[ListedRun], flag: str) -> None:
    known = columns_of(runs)
    if runs and column not in known:
        raise UserError(
            f"{flag} names no column",
            repr(column),
            f"{did_you_mean(column, known)}known: name, date, metrics such as dev.accuracy, and"
            " the settings of tfpipe.train",
        )

"""Progress of a study: its summary line, remaining time, and new events as text lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfpipe.tasks.sections import Baseline
from tfpipe.text_display import shorten
from tuning.report.baseline_comparison import find_defaults_trial
from tuning.report.formatting import format_score, format_time, format_value
from tuning.trial_result import FAILED, RUNNING, TrialResult, best_of


@dataclass(frozen=True)
class StudyProgress:
    """Snapshot of a running study.

    Attributes:
        results: All trials so far, ordered by number, running ones with their history.
        planned: Requested number of trials.
        direction: Which values of the objective are better, `max` or `min`.
        objective: Such as `dev.accuracy`.
        seconds: Elapsed time of the study.
        jobs: Number of concurrent trials.
        baseline: Baseline of the objective; None if it has none.
    """

    results: list[TrialResult]
    planned: int
    direction: str
    objective: str
    seconds: float
    jobs: int
    baseline: Baseline | None = None

    @property
    def best(self) -> TrialResult | None:
        """The ended trial with the best score."""
        return best_of(self.results, self.direction)

    @property
    def history_key(self) -> str:
        """Key of the objective in the records of a history, such as `dev_accuracy`."""
        return self.objective.replace(".", "_")

    def score_of(self, result: TrialResult) -> float | None:
        """Return the score of a trial; for a running one, that of its best epoch so far."""
        if result.score is not None or result.ended:
            return result.score
        found = [record.get(self.history_key) for record in result.history]
        scores = [one for one in found if one is not None and math.isfinite(one)]
        return (max if self.direction == "max" else min)(scores, default=None)

    def summary(self) -> str:
        """Return one line: best score, ended and failed trials, elapsed and remaining time."""
        ended = sum(one.ended for one in self.results)
        failed = sum(one.status == FAILED for one in self.results)
        parts = [
            self._best_so_far(),
            *self._reference_scores(),
            f"{ended} of {self.planned} ended" + (f", {failed} failed" if failed else ""),
            f"{format_time(self.seconds)} elapsed",
        ]
        if ended < max(self.planned, len(self.results)):
            left = seconds_left(self.results, self.planned, self.jobs)
            parts.append("ETA unknown" if left is None else f"ETA {format_time(left)}")
        return " | ".join(parts)

    def _best_so_far(self) -> str:
        best = self.best
        if best is None:
            return f"no {self.objective} yet"
        score = format_score_and_spread(best.score, best.spread)
        return f"best {self.objective} {score} (trial {best.number})"

    def _reference_scores(self) -> list[str]:
        """The scores of the default configuration and of the baseline, where there are any."""
        defaults = find_defaults_trial(self.results)
        found = []
        if defaults and defaults.ended and defaults.score is not None:
            score = format_score_and_spread(defaults.score, defaults.spread)
            found.append(f"defaults {score} (trial {defaults.number})")
        if self.baseline:
            found.append(f"baseline {format_score(self.baseline.value)}")
        return found


class ProgressLines:
    """Reports the changes between successive snapshots of a study as text lines."""

    def __init__(self) -> None:
        self._status: dict[int, str] = {}
        self._epoch: dict[int, int] = {}
        self._best: int | None = None
        self._ended = 0
        self._begun = False

    def lines(self, progress: StudyProgress) -> list[str]:
        """Return the lines for what changed since the last call.

        Args:
            progress: The current snapshot.

        Returns:
            One line for each start, epoch and end of a trial, and a summary after an end. At the
            first call trials that have ended already share one line.
        """
        lines = [] if self._begun else self._begin(progress)
        before = self._ended
        for result in progress.results:
            lines += self._changes(result, progress)
        return [*lines, progress.summary()] if self._ended > before else lines

    def _begin(self, progress: StudyProgress) -> list[str]:
        self._begun = True
        ended = [one for one in progress.results if one.ended]
        self._status = {one.number: one.status for one in ended}
        self._epoch = {one.number: _last_epoch(one) for one in progress.results}
        self._best = progress.best.number if progress.best else None
        return [f"going on: {progress.summary()}"] if ended else []

    def _changes(self, result: TrialResult, progress: StudyProgress) -> list[str]:
        number, lines = result.number, []
        before = self._status.get(number)
        self._status[number] = result.status
        if before is None or (before != RUNNING and not result.ended):
            which = " (the defaults)" if result.defaults else ""
            lines.append(f"trial {number} started{which}: {_values(result)}")
        last = self._epoch.get(number, 0)
        self._epoch[number] = max(last, _last_epoch(result))
        for record in result.history:
            if record["epoch"] > last and record.get(progress.history_key) is not None:
                score = f"{progress.objective} {format_score(record[progress.history_key])}"
                lines.append(f"trial {number} epoch {record['epoch']}: {score}")
        if result.ended and before in (None, RUNNING):
            lines.append(self._end_line(result, progress))
            self._ended += 1
        return lines

    def _end_line(self, result: TrialResult, progress: StudyProgress) -> str:
        line = f"trial {result.number} {result.status} after {format_time(result.seconds)}"
        if result.score is not None:
            line += f": {progress.objective} {format_score_and_spread(result.score, result.spread)}"
        if progress.best and progress.best.number == result.number != self._best:
            self._best = result.number
            line += " (best so far)"
        reason = first_reason_line(result)
        return f"{line}: {reason}" if reason else line


def seconds_left(results: Sequence[TrialResult], planned: int, jobs: int) -> float | None:
    """Estimate the remaining time from the mean duration of the ended trials.

    Args:
        results: All trials so far.
        planned: Requested number of trials.
        jobs: Number of concurrent trials.

    Returns:
        Seconds until all planned trials have ended, or None before the first one has.
    """
    ended = [one.seconds for one in results if one.ended]
    if not ended:
        return None
    mean = sum(ended) / len(ended)
    left = [max(0.0, mean - one.seconds) for one in results if not one.ended]
    left += [mean] * max(0, planned - len(results))
    # Concurrent jobs divide the trials, but the longest one is a lower bound.
    return max(sum(left) / max(1, jobs), max(left, default=0.0))


def format_score_and_spread(score: float | None, spread: float | None = None) -> str:
    """Format a score, with several seeds its standard deviation too: 0.8412 ± 0.0031."""
    return " ± ".join([format_score(score), *([] if spread is None else [format_score(spread)])])


def first_reason_line(result: TrialResult) -> str:
    """Return the first line of the reason of a failure or a stop, shortened, for the terminal."""
    lines = (result.reason or "").strip().splitlines()
    return shorten(lines[0], 200) if lines else ""


def _values(result: TrialResult) -> str:
    return ", ".join(f"{shorten(n, 40)} {format_value(v)}" for n, v in result.values.items())


def _last_epoch(result: TrialResult) -> int:
    return max((record["epoch"] for record in result.history), default=0)

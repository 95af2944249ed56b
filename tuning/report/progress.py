"""How far a study is: what is left, and what is new as plain lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tfpipe.tasks.sections import Baseline
from tfpipe.text_display import shorten
from tuning.outcome import FAILED, RUNNING, Outcome, best_of
from tuning.report.verdict import trial_of_defaults
from tuning.report.wording import format_score, format_time, format_value


@dataclass(frozen=True)
class Progress:
    """A study at one moment.

    outcomes: all so far, by number, running ones with their history; planned: trials asked for;
    direction: `max` or `min`; objective: as `dev.accuracy`; seconds: that the study took so far;
    jobs: trials at a time; baseline: of the objective, where it has one.
    """

    outcomes: list[Outcome]
    planned: int
    direction: str
    objective: str
    seconds: float
    jobs: int
    baseline: Baseline | None = None

    @property
    def best(self) -> Outcome | None:
        return best_of(self.outcomes, self.direction)

    @property
    def figure(self) -> str:
        """The objective's key in a history's records: `dev_accuracy`."""
        return self.objective.replace(".", "_")

    def score_of(self, outcome: Outcome) -> float | None:
        """The trial's score; of a running one that of its best epoch so far."""
        if outcome.score is not None or outcome.ended:
            return outcome.score
        found = [record.get(self.figure) for record in outcome.history]
        scores = [one for one in found if one is not None and math.isfinite(one)]
        return (max if self.direction == "max" else min)(scores, default=None)

    def summary(self) -> str:
        """One line: the best so far, how many trials ended and failed, time gone and left."""
        best, ended = self.best, sum(one.ended for one in self.outcomes)
        failed = sum(one.status == FAILED for one in self.outcomes)
        parts = [
            f"best {self.objective} {score_text(best.score, best.spread)} (trial {best.number})"
            if best
            else f"no {self.objective} yet",
            *self._compared(),
            f"{ended} of {self.planned} ended" + (f", {failed} failed" if failed else ""),
            f"{format_time(self.seconds)} elapsed",
        ]
        if ended < max(self.planned, len(self.outcomes)):
            left = seconds_left(self.outcomes, self.planned, self.jobs)
            parts.append("ETA unknown" if left is None else f"ETA {format_time(left)}")
        return " | ".join(parts)

    def _compared(self) -> list[str]:
        """The scores that the best one is to beat."""
        defaults = trial_of_defaults(self.outcomes)
        found = []
        if defaults and defaults.ended and defaults.score is not None:
            score = score_text(defaults.score, defaults.spread)
            found.append(f"defaults {score} (trial {defaults.number})")
        if self.baseline:
            found.append(f"baseline {format_score(self.baseline.value)}")
        return found


class News:
    """Finds what changed since the last look."""

    def __init__(self) -> None:
        self._status: dict[int, str] = {}
        self._epoch: dict[int, int] = {}
        self._best: int | None = None
        self._ended = 0
        self._begun = False

    def lines(self, progress: Progress) -> list[str]:
        """A line for each start, epoch and end; one for all that ended before the first look."""
        lines = [] if self._begun else self._begin(progress)
        before = self._ended
        for outcome in progress.outcomes:
            lines += self._of(outcome, progress)
        return [*lines, progress.summary()] if self._ended > before else lines

    def _begin(self, progress: Progress) -> list[str]:
        self._begun = True
        ended = [one for one in progress.outcomes if one.ended]
        self._status = {one.number: one.status for one in ended}
        self._epoch = {one.number: _last_epoch(one) for one in progress.outcomes}
        self._best = progress.best.number if progress.best else None
        return [f"going on: {progress.summary()}"] if ended else []

    def _of(self, outcome: Outcome, progress: Progress) -> list[str]:
        number, lines = outcome.number, []
        before = self._status.get(number)
        self._status[number] = outcome.status
        if before is None or (before != RUNNING and not outcome.ended):
            which = " (the defaults)" if outcome.defaults else ""
            lines.append(f"trial {number} started{which}: {_values(outcome)}")
        last = self._epoch.get(number, 0)
        self._epoch[number] = max(last, _last_epoch(outcome))
        for record in outcome.history:
            if record["epoch"] > last and record.get(progress.figure) is not None:
                score = f"{progress.objective} {format_score(record[progress.figure])}"
                lines.append(f"trial {number} epoch {record['epoch']}: {score}")
        if outcome.ended and before in (None, RUNNING):
            lines.append(self._end_of(outcome, progress))
            self._ended += 1
        return lines

    def _end_of(self, outcome: Outcome, progress: Progress) -> str:
        line = f"trial {outcome.number} {outcome.status} after {format_time(outcome.seconds)}"
        if outcome.score is not None:
            line += f": {progress.objective} {score_text(outcome.score, outcome.spread)}"
        if progress.best and progress.best.number == outcome.number != self._best:
            self._best = outcome.number
            line += " (best so far)"
        reason = reason_of(outcome)
        return f"{line}: {reason}" if reason else line


def seconds_left(outcomes: Sequence[Outcome], planned: int, jobs: int) -> float | None:
    """Seconds until all planned trials have ended, if they take as long as those that have.

    None before one has ended. What running trials have taken already is counted.
    """
    ended = [one.seconds for one in outcomes if one.ended]
    if not ended:
        return None
    mean = sum(ended) / len(ended)
    left = [max(0.0, mean - one.seconds) for one in outcomes if not one.ended]
    left += [mean] * max(0, planned - len(outcomes))
    # Jobs share the trials, but no two share one.
    return max(sum(left) / max(1, jobs), max(left, default=0.0))


def score_text(score: float | None, spread: float | None = None) -> str:
    """0.8412, with several seeds 0.8412 ± 0.0031."""
    return " ± ".join([format_score(score), *([] if spread is None else [format_score(spread)])])


def reason_of(outcome: Outcome) -> str:
    """The first line of a failure's or a stop's reason, without control characters."""
    lines = (outcome.reason or "").strip().splitlines()
    return shorten(lines[0], 200) if lines else ""


def _values(outcome: Outcome) -> str:
    return ", ".join(f"{shorten(n, 40)} {format_value(v)}" for n, v in outcome.values.items())


def _last_epoch(outcome: Outcome) -> int:
    return max((record["epoch"] for record in outcome.history), default=0)

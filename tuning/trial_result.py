"""What became of a trial: a row of trials.json."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

RUNNING, COMPLETED, STOPPED, FAILED = "running", "completed", "stopped", "failed"


@dataclass(frozen=True)
class TrialResult:
    """A trial as far as it has come.

    number: from 1; status: running, completed, stopped (early, as a poor one) or failed; values:
    of the space's parameters; score: the objective of the best epoch, the mean over seeds; None
    for a trial that failed or has not yet looked at dev. seconds: of its processes, over all
    starts of the study; reason: of a failure or a stop; scores: one a seed; spread: their standard
    deviation, None for one seed; epochs: that it trained itself, over all seeds; epochs_saved: that
    a stop saved; continues: the trial whose checkpoint it went on from; log: the last lines of a
    failed trial; history: one record an epoch of the first seed, as in a run's report; defaults:
    whether its values are those that training takes by itself, as near as the space holds them;
    baseline: the objective of always answering the most frequent label, None where there is none.
    """

    number: int
    status: str
    values: dict[str, Any]
    score: float | None = None
    seconds: float = 0.0
    reason: str | None = None
    scores: list[float] = field(default_factory=list)
    spread: float | None = None
    epochs: int = 0
    epochs_saved: int = 0
    continues: int | None = None
    log: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    defaults: bool = False
    baseline: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.status != RUNNING

    def as_row(self) -> dict[str, Any]:
        """The row of trials.json, where null stands for what JSON has no word for, such as NaN."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def best_of(results: list[TrialResult], direction: str) -> TrialResult | None:
    """The ended trial with the best score, the first of equals; None where none has a score.

    direction: `max` or `min`, which scores are better.
    """
    sign = 1 if direction == "max" else -1
    scored = [
        (sign * one.score, -one.number, one)
        for one in results
        if one.status in (COMPLETED, STOPPED) and one.score is not None and math.isfinite(one.score)
    ]
    return max(scored)[2] if scored else None

"""Result of a trial: its status, values and score, a row of trials.json."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

RUNNING, COMPLETED, STOPPED, FAILED = "running", "completed", "stopped", "failed"


@dataclass(frozen=True)
class TrialResult:
    """The state and the results of a trial, while it runs and after it has ended.

    Attributes:
        number: Number of the trial, from 1.
        status: `running`, `completed`, `stopped` (early, by the median rule) or `failed`.
        values: Active values of the searched parameters.
        score: Objective of the best epoch, averaged over the seeds; None if the trial failed or
            has not been evaluated yet.
        seconds: Wall time of its processes over all starts of the study.
        reason: Why it failed or was stopped.
        scores: Score of each seed.
        spread: Standard deviation of `scores`; None for one seed.
        epochs: Epochs that the trial trained itself, over all seeds.
        epochs_saved: Epochs left out because the trial was stopped early.
        continues: Number of the trial whose checkpoint it was initialized from (hyperband).
        log: Last lines of the log of a failed trial.
        history: One record per epoch of the first seed, as in the run's report.
        defaults: Whether its values are the defaults of tfpipe.train, or the values of the search
            space nearest to them.
        baseline: Objective of always predicting the most frequent label; None without a baseline.
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
        """Whether the trial has completed, failed or was stopped."""
        return self.status != RUNNING

    def as_row(self) -> dict[str, Any]:
        """Return the row of trials.json, with None for NaN and infinities."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def best_of(results: list[TrialResult], direction: str) -> TrialResult | None:
    """Return the ended trial with the best score, the first one among equal scores.

    Args:
        results: The trials.
        direction: Which scores are better, `max` or `min`.

    Returns:
        The best trial, or None if no ended trial has a finite score.
    """
    sign = 1 if direction == "max" else -1
    scored = [
        (sign * one.score, -one.number, one)
        for one in results
        if one.status in (COMPLETED, STOPPED) and one.score is not None and math.isfinite(one.score)
    ]
    return max(scored)[2] if scored else None

"""Configuration of a search; every training setting can be given, too, as a fixed value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config import TrainConfig
from tfpipe.config.settings import setting
from tfpipe.errors import UserError

ALGORITHMS = ("bayesian", "random", "hyperband", "grid")
STOPPING = ("auto", "median", "none")
RETRAIN_ON = ("train", "train+dev")
# Training settings that the study sets itself, and the advice for an error message.
RESERVED_SETTINGS = {
    "output": "give the study's folder as --output",
    "resume": "start the same command again: a study goes on by itself",
    "json": "give --json to the search",
    "dry_run": "give --dry-run to the search",
    "stop_after": "choose --algorithm or --stop-poor, which stop trials",
    "best_by": "give --objective, which the best epoch follows",
    "workers": "give --processes",
    "worker_index": "give --processes",
}


@dataclass(frozen=True)
class SearchConfig:
    """Settings of `python -m tuning.search`; field names are flag names."""

    space: str = setting(
        "default",
        "FILE.yaml: training settings, each with a choice, a range or a fixed value",
        group="search",
    )
    trials: int = setting(
        20, "configurations to try; with hyperband every rung is one", minimum=1, group="search"
    )
    algorithm: str = setting(
        "bayesian", "Keras Tuner's oracle that proposes values", choices=ALGORITHMS, group="search"
    )
    objective: str | None = setting(
        None, "dev.METRIC to optimize (default: the task's own; dev.accuracy)", group="search"
    )
    seeds: int = setting(
        1,
        "trainings of a configuration, with --seed and the numbers after it; the score is the mean",
        minimum=1,
        group="search",
    )
    stop_poor: str = setting(
        "auto",
        "median: stop a trial whose dev metric falls below the median of the others at the same"
        " fraction of their epochs; auto is median, or hyperband's own halving",
        choices=STOPPING,
        group="search",
    )
    output: str | None = setting(
        None,
        "the study's folder; a study in it is resumed (default: studies/<task>-<algorithm>)",
        group="search",
    )
    dry_run: bool = setting(
        False,
        "print five sampled configurations and the estimated time; nothing is kept",
        group="search",
    )
    json: bool = setting(False, "print the best trial as one JSON object", group="search")
    # ---- how trials run (trial.py)
    jobs: int = setting(
        1, "trials at a time; CPU threads or GPUs are shared out", minimum=1, group="trials"
    )
    trial_timeout: int = setting(
        0,
        "seconds a trial may take, 0 for no limit; then it is ended as failed",
        minimum=0,
        group="trials",
    )
    same_errors: int = setting(
        3,
        "trials in a row that fail with the same error before the study stops",
        minimum=1,
        group="trials",
    )
    retry_failed: bool = setting(False, "try the study's failed trials again", group="trials")
    processes: int = setting(
        1,
        "processes that a trial trains in, by tfpipe.launch --workers",
        minimum=1,
        group="trials",
    )
    servers: int = setting(
        0, "processes that hold a trial's weights, by tfpipe.launch", minimum=0, group="trials"
    )
    price: float = setting(
        0.0, "price of an hour of one job, for the report's cost", minimum=0, group="trials"
    )
    # ---- final training (retrain.py)
    retrain: bool = setting(
        False, "train the best configuration at the end, into OUTPUT/retrained", group="winner"
    )
    retrain_on: str = setting(
        "train",
        "train+dev: on all labelled texts, with the epochs that were best",
        choices=RETRAIN_ON,
        group="winner",
    )
    # ---- several machines (chief.py)
    lease: int = setting(
        60,
        "chief: seconds without a heartbeat after which a worker's trial is reassigned",
        minimum=2,
        group="machines",
    )
    patience: int = setting(
        3600,
        "seconds that a chief waits for a first or another worker, and a worker for its chief",
        minimum=1,
        group="machines",
    )

    def conflicts(self) -> Iterator[tuple[tuple[str, ...], UserError]]:
        """Yield the errors of contradictory settings, each with the names of the fields."""
        if self.algorithm == "hyperband" and self.stop_poor != "auto":
            yield (
                ("algorithm", "stop_poor"),
                UserError(
                    "hyperband stops poor trials by its own halving",
                    f"--algorithm hyperband with --stop-poor {self.stop_poor}",
                    "leave out --stop-poor",
                ),
            )
        if self.retrain_on != "train" and not self.retrain:
            yield (
                ("retrain", "retrain_on"),
                UserError(
                    "--retrain-on has no effect without --retrain",
                    f"--retrain-on {self.retrain_on}",
                    "add --retrain, or leave out --retrain-on",
                ),
            )


def training_fields() -> list[tuple[type, dataclasses.Field]]:
    """Return the training settings that a search accepts as fixed values."""
    return [
        (TrainConfig, f) for f in dataclasses.fields(TrainConfig) if f.name not in RESERVED_SETTINGS
    ]

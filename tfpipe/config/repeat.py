"""Options of `tfpipe.train` that train several times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.settings import Conflict, flag_of, setting
from tfpipe.config.train import TrainConfig
from tfpipe.errors import UserError

SINGLE = ("resume", "dry_run", "stop_after", "workers", "worker_index")


@dataclass(frozen=True)
class RepeatConfig:
    """How often `tfpipe.train` trains; without these settings once.

    The runs are OUTPUT/seed-1, ... or OUTPUT/fold-1, ...; the same command continues after those
    that are finished.
    """

    seeds: int | None = setting(
        None,
        "trainings with --seed and the numbers after it, on one dev split: mean and spread of every"
        " metric",
        minimum=2,
        group="several trainings",
    )
    folds: int | None = setting(
        None,
        "K-fold cross-validation: K trainings, each with another part of the training file as test",
        minimum=2,
        group="several trainings",
    )
    find_label_errors: int | None = setting(
        None,
        "--folds, and a file suspects.tsv of the rows whose label may be wrong (classify)",
        minimum=2,
        group="several trainings",
    )

    @property
    def fold_count(self) -> int | None:
        """The number of folds; None without."""
        return self.folds or self.find_label_errors

    @property
    def repeats(self) -> bool:
        """Whether there are several trainings."""
        return bool(self.seeds or self.fold_count)

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        if self.seeds and self.fold_count:
            yield (
                ("seeds", "folds", "find_label_errors"),
                UserError(
                    "--seeds and folds cannot be combined",
                    f"--seeds {self.seeds} with {self.fold_count} folds",
                    "leave out one of the two",
                ),
            )
        if self.folds and self.find_label_errors and self.folds != self.find_label_errors:
            yield (
                ("folds", "find_label_errors"),
                UserError(
                    "--folds and --find-label-errors are one number of folds",
                    f"--folds {self.folds} with --find-label-errors {self.find_label_errors}",
                    "leave out --folds",
                ),
            )

    def errors_with(self, config: TrainConfig) -> Iterator[UserError]:
        """Yield what is wrong with a training that is to be done several times."""
        if not self.repeats:
            return
        default = TrainConfig()
        single = [*SINGLE, "test"] if self.fold_count else SINGLE
        for name in single:
            if getattr(config, name) != getattr(default, name):
                reason = "a part of the training file is the test" if name == "test" else "one run"
                yield UserError(
                    f"{flag_of(name)} cannot be combined with several trainings",
                    f"{flag_of(name)} {getattr(config, name)}: {reason}",
                    f"leave out {flag_of(name)}; the same command continues what was stopped",
                )
        if config.strategy in ("multi_worker", "parameter_server"):
            yield UserError(
                "several trainings are done in this process's own children",
                f"--strategy {config.strategy}",
                "use another --strategy",
            )
        if self.find_label_errors and config.task != "classify":
            yield UserError(
                "--find-label-errors is for --task classify",
                f"--task {config.task}",
                "use --folds, whose predictions.tsv has the answer to every row",
            )

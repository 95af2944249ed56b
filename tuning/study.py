"""Folder of a study: its plan, the results of its trials and the files for users."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tfpipe import run_folder
from tfpipe.config import TrainConfig, to_yaml
from tfpipe.errors import UserError
from tfpipe.io.atomic import ASIDE, remove_files, write_text
from tfpipe.tasks.sections import Baseline
from tuning.space import Space, differences
from tuning.trial_result import FAILED, TrialResult, best_of

# Settings that identify a study; the other ones may change when it is resumed.
IDENTITY_SETTINGS = ("algorithm", "objective", "seeds")
# Fixed training settings that may change as well; data files are identified by their contents.
CHANGEABLE_SETTINGS = (*run_folder.RESUMABLE, "train", "dev", "test")


@dataclass(frozen=True)
class StudyPlan:
    """What a study searches; a resumed study must have an equal plan.

    Attributes:
        space: The search space.
        algorithm: Name of the search algorithm.
        objective: Metric to optimize, such as `dev.accuracy`.
        direction: Which values of it are better, `max` or `min`.
        seeds: Trainings of each configuration.
        data: SHA-256 of the texts and labels of `train` and `dev`.
        epochs: Most epochs of a hyperband trial; 0 for other algorithms.
        baseline: Baseline of the objective; None if it has none.
    """

    space: Space
    algorithm: str
    objective: str
    direction: str
    seeds: int
    data: dict[str, str]
    epochs: int = 0
    baseline: Baseline | None = None

    @property
    def metric(self) -> str:
        """The objective without its data split: `accuracy` of `dev.accuracy`."""
        return self.objective.removeprefix("dev.")

    def as_json(self) -> dict[str, Any]:
        """Return the contents of study.json."""
        settings = {name: getattr(self, name) for name in (*IDENTITY_SETTINGS, "data", "epochs")}
        space = self.space.as_json()
        space["fixed"] = {
            n: value for n, value in space["fixed"].items() if n not in CHANGEABLE_SETTINGS
        }
        return settings | {"space": space}


class Study:
    """The folder of a study.

    It has study.json (the plan), oracle/ (Keras Tuner's state), trials/0001/ (a trial's
    outcome.json, config.yaml, log.txt and run), and trials.json, best.yaml and report.html.

    Attributes:
        folder: The folder.
        plan: What the study searches.
    """

    def __init__(self, folder: Path, plan: StudyPlan):
        self.folder, self.plan = folder, plan
        self._read: dict[Path, tuple[tuple[int, int], TrialResult]] = {}

    @property
    def file(self) -> Path:
        """Path of study.json, whose presence marks the folder of a study."""
        return self.folder / "study.json"

    def open(self) -> bool:
        """Create the study's folder, or check an existing one.

        Returns:
            Whether the study exists already and is resumed.

        Raises:
            UserError: If the folder has another study or other files, or cannot be written.
        """
        if self.file.is_file():
            check_same_plan(self.file, self.plan)
            return True
        # An earlier start that was killed may have left a lock and temporary files.
        left = [path for path in _inside(self.folder) if not path.name.startswith(".")]
        if left:
            raise UserError(
                "the output folder exists and is no study",
                f"{self.folder} has {left[0].name} and no study.json",
                "give another --output",
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(
                self.file, json.dumps(self.plan.as_json(), indent=2, ensure_ascii=False) + "\n"
            )
        except OSError as error:
            raise UserError(
                "the output folder cannot be written",
                f"{self.folder}: {error.strerror}",
                "give an --output that you may write, on a disk with space",
            ) from None
        return False

    def trial_folder(self, number: int) -> Path:
        """Return the folder of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    def run_folders(self, number: int) -> list[Path]:
        """Return the folder of each seed's run of a trial; they may not exist yet."""
        folder, seeds = self.trial_folder(number), self.plan.seeds
        return [folder / ("run" if seeds == 1 else f"run-{i}") for i in range(1, seeds + 1)]

    def write_result(self, result: TrialResult) -> None:
        """Write the result of a trial, complete or so far."""
        folder = self.trial_folder(result.number)
        folder.mkdir(parents=True, exist_ok=True)
        row = json.dumps(asdict(result), ensure_ascii=False)
        write_text(folder / "outcome.json", row + "\n")

    def read_result(self, number: int) -> TrialResult | None:
        """Read the result of a trial, complete or so far; None if it has not started."""
        file = self.trial_folder(number) / "outcome.json"
        try:
            found = file.stat()
            # Two writes may have the same modification time, but each creates a new inode.
            written = found.st_mtime_ns, found.st_ino
            if file not in self._read or self._read[file][0] != written:
                row = json.loads(file.read_text(encoding="utf-8"))
                self._read[file] = written, TrialResult(**row)
        except FileNotFoundError:
            return None
        return self._read[file][1]

    def results(self) -> list[TrialResult]:
        """Return the results of all trials, ordered by number."""
        names = [path.name for path in _inside(self.folder / "trials")]
        numbers = sorted(int(name) for name in names if name.isdecimal())
        found = [self.read_result(number) for number in numbers]
        return [result for result in found if result]

    @property
    def best(self) -> TrialResult | None:
        """The ended trial with the best score."""
        return best_of(self.results(), self.plan.direction)

    def write_trials(self, results: Sequence[TrialResult]) -> None:
        """Write trials.json, one row per trial."""
        rows = [result.as_row() for result in results]
        text = json.dumps(rows, indent=2, ensure_ascii=False)
        write_text(self.folder / "trials.json", text + "\n")

    def best_configuration(self, best: TrialResult) -> str:
        """Return the training configuration of a trial as YAML for `tfpipe.train --config`."""
        return to_yaml(self.configuration(best.values))

    def configuration(self, values: dict[str, Any]) -> TrainConfig:
        """Return the training configuration of a trial.

        Args:
            values: Values of the searched parameters.

        Raises:
            UserError: If settings contradict each other.
        """
        config = self.plan.space.configuration(values)
        epochs = self.plan.epochs or config.epochs
        return replace(config, epochs=epochs, best_by=self.plan.metric)

    def remove_weights(self, number: int, checkpoints: bool, model: bool) -> None:
        """Remove the checkpoints and the model of an ended trial, nearly all of its disk space.

        Args:
            number: Number of the trial.
            checkpoints: Whether the checkpoints are removed.
            model: Whether the model is removed.
        """
        for folder in self.run_folders(number):
            for name in ["checkpoints"] * checkpoints + ["model"] * model:
                shutil.rmtree(folder / name, ignore_errors=True)

    def remove_unneeded_files(self, resumable: set[int]) -> None:
        """Remove checkpoints and models of ended trials that are no longer needed.

        The model of the best trial is kept. Temporary files of killed processes are removed too.

        Args:
            resumable: Numbers of ended trials whose checkpoints a later trial may resume from.
        """
        best, results = self.best, self.results()
        # No process writes into the folder of an ended trial, nor, apart from this one, at the top.
        remove_files(self.folder.glob(ASIDE))
        for result in results:
            if result.ended:
                left = self.trial_folder(result.number).rglob(ASIDE)
                # Partial files in a log folder, which only TensorBoard reads, may stay.
                remove_files(path for path in left if path.parent.name != "logs")
        # A running trial copies its parent's checkpoints seed by seed, the last one late.
        needed = resumable | {one.continues for one in results if not one.ended}
        for result in results:
            if result.ended and result.number not in needed:
                keeps = best is not None and result.number == best.number
                self.remove_weights(result.number, checkpoints=True, model=not keeps)


def check_same_plan(file: Path, plan: StudyPlan) -> None:
    """Check that a stored study has this plan.

    Args:
        file: The study.json of the folder.
        plan: The plan of the search.

    Raises:
        UserError: If the file cannot be read, or naming each difference between the plans.
    """
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(stored, dict):
            raise ValueError(f"a {type(stored).__name__}, no table")
    except (OSError, ValueError) as error:
        raise UserError(
            "the study's file cannot be read", f"{file}: {error}", "give another --output"
        ) from None
    # A round trip through JSON turns tuples into lists and keys into strings, as in the file.
    now = json.loads(json.dumps(plan.as_json()))
    changed = [
        f"{name} is {now[name]!r}, the study has {stored.get(name)!r}"
        for name in (*IDENTITY_SETTINGS, "epochs")
        if now[name] != stored.get(name)
    ]
    changed += [
        f"the texts or labels of {part} are others"
        for part in now["data"]
        if now["data"][part] != stored.get("data", {}).get(part)
    ]
    changed += differences(stored.get("space", {}), now["space"])
    if changed:
        raise UserError(
            "the folder has another study",
            "; ".join(changed),
            "give another --output, or the study's own settings to go on with it",
        )


def repeated_error(ended: Sequence[TrialResult], times: int) -> TrialResult | None:
    """Return the last trial if the last `times` trials failed with the same error.

    Args:
        ended: The ended trials, in the order in which they ended.
        times: Number of equal failures in a row; numbers in the error messages may differ.

    Returns:
        The last of these trials, or None.
    """
    recent = ended[-times:]
    if len(recent) < times or any(one.status != FAILED for one in recent):
        return None
    messages = {"".join(c for c in one.reason or "" if not c.isdigit()) for one in recent}
    return recent[-1] if len(messages) == 1 else None


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []

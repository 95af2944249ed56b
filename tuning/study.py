"""The study's folder: what it searches, what became of its trials, what is left for people."""

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

# Settings of the search that a study keeps; all others may change from start to start.
IDENTITY_SETTINGS = ("algorithm", "objective", "seeds")
# Fixed settings that may change as well: files are known by what is in them.
FREE = (*run_folder.FREE, "train", "dev", "test")


@dataclass(frozen=True)
class StudyPlan:
    """What makes a study this one and no other.

    objective: a figure of dev, direction: `max` or `min`; epochs: hyperband's most; data: SHA-256
    of train and dev; baseline: of the objective, None for one that has none.
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
    def figure(self) -> str:
        """The objective's figure: `accuracy` of `dev.accuracy`."""
        return self.objective.removeprefix("dev.")

    def as_json(self) -> dict[str, Any]:
        """What study.json holds."""
        kept = {name: getattr(self, name) for name in (*IDENTITY_SETTINGS, "data", "epochs")}
        space = self.space.as_json()
        space["fixed"] = {n: value for n, value in space["fixed"].items() if n not in FREE}
        return kept | {"space": space}


class Study:
    """The files of a study in `folder`.

    study.json: the plan; oracle/: Keras Tuner's state; trials/0001/: a trial's outcome.json,
    config.yaml, log.txt and run; trials.json, best.yaml, report.html: for people.
    """

    def __init__(self, folder: Path, plan: StudyPlan):
        self.folder, self.plan = folder, plan
        self._read: dict[Path, tuple[tuple[int, int], TrialResult]] = {}

    @property
    def file(self) -> Path:
        """What says that the folder has a study, and which."""
        return self.folder / "study.json"

    def open(self) -> bool:
        """Begin the study, or go on with it: then True. Raises UserError for any other folder."""
        if self.file.is_file():
            refuse_other(self.file, self.plan)
            return True
        # A killed start may have left the lock and a file written aside.
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
        """Where everything of a trial lies."""
        return self.folder / "trials" / f"{number:04d}"

    def run_folders(self, number: int) -> list[Path]:
        """The run of each seed of a trial; they may not be there yet."""
        folder, seeds = self.trial_folder(number), self.plan.seeds
        return [folder / ("run" if seeds == 1 else f"run-{i}") for i in range(1, seeds + 1)]

    def write_result(self, result: TrialResult) -> None:
        """Write what has become of a trial so far."""
        folder = self.trial_folder(result.number)
        folder.mkdir(parents=True, exist_ok=True)
        row = json.dumps(asdict(result), ensure_ascii=False)
        write_text(folder / "outcome.json", row + "\n")

    def read_result(self, number: int) -> TrialResult | None:
        """What has become of a trial so far; None for one that has not begun."""
        file = self.trial_folder(number) / "outcome.json"
        try:
            found = file.stat()
            # A file system's clock may stand still between two writes; each is a file of its own.
            written = found.st_mtime_ns, found.st_ino
            if file not in self._read or self._read[file][0] != written:
                row = json.loads(file.read_text(encoding="utf-8"))
                self._read[file] = written, TrialResult(**row)
        except FileNotFoundError:
            return None
        return self._read[file][1]

    def results(self) -> list[TrialResult]:
        """All trials, in the order of their numbers."""
        names = [path.name for path in _inside(self.folder / "trials")]
        numbers = sorted(int(name) for name in names if name.isdecimal())
        found = [self.read_result(number) for number in numbers]
        return [result for result in found if result]

    @property
    def best(self) -> TrialResult | None:
        """The ended trial with the best score."""
        return best_of(self.results(), self.plan.direction)

    def write_trials(self, results: Sequence[TrialResult]) -> None:
        """Write trials.json."""
        rows = [result.as_row() for result in results]
        text = json.dumps(rows, indent=2, ensure_ascii=False)
        write_text(self.folder / "trials.json", text + "\n")

    def best_configuration(self, best: TrialResult) -> str:
        """The YAML that `tfpipe.train --config` takes, of the trial's values."""
        return to_yaml(self.configuration(best.values))

    def configuration(self, values: dict[str, Any]) -> TrainConfig:
        """The training of a trial's values; raises UserError for settings at odds."""
        config = self.plan.space.configuration(values)
        epochs = self.plan.epochs or config.epochs
        return replace(config, epochs=epochs, best_by=self.plan.figure)

    def remove_weights(self, number: int, checkpoints: bool, model: bool) -> None:
        """Remove an ended trial's checkpoints and model, which are nearly all that it weighs."""
        for folder in self.run_folders(number):
            for name in ["checkpoints"] * checkpoints + ["model"] * model:
                shutil.rmtree(folder / name, ignore_errors=True)

    def remove_unneeded_files(self, resumable: set[int]) -> None:
        """Keep the checkpoints that a trial may go on from, and the best trial's model.

        What killed processes left of files written aside goes too.
        """
        best, results = self.best, self.results()
        # Nobody writes where a trial has ended; at the top only the caller does.
        remove_files(self.folder.glob(ASIDE))
        for result in results:
            if result.ended:
                left = self.trial_folder(result.number).rglob(ASIDE)
                # What is written for TensorBoard alone may stay half done.
                remove_files(path for path in left if path.parent.name != "logs")
        # A trial that runs takes its parent's checkpoints over, for its last seed late.
        needed = resumable | {one.continues for one in results if not one.ended}
        for result in results:
            if result.ended and result.number not in needed:
                keeps = best is not None and result.number == best.number
                self.remove_weights(result.number, checkpoints=True, model=not keeps)


def refuse_other(file: Path, plan: StudyPlan) -> None:
    """Raise UserError where the folder's study searches something else, saying what."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(stored, dict):
            raise ValueError(f"a {type(stored).__name__}, no table")
    except (OSError, ValueError) as error:
        raise UserError(
            "the study's file cannot be read", f"{file}: {error}", "give another --output"
        ) from None
    # Lists and tuples, whole numbers as keys: as a file holds them.
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
    """The last of so many trials that failed in a row with the same error, else None.

    ended: in the order in which they ended. Numbers in the reasons may differ.
    """
    recent = ended[-times:]
    if len(recent) < times or any(one.status != FAILED for one in recent):
        return None
    kinds = {"".join(c for c in one.reason or "" if not c.isdigit()) for one in recent}
    return recent[-1] if len(kinds) == 1 else None


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []

"""Studies for tests: the search's command in processes of its own, and what it leaves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support import commands
from tests.support.data import write_messages
from tests.support.waiting import wait_until
from tuning.space import Parameter, Space
from tuning.study import Study, StudyPlan
from tuning.trial_result import TrialResult

# What a trial needs to be a matter of seconds; the fixed part of every study here.
FIXED = {"model": "tiny", "max_length": "16", "dev": "0.2", "precision": "float32"}


def make_plan(**changes: Any) -> StudyPlan:
    """A plan over learning rate and batch size, which trains nothing by itself."""
    space = Space(
        (
            Parameter("learning_rate", "float", low=1e-4, high=1e-2, log=True),
            Parameter("batch_size", "choice", values=(8, 16)),
        ),
        {"model": "tiny", "epochs": 2, "train": "messages.tsv"},
    )
    settings: dict[str, Any] = {
        "space": space,
        "algorithm": "random",
        "objective": "dev.accuracy",
        "direction": "max",
        "seeds": 1,
        "data": {"train": "aa", "dev": "bb"},
    }
    return StudyPlan(**(settings | changes))


def make_study(folder: Path, *results: TrialResult, **changes: Any) -> Study:
    """A study that has begun, with these trials."""
    study = Study(folder, make_plan(**changes))
    study.open()
    for result in results:
        study.write_result(result)
    return study


class Search:
    """A study's command on tiny messages: run to its end, or started and killed."""

    def __init__(self, folder: Path, space: str, *more: str, rows: int = 120):
        self.folder = folder
        self.study = folder / "study"
        folder.mkdir(exist_ok=True)
        file = folder / "space.yaml"
        file.write_text(space, encoding="utf-8")
        data = folder / "messages.tsv"
        if not data.exists():
            write_messages(data, rows)
        fixed = [f"--{name.replace('_', '-')}={value}" for name, value in FIXED.items()]
        self.command = ["tuning.search", "--space", str(file), *fixed]
        self.command += ["--train", str(data), "--output", str(self.study), *more]

    def run(self, *more: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it to its end, which must have this status."""
        done = commands.run(*self.command, *more, status=status)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def end_at(self, holds: Callable[[], bool], number: int) -> tuple[int, str]:
        """Start it and send the signal as soon as that holds; its status and what it said."""
        with commands.start(*self.command) as search:
            assert wait_until(lambda: holds() or search.poll() is not None, 120), "never came"
            assert search.poll() is None, search.stderr and search.stderr.read()
            search.send_signal(number)
            done = commands.finish(search)
        assert wait_until(lambda: not self.trainings(), 10), "trainings outlive their search"
        return done.returncode, done.stderr

    def trainings(self) -> list[int]:
        """Processes that write the log of one of the study's trials."""
        found = []
        for errors in Path("/proc").glob("[0-9]*/fd/2"):
            with suppress(OSError):
                if str(errors.readlink()).startswith(f"{self.study}/trials/"):
                    found.append(int(errors.parts[2]))
        return found

    # ---- what it left
    def result(self, number: int) -> dict[str, Any]:
        """A trial's outcome.json, empty before it is there."""
        text = read_or_empty(self.study / f"trials/{number:04d}/outcome.json")
        return json.loads(text) if text else {}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """trials.json, read strictly."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        text = (self.study / "trials.json").read_text(encoding="utf-8")
        return json.loads(text, parse_constant=refuse)

    def log(self, number: int) -> str:
        """A trial's log, empty before it is there."""
        return read_or_empty(self.study / f"trials/{number:04d}/log.txt")

    def starts(self, number: int) -> list[str]:
        """The command lines that a trial was started with."""
        return [line for line in self.log(number).splitlines() if line.startswith("$ ")]


def read_or_empty(path: Path) -> str:
    """A text that another process may be writing or have removed."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def three_parts(reported: str) -> list[str]:
    """What was wrong, of each error that was reported; all must have found and to do, too."""
    wrong = [
        line.removeprefix("error: ") for line in reported.splitlines() if line[:7] == "error: "
    ]
    assert wrong and reported.count("\n  found: ") == reported.count("\n  to do: ") == len(wrong), (
        reported
    )
    assert "Traceback" not in reported
    return wrong


def steps_of(log: str) -> Sequence[int]:
    """The steps that a log tells of, in its order."""
    lines = [line for line in log.splitlines() if line.startswith("step ")]
    return [int(line.split()[1].split("/")[0]) for line in lines]

"""One trial: a training in a process of its own, and what becomes of it however it ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.studies import make_study, steps_of
from tests.support import commands
from tests.support.data import write_messages
from tests.support.runs import tiny_config
from tests.support.waiting import wait_until
from tests.test_launch import is_alive, on_linux
from tfpipe.run_folder import Run
from tuning.report.tensorboard_hparams import SUFFIX
from tuning.study import Study
from tuning.trial import (
    TrialCallbacks,
    TrialInterrupted,
    TrialRunner,
    TrialSettings,
    TrialTask,
    link_parent_run,
)
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that has begun, with messages beside it."""
    commands.prepare()
    folder = tmp_path_factory.mktemp("trial")
    write_messages(folder / "messages.tsv")
    return make_study(folder / "study")


def make_trial(study: Study, number: int, **settings: Any) -> TrialRunner:
    """A trial that trains tiny for two epochs; settings of the training, or of the trial."""
    own = {name: settings.pop(name) for name in ("timeout", "until", "report") if name in settings}
    data = study.folder.parent
    config = replace(tiny_config(data, **({"epochs": 2} | settings)), output=None)
    trial = TrialRunner(
        study,
        study.read_result(number)
        or TrialResult(number, RUNNING, {"batch_size": config.batch_size}),
        TrialTask(config, until=own.get("until")),
        TrialSettings({"OMP_NUM_THREADS": "1"}, timeout=own.get("timeout", 0)),
        TrialCallbacks(threading.Event(), own.get("report", lambda *_: None), lambda: None),
    )
    trial.folder.mkdir(parents=True, exist_ok=True)
    return trial


def run_and_kill(trial: TrialRunner, when: Callable[[], bool], number: int) -> TrialResult:
    """Run it and send its process a signal as soon as that holds."""
    log, before = trial.folder / "log.txt", set(grandchildren())

    def started() -> list[int]:
        # Not the fork server, a child of this process.
        return [one for one in grandchildren() if one not in before and is_alive(one)]

    def send() -> None:
        assert wait_until(lambda: log.is_file() and when() and started())
        os.kill(started()[0], number)

    sender = threading.Thread(target=send)
    sender.start()
    result = trial.run()
    sender.join()
    return result


def grandchildren() -> list[int]:
    """Processes that children of this process started."""
    return [one for child in children(os.getpid()) for one in children(child)]


def children(process: int) -> list[int]:
    """Children of every thread of a process."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for one in threads for child in (one / "children").read_text().split()]


# ---- trainings ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def completed(study: Study) -> tuple[TrialResult, list[tuple[int, float, int]], str]:
    """A trial that completes: its result, its reports, its log."""
    reported: list[tuple[int, float, int]] = []
    trial = make_trial(study, 1, report=lambda *news: reported.append(news))
    return trial.run(), reported, (trial.folder / "log.txt").read_text()


def test_a_trial_that_completes(
    study: Study, completed: tuple[TrialResult, list[tuple[int, float, int]], str]
) -> None:
    result, reported, log = completed
    run = Run(study.run_folders(1)[0])
    assert run.finished
    assert result.status == COMPLETED and result.reason is None and result.log == []
    assert result.score == run.metrics["dev"]["accuracy"]
    assert result.scores == [result.score] and result.spread is None
    assert result.epochs == 2 and result.epochs_saved == 0 and result.seconds > 1
    assert [record["epoch"] for record in result.history] == [1, 2]
    best = [max(record["dev_accuracy"] for record in result.history[:n]) for n in (1, 2)]
    assert reported == [(1, best[0], 2), (2, best[1], 2)]
    assert study.read_result(1) == result
    assert log.startswith("$ -m tfpipe.train --config ") and log.count("$ ") == 1
    assert steps_of(log) == list(range(1, 25))


def test_a_trial_that_has_completed_trains_no_more(study: Study, completed: Any) -> None:
    again = make_trial(study, 1).run()
    before = completed[0]
    assert (study.trial_folder(1) / "log.txt").read_text() == completed[2]
    assert again == replace(before, seconds=again.seconds)


@pytest.mark.slow
def test_a_trial_that_is_told_to_stop(study: Study) -> None:
    result = make_trial(
        study, 2, epochs=12, report=lambda epoch, *_: "poor" if epoch >= 2 else None
    ).run()
    assert result.status == STOPPED and result.reason == "poor"
    assert 2 <= result.epochs < 12 and result.epochs_saved == 12 - result.epochs
    assert result.score is not None
    assert not Run(study.run_folders(2)[0]).finished


@pytest.mark.slow
def test_two_starts_of_a_trial_are_one_training(study: Study, completed: Any) -> None:
    first = make_trial(study, 3, until=1)
    result = first.run()
    assert result.status == COMPLETED and result.epochs == 1
    second = make_trial(study, 3).run()
    assert second.history == completed[0].history and second.score == completed[0].score
    assert second.seconds > result.seconds
    log = (first.folder / "log.txt").read_text()
    assert log.count("--resume") >= 1 and steps_of(log) == list(range(1, 25))


# ---- failures -------------------------------------------------------------------------------


def test_what_training_refuses_is_the_reason(study: Study) -> None:
    result = make_trial(study, 4, freeze_layers=99).run()
    assert result.status == FAILED and result.score is None and result.epochs == 0
    assert result.reason is not None
    assert "99" in result.reason and "; found: " in result.reason and "to do" in result.reason
    assert any(line.startswith("error: ") for line in result.log)
    assert study.read_result(4) == result


@on_linux
def test_a_killed_training_is_a_row_and_no_end(study: Study) -> None:
    trial = make_trial(study, 5)
    log = trial.folder / "log.txt"
    result = run_and_kill(trial, lambda: log.read_text().endswith("\n"), signal.SIGKILL)
    assert result.status == FAILED and result.score is None
    assert result.reason == "killed by SIGKILL, as the system does when memory runs out"
    assert result.log and result.log[0].startswith("$ -m tfpipe.train")
    assert study.read_result(5) == result


def test_a_trial_that_takes_too_long(study: Study) -> None:
    trial = make_trial(study, 6, timeout=1)
    result = trial.run()
    assert result.status == FAILED and result.score is None
    assert result.reason == "took longer than --trial-timeout 1 s"
    assert result.log and result.seconds > 1


def test_a_halted_trial_goes_on_another_time(study: Study) -> None:
    trial = make_trial(study, 7)
    threading.Timer(1.0, trial.callbacks.stop_requested.set).start()
    with pytest.raises(TrialInterrupted):
        trial.run()
    assert (trial.folder / "log.txt").read_text().startswith("$ ")
    result = study.read_result(7)
    assert result is None or result.status == RUNNING


# ---- going on from another trial's run ------------------------------------------------------


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A run's folder."""
    folder = tmp_path / "0001" / "run"
    names = ["config.yaml", "checkpoints/step-2/tensors.data", "checkpoints/.lock"]
    names += ["model/vocab.txt", "logs/events.one", f"logs/events.two{SUFFIX}", ".half.9.tmp"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


TAKEN = {
    *("config.yaml", "checkpoints/step-2/tensors.data", "model/vocab.txt", "logs/events.one"),
}


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_taken_over_without_a_copy(parent: Path, tmp_path: Path) -> None:
    child = tmp_path / "0002" / "run"
    child.parent.mkdir()
    link_parent_run(parent, child)
    assert files_of(child) == TAKEN
    assert all((child / name).samefile(parent / name) for name in TAKEN)
    assert {path.name for path in child.parent.iterdir()} == {"run"}
    # What becomes of the one is nothing to the other.
    for path in sorted(parent.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert all((child / name).read_text() == name for name in TAKEN)


def test_a_run_is_copied_where_there_are_no_links(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    child = tmp_path / "0002" / "run"
    child.parent.mkdir()
    # A start that was killed half way.
    (child.parent / ".run.tmp" / "checkpoints").mkdir(parents=True)
    (child.parent / ".run.tmp" / "checkpoints" / "half").touch()
    link_parent_run(parent, child)
    assert files_of(child) == TAKEN
    (child / "config.yaml").write_text("mine")
    assert (parent / "config.yaml").read_text() == "config.yaml"
    assert {path.name for path in child.parent.iterdir()} == {"run"}

"""A study's folder: opened, refused, tidied, and read back."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.studies import make_plan, make_study
from tfpipe.config import TrainConfig, build, read_values
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tuning.space import Parameter, Space
from tuning.study import Study, repeated_error
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult, best_of

VALUES = {"learning_rate": 3e-3, "batch_size": 8}


def trial(
    number: int, score: float | None = None, status: str = COMPLETED, **more: Any
) -> TrialResult:
    return TrialResult(number, status, VALUES, score=score, **more)


def failed(number: int, reason: str) -> TrialResult:
    return trial(number, status=FAILED, reason=reason)


def refusal(study: Study) -> UserError:
    with pytest.raises(UserError) as caught:
        study.open()
    return caught.value


# ---- opening --------------------------------------------------------------------------------


def test_a_new_folder_begins_a_study_and_the_same_goes_on(tmp_path: Path) -> None:
    study = Study(tmp_path / "deep" / "er" / "study", make_plan())
    assert study.open() is False
    assert study.open() is True
    assert Study(study.folder, make_plan()).open() is True
    assert study.results() == [] and study.best is None
    assert [path.name for path in study.folder.iterdir()] == ["study.json"]
    stored = json.loads(study.file.read_text())
    assert set(stored) == {"algorithm", "objective", "seeds", "epochs", "data", "space"}


def test_what_a_killed_start_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".study.json.77.tmp").touch()
    assert Study(tmp_path, make_plan()).open() is False


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("epochs: 2\n")
    error = refusal(Study(tmp_path, make_plan()))
    assert error.wrong == "the output folder exists and is no study"
    assert "config.yaml" in error.found and str(tmp_path) in error.found
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "study"
    file.write_text("mine")
    for output in (file, file / "inside"):
        error = refusal(Study(output, make_plan()))
        assert error.wrong == "the output folder cannot be written"
        assert str(output) in error.found
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written" in refusal(Study(tmp_path / "study", make_plan())).wrong


RATE = Parameter("learning_rate", "float", low=1e-4, high=1e-2, log=True)
SIZE = Parameter("batch_size", "choice", values=(8, 16))
FIXED = {"model": "tiny", "epochs": 2, "train": "messages.tsv"}


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        ({"algorithm": "bayesian"}, ["algorithm is 'bayesian', the study has 'random'"]),
        ({"objective": "dev.loss"}, ["objective is 'dev.loss', the study has 'dev.accuracy'"]),
        ({"seeds": 3}, ["seeds is 3, the study has 1"]),
        ({"epochs": 9}, ["epochs is 9, the study has 0"]),
        ({"data": {"train": "aa", "dev": "cc"}}, ["the texts or labels of dev are others"]),
        (
            {"space": Space((RATE,), FIXED | {"batch_size": 8})},
            ["batch_size was one of 8, 16, and is fixed at 8"],
        ),
        (
            {"space": Space((RATE, SIZE), FIXED | {"epochs": 3})},
            ["epochs was fixed at 2, and is fixed at 3"],
        ),
        (
            {
                "space": Space((Parameter("warmup", "float", low=0, high=1), RATE, SIZE), FIXED),
                "seeds": 2,
            },
            ["seeds is 2, the study has 1", "warmup was fixed at 0.1, and is float from 0 to 1"],
        ),
    ],
)
def test_another_study_is_refused_saying_what_changed(
    tmp_path: Path, changes: dict[str, Any], reported: list[str]
) -> None:
    before = make_study(tmp_path).file.read_bytes()
    error = refusal(Study(tmp_path, make_plan(**changes)))
    assert error.wrong == "the folder has another study"
    assert error.found == "; ".join(reported)
    assert "--output" in error.fix
    assert (tmp_path / "study.json").read_bytes() == before


def test_files_may_move_and_the_order_of_the_space_may_change(tmp_path: Path) -> None:
    make_study(tmp_path)
    fixed = FIXED | {"train": "elsewhere/messages.tsv", "worker_timeout": 20, "keep_checkpoints": 3}
    assert Study(tmp_path, make_plan(space=Space((SIZE, RATE), fixed))).open() is True


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"study"', b"3"])
def test_a_damaged_study_file_is_told(tmp_path: Path, content: bytes) -> None:
    study = make_study(tmp_path)
    study.file.write_bytes(content)
    error = refusal(study)
    assert error.wrong == "the study's file cannot be read"
    assert str(study.file) in error.found


def test_a_study_file_that_lacks_everything_is_another_study(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    study.file.write_text("{}")
    assert refusal(study).wrong == "the folder has another study"


# ---- which is best --------------------------------------------------------------------------


def test_the_best_trial() -> None:
    trials = [trial(1, 0.5), trial(2, 0.7), trial(3, 0.7), trial(4, 0.6, STOPPED)]
    assert best_of(trials, "max") == trials[1]
    assert best_of(trials, "min") == trials[0]
    assert best_of([*reversed(trials)], "max") == trials[1]
    assert best_of(trials[3:], "max") == trials[3]


def test_a_trial_without_a_score_is_never_the_best() -> None:
    without = [
        trial(1, None),
        trial(2, math.nan),
        trial(3, math.inf),
        trial(4, -math.inf),
        trial(5, 0.9, FAILED),
        trial(6, 0.9, RUNNING),
    ]
    for direction in ("max", "min"):
        assert best_of(without, direction) is None
        assert best_of([], direction) is None
        assert best_of([*without, trial(7, 0.1)], direction) == trial(7, 0.1)


# ---- the same error again -------------------------------------------------------------------


def test_the_same_error_in_a_row_whatever_its_numbers() -> None:
    ended = [failed(n, f"out of memory: {n}00 MB of trial {n}") for n in (1, 2, 3)]
    assert repeated_error(ended, 3) == ended[2]
    assert repeated_error(ended, 2) == ended[2]
    assert repeated_error(ended[:2], 3) is None
    assert repeated_error([], 1) is None


def test_what_is_no_repeated_error() -> None:
    same = [failed(n, "out of memory") for n in range(1, 4)]
    assert repeated_error([*same[:2], trial(9, 0.5), same[2]], 3) is None
    assert repeated_error([*same, trial(9, 0.5)], 3) is None
    assert repeated_error([*same[:2], failed(9, "no such file")], 3) is None
    assert repeated_error([same[0], trial(9, 0.5), same[1], same[2]], 2) == same[2]


# ---- what is kept ---------------------------------------------------------------------------


def begun_run(study: Study, number: int, seed: int = 0) -> Path:
    """A run's folder with files where training leaves its weights."""
    folder = study.run_folders(number)[seed]
    for name in ("checkpoints/step-2/tensors.index", "model/model.safetensors", "logs/events"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("weights")
    (folder / "metrics.json").write_text("{}")
    return folder


def kept(folder: Path) -> set[str]:
    assert (folder / "metrics.json").is_file() and (folder / "logs/events").is_file()
    return {path.name for path in folder.iterdir()} & {"checkpoints", "model"}


def test_the_best_model_and_what_a_trial_may_go_on_from_stay(tmp_path: Path) -> None:
    study = make_study(
        tmp_path,
        trial(1, 0.5),
        trial(2, 0.9),
        trial(3, status=FAILED),
        trial(4, 0.4),
        trial(5, status=RUNNING),
        trial(6, 0.1, STOPPED),
    )
    runs = [begun_run(study, number) for number in range(1, 7)]
    study.remove_unneeded_files({4})
    everything = {"checkpoints", "model"}
    assert [kept(run) for run in runs] == [
        set(),
        {"model"},
        set(),
        everything,
        everything,
        set(),
    ]
    study.write_result(trial(5, 0.95))
    study.remove_unneeded_files(set())
    assert [kept(run) for run in runs] == [set(), set(), set(), set(), {"model"}, set()]


def test_what_kills_left_of_files_goes(tmp_path: Path) -> None:
    study = make_study(tmp_path, trial(1, 0.5), trial(2, status=RUNNING))
    begun_run(study, 1)
    folders = [study.folder, study.trial_folder(1), study.run_folders(1)[0], study.trial_folder(2)]
    files = [folder / ".outcome.json.99.tmp" for folder in folders]
    for left in files:
        left.write_text("{", encoding="utf-8")
    study.remove_unneeded_files(set())
    # The running trial's process may be about to rename its own.
    assert [left.exists() for left in files] == [False, False, False, True]


def test_the_parent_of_a_running_trial_stays_whole(tmp_path: Path) -> None:
    # Its child has not yet taken its checkpoints over, or will with its second seed.
    study = make_study(tmp_path, trial(1, 0.5), trial(2, status=RUNNING, continues=1), seeds=2)
    runs = [begun_run(study, 1, seed) for seed in (0, 1)]
    study.remove_unneeded_files(set())
    assert [kept(run) for run in runs] == [{"checkpoints", "model"}] * 2
    study.write_result(trial(2, 0.9, continues=1))
    study.remove_unneeded_files(set())
    assert [kept(run) for run in runs] == [set(), set()]


def test_every_seed_has_a_folder(tmp_path: Path) -> None:
    study = make_study(tmp_path, seeds=2)
    assert [path.name for path in study.run_folders(7)] == ["run-1", "run-2"]
    assert study.run_folders(7)[0].parent == tmp_path / "trials" / "0007"
    assert [path.name for path in make_study(tmp_path / "one").run_folders(7)] == ["run"]


# ---- what is written and read back ----------------------------------------------------------


def test_outcomes_are_read_back_and_read_again_when_they_change(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    first = trial(
        2,
        0.5,
        STOPPED,
        seconds=3.5,
        reason="poor",
        scores=[0.4, 0.6],
        spread=0.14,
        epochs=3,
        epochs_saved=2,
        continues=1,
        log=["a", "é"],
        history=[{"epoch": 1, "dev_accuracy": 0.5, "best": True}],
    )
    study.write_result(first)
    study.write_result(trial(1, status=RUNNING))
    assert study.results() == [trial(1, status=RUNNING), first]
    assert study.results()[1] is study.results()[1]
    file = study.trial_folder(1) / "outcome.json"
    before = file.stat()
    study.write_result(trial(1, 0.7))
    # The clock of a file system may stand still between two writes.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert study.read_result(1) == trial(1, 0.7)
    assert study.read_result(3) is None
    assert study.best == trial(1, 0.7)


def test_the_rows_of_trials_json(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    results = [trial(1, 0.5, seconds=2.0, history=[{"epoch": 1}]), failed(2, "“no” memory")]
    study.write_trials(results)
    text = (tmp_path / "trials.json").read_text(encoding="utf-8")
    rows = json.loads(text)
    assert [{**row} for row in rows] == [result.as_row() for result in results]
    assert {"number", "status", "values", "score", "seconds", "reason"} <= rows[0].keys()
    assert rows[0]["values"] == VALUES and rows[1]["score"] is None
    assert "“no” memory" in text


def test_trials_json_is_json_whatever_the_figures(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    history = [{"epoch": 1, "dev_loss": math.nan}, {"epoch": 2, "dev_loss": math.inf}]
    study.write_trials([trial(1, status=FAILED, scores=[0.5, math.nan], history=history)])

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    text = (tmp_path / "trials.json").read_text()
    (row,) = json.loads(text, parse_constant=refuse)
    assert row["scores"] == [0.5, None]
    assert [record["dev_loss"] for record in row["history"]] == [None, None]


def test_best_yaml_is_a_training_configuration(tmp_path: Path) -> None:
    study = make_study(tmp_path, trial(1, 0.5))
    assert study.best is not None
    text = study.best_configuration(study.best)
    write_text(tmp_path / "best.yaml", text)
    config = build(TrainConfig, read_values(tmp_path / "best.yaml"))
    assert config == study.configuration(VALUES)
    assert (config.learning_rate, config.batch_size, config.epochs) == (3e-3, 8, 2)
    assert (config.train, config.model, config.best_by) == ("messages.tsv", "tiny", "accuracy")
    # Hyperband's own: whatever the space says, its longest.
    assert make_study(tmp_path / "hyperband", epochs=9).configuration(VALUES).epochs == 9

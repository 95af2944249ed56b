"""Whole studies by their command: killed, resumed, failing, and what they leave behind."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.studies import Search, steps_of, three_parts
from tests.support import commands
from tests.test_launch import on_linux
from tfpipe.config import TrainConfig, build, read_values
from tfpipe.run_folder import Run
from tfpipe.training.checkpointing import read_progress

TOTAL_EPOCHS = 6
# Half of the trials are refused by training: tiny has two layers.
SPACE = f"""
learning_rate: [0.001, 0.003]
freeze_layers: [0, 99]
epochs: {TOTAL_EPOCHS}
early_stopping: 0
batch_size: 8
"""
ROW = {"number", "status", "values", "score", "seconds", "reason"}


def train(config: Path, output: Path, *more: str) -> Run:
    """A training of a configuration file, in a process of its own."""
    commands.run("tfpipe.train", "--config", config, *more, "--output", output)
    return Run(output)


class Killed:
    """A study that was ended three times and then left to finish."""

    def __init__(self, folder: Path):
        self.search = Search(folder, SPACE, "--algorithm=grid", "--trials=4", "--jobs=2", rows=200)
        self.kills: list[dict[int, dict[str, Any]]] = []  # the trials at each, by number
        self.reported: list[str] = []
        self.ended_before = 0
        self.logs_before: dict[int, str] = {}
        self.restarts: list[dict[int, int]] = []
        for number, holds in (
            (signal.SIGKILL, self.one_has_looked_at_dev),
            (signal.SIGKILL, lambda: self.count_ended() > self.ended_before),
            (signal.SIGINT, self.one_trains_since_this_start),
        ):
            self.ended_before = self.count_ended()
            self.logs_before = {n: self.search.log(n) for n in range(1, 5)}
            status, reported = self.search.end_at(holds, number)
            assert status == (-number if number == signal.SIGKILL else 130), reported
            self.reported.append(reported)
            # As a kill leaves it that comes while the search writes.
            (self.search.study / "oracle" / ".oracle.json.1.tmp").write_text("{", encoding="utf-8")
            self.kills.append({n: self.search.result(n) for n in range(1, 5)})
            self.restarts.append({n: len(self.search.starts(n)) for n in range(1, 5)})
        self.done = self.search.run("--json")
        self.rows = self.search.rows

    def one_has_looked_at_dev(self) -> bool:
        return any("epoch 1:" in self.search.log(number) for number in range(1, 5))

    def count_ended(self) -> int:
        states = [self.search.result(number).get("status") for number in range(1, 5)]
        return sum(state in ("completed", "failed") for state in states)

    def one_trains_since_this_start(self) -> bool:
        news = [self.search.log(n)[len(before) :] for n, before in self.logs_before.items()]
        return any("strategy:" in new for new in news)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return Killed(tmp_path_factory.mktemp("killed"))


@on_linux
def test_finished_trials_are_not_repeated(killed: Killed) -> None:
    ended_before = set()
    for results, starts in zip(killed.kills, killed.restarts, strict=True):
        for number, result in results.items():
            if result.get("status") in ("completed", "failed"):
                ended_before.add(number)
                assert len(killed.search.starts(number)) == starts[number], number
                assert killed.rows[number - 1] == result, number
    assert ended_before


@on_linux
def test_running_trials_go_on_from_their_checkpoint(killed: Killed) -> None:
    resumed = 0
    for row in killed.rows:
        if row["status"] != "completed":
            continue
        number, an_epoch = row["number"], row["history"][0]["step"]
        resumed += sum("--resume" in line for line in killed.search.starts(number))
        parts = killed.search.log(number).split("$ -m tfpipe.train")[1:]
        steps = [steps_of(part) for part in parts]
        # A start that was killed before its first checkpoint begins again; all else goes on.
        for part, before, after in zip(parts[1:], steps, steps[1:], strict=False):
            if "--resume" in part.splitlines()[0] and after:
                assert after[0] > 1 or max(before, default=0) <= an_epoch, number
        # A start that was killed behind its last step leaves none to the next.
        last = [part[-1] for part in steps if part][-1]
        assert last == row["history"][-1]["step"] == TOTAL_EPOCHS * an_epoch
        assert [record["epoch"] for record in row["history"]] == list(range(1, TOTAL_EPOCHS + 1))
        assert row["epochs"] == TOTAL_EPOCHS
    assert resumed >= 1


@on_linux
def test_trials_json_is_complete_and_right(killed: Killed) -> None:
    rows = killed.rows
    assert [row["number"] for row in rows] == [1, 2, 3, 4]
    assert all(row.keys() >= ROW for row in rows)
    combinations = {
        (row["values"]["learning_rate"], row["values"]["freeze_layers"]) for row in rows
    }
    assert combinations == {(rate, layers) for rate in (0.001, 0.003) for layers in (0, 99)}
    for row in rows:
        run = Run(killed.search.study / f"trials/{row['number']:04d}/run")
        assert row["seconds"] > 0
        if row["values"]["freeze_layers"] == 99:
            assert row["status"] == "failed" and row["score"] is None
            assert "99" in row["reason"] and "found" in row["reason"] and row["log"]
        else:
            assert row["status"] == "completed" and row["reason"] is None
            assert row["score"] == run.metrics["dev"]["accuracy"]
            assert run.config.learning_rate == row["values"]["learning_rate"]
    # What is written for TensorBoard alone may be left half done.
    left = killed.search.study.rglob("*.tmp")
    assert not [path for path in left if path.parent.name != "logs"]


@on_linux
def test_the_first_trial_is_the_defaults_and_knows_what_to_beat(killed: Killed) -> None:
    # Of 0.001 and 0.003 the nearer to 0.002665, which training takes for `tiny`.
    rows = killed.rows
    assert rows[0]["values"] == {"learning_rate": 0.003, "freeze_layers": 0}
    assert [row["defaults"] for row in rows] == [True, False, False, False]
    run = Run(killed.search.study / "trials/0001/run")
    labels = Counter(run.read_dev().labels or [])
    assert {row["baseline"] for row in rows} == {max(labels.values()) / labels.total()}
    page = (killed.search.study / "report.html").read_text(encoding="utf-8")
    assert "training&#39;s defaults" in page and "always answering" in page


@on_linux
def test_results_are_one_json_object_on_standard_output(killed: Killed) -> None:
    best = json.loads(killed.done.stdout)
    assert best.keys() >= ROW
    assert best == max(
        (row for row in killed.rows if row["score"] is not None),
        key=lambda row: (row["score"], -row["number"]),
    )
    assert "study: going on" in killed.done.stderr
    assert "best.yaml" in killed.done.stderr


@on_linux
def test_an_interrupted_search_tells_how_it_goes_on(killed: Killed) -> None:
    reported = killed.reported[-1]
    assert "stopped, everything saved; go on with:\n  python -m tuning.search " in reported
    assert str(killed.search.study) in reported.rsplit("go on with:", 1)[1]
    assert "Traceback" not in reported


@on_linux
def test_the_report_is_there_and_only_the_best_keeps_its_weights(killed: Killed) -> None:
    study, best = killed.search.study, json.loads(killed.done.stdout)["number"]
    page = (study / "report.html").read_text(encoding="utf-8")
    assert "learning_rate" in page and "freeze_layers" in page and "dev.accuracy" in page
    weights = [path.relative_to(study).parts[1] for path in study.rglob("model.safetensors")]
    assert weights == [f"{best:04d}"]
    assert not list(study.glob("trials/*/run/checkpoints"))


@on_linux
def test_best_yaml_is_the_best_configuration(killed: Killed) -> None:
    best = json.loads(killed.done.stdout)["values"]
    config = build(TrainConfig, read_values(killed.search.study / "best.yaml"))
    assert (config.learning_rate, config.freeze_layers) == (best["learning_rate"], 0)
    assert (config.epochs, config.batch_size, config.model) == (TOTAL_EPOCHS, 8, "tiny")


@on_linux
@pytest.mark.slow
def test_best_yaml_trains(killed: Killed, tmp_path: Path) -> None:
    run = train(killed.search.study / "best.yaml", tmp_path / "run", "--epochs", "1")
    assert run.metrics["dev"]["accuracy"] > 0 and run.config.best_by == "accuracy"


# ---- the winner -----------------------------------------------------------------------------


@on_linux
@pytest.mark.slow
def test_the_winner_is_trained_again_and_exports(killed: Killed, tmp_path: Path) -> None:
    before = killed.search.rows
    done = killed.search.run("--retrain")
    run = Run(killed.search.study / "retrained")
    assert run.finished and killed.search.rows == before
    assert run.config.learning_rate == json.loads(killed.done.stdout)["values"]["learning_rate"]
    assert "tfpipe.export" in done.stderr
    commands.run("tfpipe.export", run.folder, "--to", tmp_path / "m", "--no-measure-serving")
    assert (tmp_path / "m" / "1" / "saved_model.pb").is_file()
    assert "is finished" in killed.search.run("--retrain").stderr


@pytest.mark.slow
def test_a_winner_of_all_texts(tmp_path: Path) -> None:
    search = Search(
        tmp_path,
        "learning_rate: [0.003]\nbatch_size: [8, 16]\nepochs: 2\n",
        *("--trials=1", "--algorithm=random", "--retrain", "--retrain-on=train+dev"),
    )
    search.run()
    run = Run(search.study / "retrained")
    assert run.finished
    best = next(row for row in search.rows if row["score"] is not None)
    assert run.config.epochs == [one["epoch"] for one in best["history"] if one["best"]][-1]
    assert run.data["train_rows"] == 120 and run.data["dev_rows"] == 24


# ---- failures -------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_in_which_every_trial_fails_is_an_error(tmp_path: Path) -> None:
    space = "freeze_layers: [98, 99]\nepochs: 1\n"
    search = Search(tmp_path, space, "--algorithm=grid", "--trials=2", "--jobs=2")
    for _ in range(2):
        done = search.run(status=2)
        assert done.stdout == ""
        assert three_parts(done.stderr) == ["no trial has a score"]
        assert "98" in done.stderr and "--retry-failed" in done.stderr
        assert [row["status"] for row in search.rows] == ["failed"] * 2
        assert len(search.starts(1)) == len(search.starts(2)) == 1
        assert not (search.study / "best.yaml").exists()
        assert (search.study / "report.html").is_file()


@pytest.mark.slow
def test_the_same_error_three_times_stops_the_study_until_it_is_mended(tmp_path: Path) -> None:
    model = tmp_path / "model"
    search = Search(
        tmp_path,
        "learning_rate: [0.001, 0.002, 0.003]\nbatch_size: [8, 16]\nepochs: 1\n",
        *("--algorithm=grid", "--trials=6", f"--model={model}"),
    )
    # A checkpoint that was not written to its end.
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "bert", "hidden_size": 64}')
    (model / "model.safetensors").touch()
    done = search.run(status=2)
    assert three_parts(done.stderr) == ["3 trials in a row failed with the same error"]
    assert str(model) in done.stderr
    assert [row["status"] for row in search.rows] == ["failed"] * 3
    # Nothing is mended, and three more are tried; those that failed are not.
    assert "3 trials in a row" in search.run(status=2).stderr
    assert [row["status"] for row in search.rows] == ["failed"] * 6
    assert [len(search.starts(number)) for number in range(1, 7)] == [1] * 6

    other = Search(tmp_path / "other", "learning_rate: [0.003, 0.001]\nepochs: 1\n", "--trials=1")
    other.run()
    (found,) = other.study.glob("trials/0001/run/model")
    shutil.copytree(found, model, dirs_exist_ok=True)
    # Killed among those that are tried again; the same command goes on with the others.
    search.command.append("--retry-failed")
    ended: Callable[[], bool] = lambda: any(  # noqa: E731
        search.result(number).get("status") == "completed" for number in range(1, 7)
    )
    status, reported = search.end_at(ended, signal.SIGKILL)
    assert status == -signal.SIGKILL, reported
    search.run()
    assert [row["status"] for row in search.rows] == ["completed"] * 6
    assert all(len(search.starts(number)) in (2, 3) for number in range(1, 7))
    assert (search.study / "best.yaml").is_file()


# ---- several seeds, and trials that go on from others ---------------------------------------


@pytest.mark.slow
def test_several_seeds_give_a_mean_and_a_spread(tmp_path: Path) -> None:
    search = Search(
        tmp_path,
        "learning_rate: [0.003, 0.001]\nepochs: 3\nbatch_size: 8\n",
        *("--algorithm=grid", "--trials=2", "--seeds=2", "--seed=5"),
    )
    search.run()
    for row in search.rows:
        runs = [search.study / f"trials/{row['number']:04d}/run-{n}" for n in (1, 2)]
        scores = [Run(run).metrics["dev"]["accuracy"] for run in runs]
        assert row["scores"] == scores
        assert row["score"] == pytest.approx(sum(scores) / 2)
        assert row["spread"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
        assert [Run(run).config.seed for run in runs] == [5, 6]
        # Luck of the cut is no luck of the training.
        assert len({Run(run).data["dev_sha256"] for run in runs}) == 1
        assert row["epochs"] == 6
        assert len(search.starts(row["number"])) == 2


@pytest.fixture(scope="module")
def hyperband(tmp_path_factory: pytest.TempPathFactory) -> Search:
    """The defaults, then one bracket: three trials of an epoch, the best goes on to three."""
    search = Search(
        tmp_path_factory.mktemp("hyperband"),
        "learning_rate: {float: [0.0005, 0.005], sampling: log}\nbatch_size: 8\nepochs: 3\n",
        *("--algorithm=hyperband", "--trials=5", "--deterministic", "--early-stopping=0"),
    )
    search.run()
    return search


@pytest.mark.slow
def test_a_promoted_trial_goes_on_from_its_parent(hyperband: Search) -> None:
    rows = hyperband.rows
    assert [row["status"] for row in rows] == ["completed"] * 5
    promoted = rows[4]
    parent = rows[promoted["continues"] - 1]
    assert parent["score"] == max(row["score"] for row in rows[1:4])
    assert promoted["values"] == parent["values"]
    assert rows[0]["values"] == {"learning_rate": 0.002665}
    assert [row["defaults"] for row in rows] == [True, False, False, False, False]
    assert [row["epochs"] for row in rows] == [3, 1, 1, 1, 2]
    assert promoted["history"][:1] == parent["history"]
    (start,) = hyperband.starts(5)
    assert "--resume" in start
    assert steps_of(hyperband.log(parent["number"])) == list(range(1, 13))
    assert steps_of(hyperband.log(5)) == list(range(13, 37))
    assert all("--resume" not in hyperband.starts(number)[0] for number in (1, 2, 3, 4))


@pytest.mark.slow
def test_a_promoted_trial_is_an_uninterrupted_training(hyperband: Search, tmp_path: Path) -> None:
    whole = train(hyperband.study / "trials/0005/config.yaml", tmp_path / "whole")
    progress = read_progress(whole.folder / "checkpoints")
    assert progress is not None
    assert progress.history == hyperband.rows[4]["history"]
    assert whole.metrics["dev"]["accuracy"] == hyperband.rows[4]["score"]

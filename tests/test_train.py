"""The training command: bad input, stopping and going on, what the run folder holds."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support import commands
from tests.support.data import write_messages
from tests.support.runs import tiny_config, tiny_run
from tfpipe import evaluate, export, train
from tfpipe.compare import compare
from tfpipe.config import CompareConfig, EvaluateConfig, TrainConfig, build, read_values
from tfpipe.errors import Interrupted
from tfpipe.fork_server import Process
from tfpipe.io.locks import training_lock
from tfpipe.run_folder import Run
from tfpipe.training import trainer
from tfpipe.training.checkpointing import read_progress

HEADER = "text\tlabel\n"
ROWS = "".join(f"word{i} text\t{'ab'[i % 2]}\n" for i in range(20))
BAD_FILES = {
    "empty": ("", "empty"),
    "header only": (HEADER, "no rows"),
    "wrong column": ("txt\tlabel\na\tb\n", "no text column"),
    "a label once": (HEADER + ROWS + "odd one\tc\n", "occurs once"),
    "one class": (HEADER + ROWS.replace("\tb", "\ta"), "only one label"),
    "NaN label": (HEADER + ROWS + "x\tnan\ny\t\n", "have no label"),
    "10 kB word": (HEADER + ROWS + "x" * 10240 + "\ta\n", "far too long"),
}


def refused(arguments: list[str], capsys: pytest.CaptureFixture, wrong: str) -> None:
    """The command ends with status 2, three parts, and no traceback."""
    assert train.main(arguments) == 2
    reported = capsys.readouterr().err
    assert (
        wrong in reported
        and "found:" in reported
        and "to do:" in reported
        and "Traceback" not in reported
    )


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_training_files(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    content, wrong = BAD_FILES[name]
    data, output = tmp_path / "train.tsv", tmp_path / "run"
    data.write_text(content, encoding="utf-8")
    refused(["--train", str(data), "--model", "tiny", "--output", str(output)], capsys, wrong)
    assert not output.exists()


def test_other_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = write_messages(tmp_path / "messages.tsv")
    output = tmp_path / "run"
    usual = ["--train", str(data), "--model", "tiny", "--output", str(output)]
    refused([*usual, "--train", str(tmp_path / "mesages.tsv")], capsys, "did you mean")
    refused([*usual, "--text", "txt"], capsys, "did you mean 'text'")
    refused([*usual, "--dev", "1.5"], capsys, "not a share")
    unknown = tmp_path / "dev.tsv"
    unknown.write_text(HEADER + "a text\tnews\n", encoding="utf-8")
    refused([*usual, "--dev", str(unknown)], capsys, "not trained on")
    binary = tmp_path / "latin.tsv"
    binary.write_bytes(HEADER.encode() + "кофе\ta\n".encode("koi8-r"))
    refused([*usual, "--train", str(binary)], capsys, "not valid UTF-8")
    refused([*usual, "--output", "/proc/run"], capsys, "cannot be written")
    assert not output.exists()
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    refused(usual, capsys, "exists and is not empty")
    refused([*usual, "--resume"], capsys, "no run to resume")
    assert [path.name for path in output.iterdir()] == ["notes.txt"]


def test_all_wrong_options_at_once(capsys: pytest.CaptureFixture) -> None:
    refused(["--epochs", "0", "--startegy", "mirrored", "--precision", "int8"], capsys, "epochs")
    train.main(["--epochs", "0", "--startegy", "mirrored", "--precision", "int8"])
    reported = capsys.readouterr().err
    assert "did you mean --strategy?" in reported and "float32" in reported


def write_parts(folder: Path) -> dict[str, str]:
    """Files of dev and test, as settings of a run."""
    dev = write_messages(folder / "dev.tsv", rows=30, seed=5)
    test = write_messages(folder / "test.tsv", rows=30, seed=9)
    return {"dev": str(dev), "test": str(test)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on files of train, dev and test; that of dev is there no more."""
    folder = tmp_path_factory.mktemp("finished")
    run = tiny_run(folder, **write_parts(folder))
    (folder / "dev.tsv").unlink()
    return run


def test_run_folder(finished: Run, tmp_path: Path) -> None:
    run = Run(shutil.copytree(finished.folder, tmp_path / "run"))
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert set(metrics) == {"task", "dev", "test", "train", "model", "data", "environment"}
    assert set(metrics["dev"]) == {"accuracy", "macro_f1", "weighted_f1", "loss", "examples"}
    assert metrics["test"]["examples"] == 30
    assert set(metrics["train"]) == {
        *("steps", "epochs", "best_epoch", "stopped_early", "seconds"),
        *("examples_per_second", "tokens_per_second", "padding_share", "data_wait_share"),
    }
    assert metrics["train"]["epochs"] == 3 and metrics["train"]["stopped_early"] is False
    assert set(metrics["model"]) == {"parameters", "trainable_parameters"}
    lines = (run.folder / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "text\tgold\tpredicted\tscore"
    assert len(lines) == metrics["dev"]["examples"] + 1
    right = sum(line.split("\t")[1] == line.split("\t")[2] for line in lines[1:])
    assert right / (len(lines) - 1) == pytest.approx(metrics["dev"]["accuracy"])
    stored = build(TrainConfig, read_values(run.folder / "config.yaml"))
    assert stored.model == "tiny" and stored.learning_rate is not None
    assert (run.folder / "report.html").stat().st_size > 1000
    assert list((run.folder / "logs").glob("events*"))

    # A run that is not finished, or nothing at all, is reported apart by what comes next.
    (run.folder / "metrics.json").unlink()
    for command in (evaluate.main, export.main):
        extra = ["--to", str(tmp_path / "models" / "m")] if command is export.main else []
        assert command([str(run.folder), *extra]) == 2
        assert command([str(tmp_path / "nothing"), *extra]) == 2
    assert not (tmp_path / "models").exists()


def test_stopped_and_resumed_is_the_same_run(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    class Stopping(trainer.SignalHandler):
        """Asks for a stop as a signal would, in the middle of the second epoch."""

        def __enter__(self) -> trainer.SignalHandler:
            self.steps = 0
            return super().__enter__()

        @property
        def signal(self) -> int | None:
            self.steps += 1
            return signal.SIGINT if self.steps >= 17 else None

        @signal.setter
        def signal(self, number: int | None) -> None:
            """The attribute that the base class sets to None."""

    config = tiny_config(tmp_path, **write_parts(tmp_path), output=str(tmp_path / "parts"))
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "SignalHandler", Stopping)
        with pytest.raises(Interrupted) as stopped:
            train.train(config)
    assert stopped.value.status == 130 and "--resume --output" in str(stopped.value)
    assert not Run(tmp_path / "parts").finished

    # Another process, other data, models or settings are refused, saying what differs; the run
    # itself goes on to the same number of steps.
    again = ["--resume", "--output", config.output or ""]
    refused([*again, "--epochs", "9"], capsys, "epochs differs")
    with training_lock(tmp_path / "parts" / "checkpoints"):
        refused(again, capsys, "another process trains in this folder")
    stored = tmp_path / "parts" / "data.json"
    content = json.loads(stored.read_text())
    for what, other in (("train_rows", 4), ("model", content["model"] | {"hidden_size": 4})):
        stored.write_text(json.dumps(content | {what: other}))
        refused(again, capsys, "the run has 4")
    stored.write_text(json.dumps(content))
    resumed = train.train(TrainConfig(resume=True, output=config.output, keep_checkpoints=1))
    assert len(list((resumed.folder / "checkpoints").glob("step-*"))) == 1
    assert resumed.metrics["train"]["steps"] == finished.metrics["train"]["steps"]
    assert train.main(["--resume", "--output", config.output or ""]) == 2
    names = load_file(resumed.model / "model.safetensors").keys()
    assert names == load_file(finished.model / "model.safetensors").keys()


def test_a_start_that_stops_after_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config = tiny_config(tmp_path, stop_after=1)
    with pytest.raises(Interrupted) as stopped:
        train.train(config)
    assert stopped.value.status == 0
    again = ["--resume", "--output", config.output or ""]
    assert str(stopped.value) == (
        "stopped after epoch 1 of 3, state saved; resume with:\n"
        f"  python -m tfpipe.train {' '.join(again)}"
    )
    run = Run(tmp_path / "run")
    # As a configuration to train with, or to go on with, it is of the whole run.
    assert run.config.stop_after is None and not run.finished
    capsys.readouterr()
    assert train.main([*again, "--stop-after", "1", "--json"]) == 0
    said = capsys.readouterr()
    assert "stopped at once, for 1 of 3 epochs are done, state saved" in said.err
    assert not said.out and not run.finished
    # There is nothing left to stop after the last epoch.
    assert train.main([*again, "--stop-after", "3"]) == 0
    assert run.metrics["train"]["epochs"] == 3


def test_the_best_epoch_by_loss(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, best_by="loss", learning_rate=1e-5, early_stopping=1)
    progress = read_progress(run.folder / "checkpoints")
    assert progress is not None
    losses = [record["dev_loss"] for record in progress.history]
    accuracies = [record["dev_accuracy"] for record in progress.history]
    # The loss falls all the time, and nothing else gets better.
    assert losses == sorted(losses, reverse=True) and len(losses) == 3
    assert max(accuracies) == accuracies[0]
    assert [record["best"] for record in progress.history] == [True, True, True]
    assert run.metrics["dev"]["loss"] == pytest.approx(losses[-1], abs=1e-4)
    assert "the best by loss on dev" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    data = write_messages(tmp_path / "messages.tsv")
    output = tmp_path / "run"
    settings = ["--model", "tiny", "--epochs", "500", "--batch-size", "8", "--output", output]
    with commands.start("tfpipe.train", "--train", data, *settings) as training:
        commands.read_until(training.stderr, "epoch 1:")
        training.send_signal(signal.SIGINT)
        done = commands.finish(training)
    assert done.returncode == 130, done.stderr
    assert f"--resume --output {output}" in done.stderr and "Traceback" not in done.stderr
    assert list((output / "checkpoints").glob("step-*"))


def epoch_memory(training: Process) -> list[int]:
    """Kilobytes of a training when each of its epochs has been reported."""
    assert training.stderr is not None
    status = Path(f"/proc/{training.pid}/status")
    return [
        int(status.read_text().split("VmRSS:")[1].split()[0])
        for line in training.stderr
        if line.startswith("epoch ")
    ]


@pytest.mark.slow
def test_memory_stays_flat_over_epochs(tmp_path: Path) -> None:
    data = write_messages(tmp_path / "messages.tsv")
    settings = ["--model", "tiny", "--epochs", "20", "--early-stopping", "0"]
    settings += ["--train", str(data), "--output", str(tmp_path / "run")]
    with commands.start("tfpipe.train", *settings) as training:
        memory = epoch_memory(training)
    assert len(memory) == 20 and max(memory[2:]) - memory[2] < 50_000, memory


@pytest.mark.slow
def test_two_million_rows_take_less_than_three_gib(tmp_path: Path) -> None:
    chance = random.Random(1)
    words = [f"word{number}" for number in range(4000)]
    data, cache = tmp_path / "many.tsv", tmp_path / "cache"
    with data.open("w") as file:
        file.write(HEADER)
        for row in range(2_000_000):
            file.write(f"{' '.join(chance.choices(words, k=16))} {row}\tlabel {row % 77}\n")
    command = [sys.executable, "-m", "tests.every_step", "--train", str(data), "--model", "tiny"]
    command += ["--dev", "0.001", "--batch-size", "32", "--output", str(tmp_path / "run")]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"TFPIPE_CACHE": str(cache)}
    ) as training:
        assert training.stderr is not None
        reported = [next((line for line in training.stderr if line.startswith("step 300/")), "")]
        training.send_signal(signal.SIGTERM)
        reported += training.stderr.readlines()
        _, status, used = os.wait4(training.pid, 0)
        training.returncode = os.waitstatus_to_exitcode(status)
    assert training.returncode == 143, reported
    assert used.ru_maxrss < 3 * 2**20
    data.unlink()
    shutil.rmtree(cache)


def test_a_dry_run_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data, output = write_messages(tmp_path / "messages.tsv"), tmp_path / "run"
    usual = ["--train", str(data), "--model", "tiny", "--batch-size", "8", "--max-length", "16"]
    usual.append("--dry-run")
    assert train.main([*usual, "--output", str(output)]) == 0
    reported = capsys.readouterr().err
    assert "8 texts predicted as in training" in reported and "checkpoint read back" in reported
    assert [path.name for path in tmp_path.iterdir()] == ["messages.tsv"]
    refused([*usual, "--resume", "--output", str(output)], capsys, "a dry run cannot resume")


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny_run(tmp_path_factory.mktemp("profiled"), epochs=1, profile_steps="3,5")


def test_a_profile_of_some_steps(profiled: Run, capsys: pytest.CaptureFixture) -> None:
    (file,) = (profiled.logs / "plugins" / "profile").glob("*/*.xplane.pb")
    content = file.read_bytes()
    # The markers by which the profile tab tells steps apart: the third to the fifth.
    assert b"train" in content and b"step_num" in content
    refused(["--profile-steps", "5,3"], capsys, "--profile-steps")


def test_a_run_needs_its_dev_file_no_more(finished: Run) -> None:
    evaluation = evaluate.evaluate(EvaluateConfig(run=str(finished.folder)))
    assert evaluation.metrics == pytest.approx(finished.metrics["dev"], rel=1e-6)


def test_labels_with_blanks_around_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Train, test and evaluate read the same labels, whatever blanks stand around them."""
    plain = write_messages(tmp_path / "plain.tsv", rows=30, seed=5)
    header, *rows = plain.read_text(encoding="utf-8").splitlines()
    blanks = [" ", "\u00a0", "\u3000", "\u200b", ""]
    odd = [row.replace("\t", f"\t{blanks[n % 5]}") + blanks[n % 5] for n, row in enumerate(rows)]
    odd[3] = odd[3].replace("card", "Card")
    (tmp_path / "train.tsv").write_text("\n".join([header, *odd, odd[3]]), encoding="utf-8")
    odd[3] = rows[3]
    test = tmp_path / "test.tsv"
    test.write_text("\n".join([header, *odd]), encoding="utf-8")
    config = tiny_config(
        tmp_path, train=str(tmp_path / "train.tsv"), test=str(test), dev=str(plain), epochs=1
    )
    run = train.train(config)
    assert run.metrics["test"] == run.metrics["dev"]
    log = capsys.readouterr().err
    assert f"data: note: 25 labels of {config.train} had blanks around them; they were" in log
    assert f"data: note: 23 labels of {test} had blanks around them; they were removed" in log
    assert "data: note: the labels 'card' (9 rows: 1, 7, 10, ...) and 'Card' (2 rows: 4, 31)" in log
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert f"removed from 23 labels of {test}" in page and "differ in case, width or spaces" in page

    assert evaluate.main([str(run.folder), "--data", str(test), "--json"]) == 0
    reported = capsys.readouterr()
    assert json.loads(reported.out)["accuracy"] == run.metrics["dev"]["accuracy"]
    assert f"data: note: 23 labels of {test} had blanks around them" in reported.err
    found = compare(CompareConfig(str(run.folder), str(run.folder), data=str(test), resamples=100))
    assert f"23 labels of {test} had blanks around them; they were removed" in found.notes


@pytest.mark.slow
def test_bfloat16_trains_float32_weights(finished: Run, tmp_path: Path) -> None:
    run = tiny_run(tmp_path, **write_parts(tmp_path), precision="bfloat16")
    weights = load_file(run.model / "model.safetensors").values()
    assert {weight.dtype for weight in weights} == {np.dtype(np.float32)}
    assert run.metrics["dev"]["loss"] != finished.metrics["dev"]["loss"]
    assert run.metrics["dev"]["loss"] == pytest.approx(finished.metrics["dev"]["loss"], abs=0.2)


@pytest.mark.slow
def test_equal_seeds_equal_runs(profiled: Run, tmp_path: Path) -> None:
    second = tiny_run(tmp_path, epochs=1)
    one, two = (load_file(run.model / "model.safetensors") for run in (profiled, second))
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=1e-5)

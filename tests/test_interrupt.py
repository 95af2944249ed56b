"""Real processes, really killed: the run that goes on ends with the weights of a whole run."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support import commands
from tests.support.data import write_messages
from tfpipe.fork_server import Process
from tfpipe.run_folder import Run

EPOCHS, STEPS = 3, 36  # 96 texts of 120 are trained on, 8 a step


def command(module: str, data: Path, output: Path, *more: str) -> list[str]:
    """A training; `--resume` alone where the run has begun."""
    if (output / "config.yaml").exists():
        return [module, "--resume", "--output", str(output)]
    settings = ["--train", str(data), "--dev", "0.2", "--model", "tiny", "--epochs", str(EPOCHS)]
    settings += ["--batch-size", "8", "--max-length", "16", "--deterministic", "--seed", "3"]
    settings += ["--checkpoint-steps", "2", "--early-stopping", "0"]
    return [module, *settings, "--output", str(output), *more]


def kill_at(training: Process, step: int, number: int, delay: float) -> str:
    """Wait for a step to be reported, and send the signal soon after; the rest of what it said."""
    assert training.stderr is not None
    for line in training.stderr:
        if line.startswith("step ") and int(line.split()[1].split("/")[0]) >= step:
            time.sleep(delay)
            training.send_signal(number)
            break
    return training.stderr.read()


def interrupted_run(data: Path, output: Path, kills: int, chance: random.Random, *more: str) -> int:
    """A run killed again and again and resumed to its end; returns how often it was killed."""
    done = 0
    targets = sorted(chance.sample(range(1, STEPS), kills))
    for number, target in enumerate(targets):
        signal_number = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        with commands.start(*command("tests.every_step", data, output, *more)) as training:
            rest = kill_at(training, target, signal_number, chance.random() * 0.1)
            status = training.wait(timeout=120)
        if status == 0:
            # The last steps went by before the signal came.
            break
        done += 1
        if signal_number == signal.SIGTERM:
            assert status == 143, rest
            assert f"--resume --output {output}" in rest and "Traceback" not in rest
        else:
            assert status == -signal.SIGKILL, rest
    if not Run(output).finished:
        commands.run(*command("tfpipe.train", data, output, *more))
    return done


def equal_runs(one: Path, other: Path) -> None:
    """Weights bit for bit, and the same history and figures."""
    weights, others = (load_file(run / "model" / "model.safetensors") for run in (one, other))
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(value.view(np.int32), others[name].view(np.int32), name)
    stored = []
    for run in (one, other):
        newest = max((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
        stored.append(json.loads((newest / "progress.json").read_text()))
        assert stored[-1].pop("seconds") > 0
    assert stored[0] == stored[1]
    assert Run(one).metrics["dev"] == Run(other).metrics["dev"]


def check_kills(whole: Path, parts: Path, kills: int, seed: int, *more: str) -> int:
    data = whole.parent / "messages.tsv"
    done = interrupted_run(data, parts, kills, random.Random(seed), *more)
    equal_runs(whole, parts)
    assert not [path for path in parts.rglob(".*") if path.suffix in (".tmp", ".old")]
    return done


def whole_run(folder: Path, *more: str) -> Path:
    data = write_messages(folder / "messages.tsv")
    commands.run(*command("tests.every_step", data, folder / "whole", *more))
    return folder / "whole"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    return whole_run(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("kills", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_kills(whole: Path, tmp_path: Path, kills: int) -> None:
    assert check_kills(whole, tmp_path / "parts", kills, seed=1) == kills


@pytest.mark.slow
def test_stops_that_were_asked_for(whole: Path, tmp_path: Path) -> None:
    data, parts = whole.parent / "messages.tsv", tmp_path / "parts"
    for epoch in range(1, EPOCHS):
        done = commands.run(*command("tfpipe.train", data, parts), "--stop-after", epoch)
        assert f"stopped after epoch {epoch} of" in done.stderr
        assert not Run(parts).finished
    commands.run(*command("tfpipe.train", data, parts))
    equal_runs(whole, parts)


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "seed"), [("one_device", 2), ("mirrored", 3)])
def test_twenty_kills(tmp_path: Path, strategy: str, seed: int) -> None:
    more = ["--strategy", strategy, *(["--devices", "2"] if strategy == "mirrored" else [])]
    assert check_kills(whole_run(tmp_path, *more), tmp_path / "parts", 20, seed, *more) >= 18

"""The same weights from one replica, two, two processes, parts, and a parameter server."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import BertConfig

from tests.support.data import WORDS, write_messages, write_similar
from tests.support.runs import tiny_config
from tfpipe.config import TrainConfig
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.model import pretrained
from tfpipe.model.presets import learn_vocabulary
from tfpipe.run_folder import Run
from tfpipe.train import train

ROOT = Path(__file__).parents[1]
STEPS = 20
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """One epoch of 20 steps without dropout, each batch with an odd number of rows."""
    folder = tmp_path_factory.mktemp("equality")
    data = write_messages(folder / "messages.tsv", rows=300)
    write_messages(folder / "dev.tsv", rows=31, seed=2)
    return tiny_config(
        folder,
        dev=str(folder / "dev.tsv"),
        model=str(write_model(folder / "model", data)),
        precision="float32",
        epochs=1,
        batch_size=15,
        learning_rate=1e-3,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )


def write_model(folder: Path, data: Path) -> Path:
    """A BERT of one layer: its graph is built in half the time that `tiny` takes."""
    tokenizer = Tokenizer(
        WordPiece(learn_vocabulary(data.read_text(encoding="utf-8").splitlines()))
    )
    shape = BertConfig(
        vocab_size=len(tokenizer.vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.1,
    )
    pretrained.save(pretrained.build(shape, tokenizer, sorted(WORDS)), folder)
    return folder


def flags_of(config: TrainConfig) -> list[str]:
    """What to type for the configuration."""
    default, flags = TrainConfig(), []
    for name, value in vars(config).items():
        if value != getattr(default, name):
            flag = f"--{name.replace('_', '-')}"
            flags.append(flag if value is True else f"{flag}={value}")
    return flags


def launch_of(config: TrainConfig, *flags: str) -> list[str]:
    return [sys.executable, "-m", "tfpipe.launch", *flags, "--", *flags_of(config)]


def launched(config: TrainConfig, *flags: str) -> Run:
    """The run that launched processes left."""
    command = launch_of(config, *flags)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return Run(Path(config.output or ""))


def stopped(config: TrainConfig, *flags: str, everyone: bool = False) -> str:
    """What launched processes say that get SIGTERM after their fifth step.

    everyone: whether each process gets it, as when a whole job is stopped; else the launcher alone.
    """
    launcher = subprocess.Popen(
        launch_of(config, *flags), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert launcher.stderr is not None
    said = []
    for line in launcher.stderr:
        said.append(line)
        if "step 5/20 " in line:
            members = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
            for process in [launcher.pid, *(members.read_text().split() if everyone else ())]:
                os.kill(int(process), signal.SIGTERM)
    reported = "".join(said)
    assert launcher.wait(timeout=60) == 143, reported
    assert "Traceback" not in reported, reported
    # Worker 0 or the chief; the others tell nothing of the data and count no steps.
    assert len([line for line in said if "] data: train:" in line]) == 1
    again = f"python -m tfpipe.launch {' '.join(flags)} -- --resume --output {config.output}"
    assert again in reported
    return reported


def resumed(config: TrainConfig, *flags: str) -> Run:
    """The run that goes on after it was stopped."""
    folder = Path(config.output or "")
    (step,) = [int(path.name[5:]) for path in newest_first(folder)][:1]
    assert 5 <= step < STEPS
    assert not Run(folder).finished
    return launched(TrainConfig(resume=True, output=config.output), *flags)


def newest_first(folder: Path) -> list[Path]:
    """The run's checkpoints."""
    found = (folder / "checkpoints").glob("step-*")
    return sorted(found, key=lambda path: int(path.name[5:]), reverse=True)


def weights_of(run: Run) -> np.ndarray:
    """All weights in one row."""
    assert run.metrics["train"]["steps"] == STEPS
    stored = load_file(run.model / "model.safetensors")
    # A bias on the keys shifts all scores of a query alike: its gradient is zero but for rounding,
    # and Adam would blow the rounding up.
    return np.concatenate([stored[n].ravel() for n in sorted(stored) if "key.bias" not in n])


def variant(config: TrainConfig, name: str, **values: object) -> TrainConfig:
    output = str(Path(config.output or "").with_name(name))
    return dataclasses.replace(config, output=output, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def one_run(config: TrainConfig) -> Run:
    return train(variant(config, "one", strategy="one_device"))


@pytest.fixture(scope="module")
def one_replica(one_run: Run) -> np.ndarray:
    return weights_of(one_run)


def assert_equal(found: np.ndarray, expected: np.ndarray, name: str) -> None:
    print(f"{name}: largest difference {np.abs(found - expected).max():.1e}")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_comparison_can_fail(config: TrainConfig, one_replica: np.ndarray) -> None:
    other = weights_of(train(variant(config, "seed", strategy="one_device", seed=2)))
    assert other.shape == one_replica.shape
    assert np.abs(other - one_replica).max() > 1e-3


def test_two_replicas(config: TrainConfig, one_replica: np.ndarray) -> None:
    two = weights_of(train(variant(config, "mirrored", strategy="mirrored", devices=2)))
    assert_equal(two, one_replica, "2 mirrored replicas")


def test_four_parts(config: TrainConfig, one_replica: np.ndarray) -> None:
    parts = weights_of(train(variant(config, "parts", strategy="one_device", accumulate=4)))
    assert_equal(parts, one_replica, "4 parts")


def test_two_processes(config: TrainConfig, one_run: Run, one_replica: np.ndarray) -> None:
    run = launched(variant(config, "workers"), "--workers", "2")
    assert_equal(weights_of(run), one_replica, "2 worker processes")
    assert "2 replica(s)" in run.metrics["environment"]["strategy"]
    assert run.metrics["dev"] == pytest.approx(one_run.metrics["dev"], abs=1e-5)


@pytest.mark.slow
def test_vectors_of_two_processes(config: TrainConfig, tmp_path: Path) -> None:
    """Their loss compares the examples of both, which are computed in parts."""
    similar = str(write_similar(tmp_path / "similar.tsv", rows=15 * STEPS))
    vectors = dataclasses.replace(config, task="embed", train=similar, dev=similar)
    one = weights_of(train(variant(vectors, "vectors", strategy="one_device")))
    two = launched(variant(vectors, "vectors-workers", accumulate=2), "--workers", "2")
    assert_equal(weights_of(two), one, "vectors of 2 worker processes")


@pytest.mark.slow
def test_two_processes_stopped_and_resumed(config: TrainConfig, one_replica: np.ndarray) -> None:
    half = variant(config, "stopped")
    reported = stopped(half, "--workers", "2")
    assert "[worker 0] batch: 15 in a step = 2 replica(s) x 8" in reported
    assert "[worker 1] strategy: multi_worker, worker 1 of 2" in reported
    run = resumed(half, "--workers", "2")
    assert_equal(weights_of(run), one_replica, "2 worker processes, stopped and resumed")


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("--workers=2",), ("--workers=1", "--servers=1")])
def test_processes_stop_after_an_epoch(config: TrainConfig, flags: tuple[str, ...]) -> None:
    half = variant(config, f"asked-{len(flags)}", epochs=2, stop_after=1)
    run = launched(half, *flags)
    assert not run.finished and newest_first(run.folder)[0].name == f"step-{STEPS}"
    run = launched(TrainConfig(resume=True, output=half.output), *flags)
    assert run.metrics["train"]["steps"] == 2 * STEPS


@pytest.mark.slow
@pytest.mark.parametrize("everyone", [False, pytest.param(True, marks=on_linux)])
def test_a_parameter_server_stopped_and_resumed(
    config: TrainConfig, one_replica: np.ndarray, everyone: bool
) -> None:
    """Servers and workers stay until the chief has ended its step and saved, signalled or not."""
    half = variant(config, f"server-stopped-{everyone}")
    stopped(half, "--workers", "1", "--servers", "1", everyone=everyone)
    apart = np.abs(weights_of(resumed(half, "--workers", "1", "--servers", "1")) - one_replica)
    # Up to two steps that were under way are taken again.
    print(f"stopped and resumed: mean difference {apart.mean():.1e}, largest {apart.max():.1e}")
    assert apart.mean() < 2e-3


@pytest.mark.slow
def test_a_parameter_server_with_one_worker(
    config: TrainConfig, one_replica: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker takes the steps in turn: nothing is asynchronous, and the weights are equal."""
    # The texts are tokenised under this strategy, too.
    monkeypatch.setenv("TFPIPE_CACHE", str(tmp_path))
    run = launched(variant(config, "server"), "--workers", "1", "--servers", "1")
    assert_equal(weights_of(run), one_replica, "1 worker and 1 server")


@pytest.mark.slow
def test_a_parameter_server_with_two_workers(config: TrainConfig, one_replica: np.ndarray) -> None:
    """Workers overtake each other: the loss falls, the weights are near, equal they are not."""
    run = launched(variant(config, "servers"), "--workers", "2", "--servers", "2")
    apart = np.abs(weights_of(run) - one_replica)
    print(f"2 workers, 2 servers: mean difference {apart.mean():.1e}, largest {apart.max():.1e}")
    # Steps of Adam at these rates can move a weight by the sum of the rates, 0.011.
    assert apart.max() > 1e-6 and apart.mean() < 2e-3
    longer = launched(
        variant(config, "longer", model="tiny", epochs=4, early_stopping=0),
        *("--workers", "2", "--servers", "1"),
    )
    losses = losses_of(longer)
    assert len(losses) == 4 and losses[-1] < 0.8 * losses[0]


def losses_of(run: Run) -> list[float]:
    """The training loss of each epoch."""
    progress = json.loads((newest_first(run.folder)[0] / "progress.json").read_text())
    return [record["loss"] for record in progress["history"]]

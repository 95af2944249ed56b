"""Keras Tuner's protocol between processes: a chief, workers, and a worker that dies."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import commands
from tests.support.data import write_messages
from tests.support.waiting import free_port, wait_until
from tfpipe.errors import UserError
from tfpipe.fork_server import Process, Streams
from tuning.chief import NAMES, check_variables, is_chief, is_worker

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a search of three trials under this name among the processes of its cluster."""
    write_messages(tmp_path / "messages.tsv", rows=60)
    (tmp_path / "space.yaml").write_text(
        "learning_rate: {float: [1e-3, 1e-2], sampling: log}\n"
        "loss: [cross_entropy, focal]\n"
        "focal_gamma: {choice: [1.0, 2.0], when: {loss: focal}}\n"
    )
    port = free_port()

    def start(tuner_id: str, *arguments: str, **environment: str) -> Process:
        names = {
            "KERASTUNER_TUNER_ID": tuner_id,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(port),
            **environment,
        }
        training = ["--train", "messages.tsv", "--dev", "0.2", "--model", "tiny"]
        training += ["--epochs", "1", "--max-length", "16", "--algorithm", "random"]
        study = ["--space", "space.yaml", "--output", "study", "--trials", "3"]
        log = started.enter_context((tmp_path / f"{tuner_id}.log").open("a"))
        streams = Streams(stdout=subprocess.PIPE, stderr=log)
        search = ("tuning.search", *training, *study, *arguments)
        return started.enter_context(
            commands.start(*search, env=names, cwd=tmp_path, streams=streams)
        )

    with ExitStack() as started:
        yield start


@pytest.mark.slow
def test_a_chief_and_two_workers_of_which_one_dies(start: Start, tmp_path: Path) -> None:
    chief = start("chief", "--lease", "5", "--json")
    workers = [start(f"worker{number}") for number in range(2)]
    first = tmp_path / "study" / "trials" / "0001" / "run" / "config.yaml"
    second = tmp_path / "study" / "trials" / "0002" / "run" / "config.yaml"
    assert wait_until(lambda: first.is_file() and second.is_file(), 120)
    workers[0].kill()
    done = commands.finish(chief, 180)
    assert done.returncode == 0, (tmp_path / "chief.log").read_text()
    assert workers[1].wait(timeout=30) == 0
    # Nothing of Keras Tuner's is among the results.
    best = json.loads(done.stdout)
    rows = json.loads((tmp_path / "study" / "trials.json").read_text())
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert {row["status"] for row in rows} <= {"completed", "stopped"}
    assert best["score"] == max(row["score"] for row in rows)
    logs = [
        (tmp_path / "study" / "trials" / f"{number:04d}" / "log.txt").read_text()
        for number in (1, 2, 3)
    ]
    # The dead worker's trial, and no other, was begun twice.
    assert sorted(log.count("\n$ ") + log.startswith("$ ") for log in logs) == [1, 1, 2]


def test_a_chief_whose_port_is_taken_says_so(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chief = start("chief", KERASTUNER_ORACLE_PORT=str(port))
        assert chief.wait(timeout=60) == 2
    reported = (tmp_path / "chief.log").read_text()
    assert "the chief cannot listen at its address" in reported and str(port) in reported
    assert "Traceback" not in reported


def test_a_worker_without_a_chief_gives_up(start: Start, tmp_path: Path) -> None:
    worker = start("worker", "--patience", "1")
    assert worker.wait(timeout=60) == 2
    assert "the chief cannot be reached" in (tmp_path / "worker.log").read_text()
    assert not (tmp_path / "study").exists()


def test_a_chief_without_workers_gives_up(start: Start, tmp_path: Path) -> None:
    chief = start("chief", "--patience", "1")
    assert chief.wait(timeout=60) == 2
    assert "no worker has come" in (tmp_path / "chief.log").read_text()


@pytest.mark.parametrize("port", ["0", "70000", "http", ""])
def test_a_port_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", port)
    with pytest.raises(UserError, match="the chief's port is not valid"):
        check_variables()


@pytest.mark.parametrize("missing", NAMES)
def test_variables_go_together(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    values = ("worker", "127.0.0.1", "6006")
    for name, value in zip(NAMES, values, strict=True):
        monkeypatch.setenv(name, value)
    assert is_worker() and not is_chief()
    check_variables()
    monkeypatch.delenv(missing)
    with pytest.raises(UserError, match="all three") as reported:
        check_variables()
    assert f"not {missing}" in reported.value.found


def test_a_name_alone_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    check_variables()
    assert not is_chief() and not is_worker()

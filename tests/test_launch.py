"""Processes that train together on this machine: their flags, their failures, their end."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tfpipe import launch
from tfpipe.config import LaunchConfig
from tfpipe.errors import UserError
from tfpipe.training.local_cluster import (
    count_gpus,
    plan_processes,
    share_gpus,
    share_gpus_evenly,
)

ROOT = Path(__file__).parents[1]
LAUNCH = [sys.executable, "-m", "tfpipe.launch"]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")


def refused(arguments: list[str], capsys: pytest.CaptureFixture, wrong: str) -> None:
    assert launch.main(arguments) == 2
    reported = capsys.readouterr().err
    assert wrong in reported and "found:" in reported and "Traceback" not in reported


def test_wrong_flags_start_nothing(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    refused(["--workers", "0", "--"], capsys, "--workers is out of range")
    refused(["--", "--strategy", "multi_wroker"], capsys, "did you mean 'multi_worker'")
    refused(["--", "--strategy", "mirrored"], capsys, "--strategy multi_worker")
    refused(["--servers=1", "--", "--strategy=multi_worker"], capsys, "parameter_server")
    refused(["--", "--workers", "a:1,b:2"], capsys, "sets the addresses")
    refused(["--workers", "2", "--epochs", "3"], capsys, "must follow --")
    monkeypatch.setenv("TF_CONFIG", "{}")
    refused(["--"], capsys, "TF_CONFIG is already set")


def test_places() -> None:
    names = [name for name, _ in plan_processes(3, 0)]
    assert names == ["worker 0", "worker 1", "worker 2"]
    places = plan_processes(2, 1)
    assert [name for name, _ in places] == ["chief", "worker 0", "worker 1", "server 0"]
    clusters = [place["cluster"] for _, place in places]
    assert all(cluster == clusters[0] for cluster in clusters)
    addresses = [address for hosts in clusters[0].values() for address in hosts]
    assert len(set(addresses)) == 4
    assert places[-1][1]["task"] == {"type": "ps", "index": 0}


def test_gpus_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert share_gpus(["worker 0", "worker 1"], 0) == [{}, {}]

    def shared(names: list[str], gpus: int) -> list[str]:
        return [share["CUDA_VISIBLE_DEVICES"] for share in share_gpus(names, gpus)]

    assert shared(["worker 0", "worker 1"], 5) == ["0,1", "2,3"]
    assert shared(["chief", "worker 0", "worker 1", "server 0"], 4) == ["", "0", "1", ""]
    with pytest.raises(UserError, match="fewer GPUs than workers"):
        shared(["worker 0", "worker 1"], 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    assert shared(["worker 0", "worker 1"], 2) == ["6", "7"]
    assert count_gpus() == 2


def test_gpus_are_shared_out_among_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert share_gpus_evenly(3) == [{}, {}, {}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4,5,6,7")
    shares = [share["CUDA_VISIBLE_DEVICES"] for share in share_gpus_evenly(2)]
    assert shares == ["3,4", "5,6"]
    with pytest.raises(UserError) as caught:
        share_gpus_evenly(6)
    assert caught.value.wrong == "there are fewer GPUs than jobs"
    assert caught.value.found == "5 GPU(s), 6 jobs"
    assert caught.value.fix.startswith("give --jobs 5 or fewer, or CUDA_VISIBLE_DEVICES=")


# ---- processes that are no training: what the launcher does with any command -------------------

BEGIN = """
import json, os, signal, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
"""


def run_small(script: str, **settings: int) -> int:
    return launch.run_members(LaunchConfig(**settings), [sys.executable, "-c", BEGIN + script])


def test_one_failure_ends_all_and_its_reason_is_told(capfd: pytest.CaptureFixture) -> None:
    began = time.monotonic()
    script = "print('alas', index, file=sys.stderr); time.sleep(60 * (1 - index)); sys.exit(7)"
    assert run_small(script) == 7
    reported = capfd.readouterr().err
    assert "[worker 1] alas 1\n" in reported
    assert "launch: worker 1 ended with status 7, so all were ended:\n  alas 1\n" in reported
    assert time.monotonic() - began < 30


def test_the_status_is_that_of_the_chief_and_results_are_its_own(
    capfd: pytest.CaptureFixture,
) -> None:
    assert run_small("print('result', index)") == 0
    assert capfd.readouterr().out == "result 0\n"


@pytest.fixture
def signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """signalled(script, count): the status of two members, ready to be signalled so many times."""
    # Where the launcher takes no signal, the tests must not end by it.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def run(script: str, count: int) -> int:
        def send() -> None:
            wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
            for _ in range(count):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.2)

        sender = threading.Thread(target=send)
        sender.start()
        status = run_small(script + "; open(f'ready-{index}', 'w'); time.sleep(60)")
        sender.join()
        return status

    yield run
    signal.signal(signal.SIGTERM, before)


def test_sigterm_reaches_all(tmp_path: Path, signalled: Callable) -> None:
    end = "signal.signal(15, lambda *_: (open(f'reported-{index}', 'w'), sys.exit(143 + index)))"
    assert signalled(end, 1) == 143
    assert {path.name for path in tmp_path.glob("reported-*")} == {"reported-0", "reported-1"}


def test_the_third_signal_kills(signalled: Callable) -> None:
    assert signalled("signal.signal(15, signal.SIG_IGN)", 3) == 137


class Unread(io.StringIO):
    """Where nobody reads any more."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_members_go_on_when_nobody_reads_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Unread())
    # More than a pipe holds.
    assert run_small("for _ in range(4000): print('x' * 80, file=sys.stderr)", workers=1) == 0


def children_of(process: int) -> list[int]:
    """The processes that it started."""
    return [
        int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def is_alive(process: int) -> bool:
    """Whether it runs or stands still; one that ended and that nobody has asked about does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


@on_linux
def test_a_killed_launcher_leaves_nobody_behind(tmp_path: Path) -> None:
    launcher = subprocess.Popen(
        [*LAUNCH, "--workers", "2", "--", "--output", str(tmp_path / "run")],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )

    def training() -> list[int]:
        begun = f"{sys.executable}\0-m\0tfpipe.train\0".encode()
        lines = {c: Path(f"/proc/{c}/cmdline").read_bytes() for c in children_of(launcher.pid)}
        return [child for child, line in lines.items() if line.startswith(begun)]

    workers: list[int] = []
    try:
        assert wait_until(lambda: len(training()) == 2)
        workers = training()
        for worker in workers:
            # Asleep, they cannot end for a reason of their own, such as the broken pipe.
            os.kill(worker, signal.SIGSTOP)
        launcher.kill()
        launcher.wait()
        assert wait_until(lambda: not any(map(is_alive, workers)), 20)
    finally:
        launcher.kill()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


# ---- trainings ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_failing_worker_ends_the_training(tmp_path: Path) -> None:
    # The workers would wait for each other, and the missing file fails all of them at once.
    missing = str(tmp_path / "none.tsv")
    done = subprocess.run(
        [*LAUNCH, "--", "--train", missing, "--model", "tiny", "--output", str(tmp_path / "run")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr[done.stderr.index("launch: worker") :]
    assert "ended with status 2, so all were ended" in last and "none.tsv" in last
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()

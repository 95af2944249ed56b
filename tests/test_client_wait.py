"""The verb `wait`: a server that comes late, one whose process ends, and what is printed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.client import Client
from serving.client.cli import wait
from serving.client.cli.parser import WAIT_SECONDS, build_parser
from serving.client.cli.wait import WaitProgress, is_running
from serving.client.errors import CODE, ServerOverloaded, ServerUnavailable, name_refusal
from serving.client.messages import GetModelStatusResponse
from tests.client_run import run_client
from tests.scripted_server import ScriptedServer, silent_address
from tests.support.waiting import free_port

ROOT = Path(__file__).parents[1]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines at short intervals."""
    monkeypatch.setattr(wait, "SAME_SECONDS", 0.4)
    monkeypatch.setattr(wait, "OTHER_SECONDS", 0.2)


@contextlib.contextmanager
def process(code: str) -> Iterator[subprocess.Popen]:
    """A process that has not been waited for."""
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def status(state: int, error: str = "") -> GetModelStatusResponse:
    response = GetModelStatusResponse()
    version = response.model_version_status.add(version=3, state=state)
    version.status.error_message = error
    return response


def test_a_late_server_is_waited_for_and_what_it_lacks_is_printed(
    soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, looks = free_port(), iter(range(1000))

    def script(method: str, request: Any, context: Any) -> Any:
        # Ten looks take longer than the pause between two lines.
        look = next(looks)
        if look < 10:
            context.abort(CODE.NOT_FOUND, "Could not find any versions of model support")
        return status(20 if look < 20 else 30)

    servers: list[ScriptedServer] = []
    report = WaitProgress.report

    def report_and_start(self: WaitProgress, obstacle: str) -> None:
        """The server comes once its absence has been printed."""
        report(self, obstacle)
        if self._obstacle and not servers:
            servers.append(ScriptedServer(script, port=port))

    monkeypatch.setattr(WaitProgress, "report", report_and_start)
    target = f"127.0.0.1:{port}"
    with process("import time; time.sleep(600)") as child:
        words = ("--target", target, "--model", "support", "--timeout", "none")
        done, out, err = run_client("wait", *words, "--pid", str(child.pid))
    servers[0].stop()
    assert (done, out) == (0, "")
    lines = err.splitlines()
    form = re.compile(rf"waiting for support at {target}: (.+), \d+ s")
    printed = [form.fullmatch(line) for line in lines]
    assert all(printed), lines
    obstacles = list(dict.fromkeys(match[1] for match in printed if match))
    expected = ["connection refused", "the server does not have the model", "model is LOADING"]
    assert obstacles == expected


def test_a_failed_load_is_printed(soon: None) -> None:
    with ScriptedServer(lambda *call: status(50, "out of memory")) as server:
        done, _, err = run_client("wait", "--target", server.address, "--timeout", "3")
    assert done == 1 and "was not ready within 3 s. Its versions: " in err
    assert f"waiting for default at {server.address}: model is END, out of memory, " in err


def test_a_process_that_ends_ends_the_wait_at_once() -> None:
    target = f"127.0.0.1:{free_port()}"
    with process("import time; time.sleep(1.5)") as child:
        began = time.monotonic()
        words = ("--target", target, "--model", "support", "--timeout", "none")
        done, out, err = run_client("wait", *words, "--pid", str(child.pid))
        # It is a zombie still: nothing but its parent, this process, can look at its status.
        assert time.monotonic() - began < 10 and child.returncode is None
    assert (done, out) == (2, "")
    assert err.splitlines()[-1] == (
        f"The server's process has ended, and support at {target} is waited for no longer. No"
        f" process {child.pid} is running (last: connection refused). Look at what it printed last,"
        " and start it again."
    )
    done, _, err = run_client("wait", "--target", target, "--pid", str(child.pid))
    assert done == 2 and f"No process {child.pid} is running. Look at" in err


def test_an_address_without_an_answer_does_not_hide_that_a_process_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.client.base_client.LONGEST_STATUS_SECONDS", 0.3)
    with silent_address() as target, process("import time; time.sleep(1)") as child:
        began = time.monotonic()
        done, _, err = run_client("wait", "--target", target, "--pid", str(child.pid))
        assert time.monotonic() - began < 10
    assert done == 2 and "(last: no answer)" in err


def test_another_server_at_the_address_is_no_answer_of_an_ended_process() -> None:
    with ScriptedServer(lambda *call: status(30)) as server:
        assert run_client("wait", "--target", server.address, "--pid", str(os.getpid()))[0] == 0
        with process("") as child:
            child.wait()
            words = ("--target", server.address, "--pid", str(child.pid))
            assert run_client("wait", *words)[0] == 2


def test_which_processes_are_running() -> None:
    assert is_running(os.getpid()) and is_running(1)
    assert not is_running(2**22 + 1) and not is_running(2**70)
    with process("import time; time.sleep(60)") as child:
        assert is_running(child.pid)
        child.kill()
        deadline = time.monotonic() + 10
        while is_running(child.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert child.returncode is None and not is_running(child.pid)


def test_what_the_caller_raises_ends_the_wait() -> None:
    printed = []

    def stop(obstacle: str) -> None:
        printed.append(obstacle)
        if len(printed) == 3:
            raise KeyError("enough")

    with Client(f"127.0.0.1:{free_port()}") as client, pytest.raises(KeyError):
        client.wait_until_ready(None, stop)
    assert printed == ["connection refused"] * 3


def test_refusals_in_a_few_words() -> None:
    last = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
    reported = {
        last + "connect: Connection refused (111)": "connection refused",
        last + "Failed to connect to remote host: Connection refused": "connection refused",
        "Socket closed": "socket closed",
        "": "no server answers",
    }
    for details, words in reported.items():
        assert name_refusal(ServerUnavailable("", CODE.UNAVAILABLE, details)) == words
    full = ServerOverloaded("", CODE.UNAVAILABLE, "queue is full")
    assert name_refusal(full) == "the server has more requests than it takes"


def test_the_limit_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    def limit(*words: str) -> float | None:
        return build_parser().parse_args(["wait", *words]).wait_seconds

    assert [limit(), limit("--timeout", "2.5"), limit("--timeout", "none")] == [
        *(WAIT_SECONDS, 2.5, None)
    ]
    for wrong in ("0", "-1", "inf", "nan", "ever"):
        with pytest.raises(SystemExit):
            limit("--timeout", wrong)
        assert f"'{wrong}' is not a number above 0, or none" in capsys.readouterr().err


# ---- make demo ------------------------------------------------------------------------------

# Stands for the virtual environment's Python: the server is a few lines, the client is real.
PYTHON = """#!/bin/sh
case "$2" in
serving.server) echo $$ > "$STUB/server.pid"; exec {python} -c "$STUB_SERVER" ;;
serving.client) if [ "$3" = wait ]; then exec {python} "$@"; fi; exit "${{STUB_CLASSIFY:-0}}" ;;
esac
"""


def run_demo(folder: Path, server: str, **more: Any) -> subprocess.Popen:
    """`make demo` on the stub, whose server is the Python code `server`."""
    stub = folder / "venv" / "bin" / "python"
    stub.parent.mkdir(parents=True)
    stub.write_text(PYTHON.format(python=sys.executable))
    stub.chmod(0o755)
    (folder / "venv" / ".installed").touch()
    port = more.pop("port", None) or free_port()
    return subprocess.Popen(
        ["make", "demo", f"VENV={folder / 'venv'}", f"PORT={port}"],
        cwd=ROOT,
        env={**os.environ, "STUB": str(folder), "STUB_SERVER": server, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


@needs_make
def test_the_demo_ends_with_the_status_of_a_server_that_ends(tmp_path: Path) -> None:
    server = "import sys, time; time.sleep(1); sys.exit('the port is in use')"
    out, _ = run_demo(tmp_path, server).communicate(timeout=60)
    assert "the port is in use\n" in out and "The server's process has ended" in out
    assert re.search(r"\*\*\* \[.*demo\] Error 1\n", out)
    again = tmp_path / "again"
    out, _ = run_demo(again, "import sys; sys.exit(7)").communicate(timeout=60)
    assert re.search(r"\*\*\* \[.*demo\] Error 7\n", out)


@needs_make
@pytest.mark.parametrize("answered", [0, 3])
def test_the_demo_leaves_no_server_behind(tmp_path: Path, answered: int) -> None:
    server = "import time; time.sleep(600)"
    with ScriptedServer(lambda *call: status(30)) as served:
        demo = run_demo(tmp_path, server, port=served.port, STUB_CLASSIFY=str(answered))
        out, _ = demo.communicate(timeout=60)
    assert (demo.returncode, "Error 3" in out) == ((0, False) if answered == 0 else (2, True)), out
    assert not is_running(int((tmp_path / "server.pid").read_text()))


@needs_make
def test_an_interrupted_demo_leaves_no_server_behind(tmp_path: Path) -> None:
    demo = run_demo(tmp_path, "import time; time.sleep(600)")
    line = ""
    while "waiting for support" not in line:
        line = demo.stdout.readline() if demo.stdout else ""
        assert line, "it ended"
    server = int((tmp_path / "server.pid").read_text())
    assert is_running(server)
    os.killpg(demo.pid, signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode != 0 and not is_running(server)

"""Python commands that are forked from a process with the imports done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfpipe import fork_server
from tfpipe.fork_server import ForkedProcess, Streams

# Small, so that the server starts at once.
MODULES = ("wsgiref.types", "decimal")
pytestmark = pytest.mark.skipif(
    fork_server.prepare(MODULES) is None, reason="commands are not forked on this machine"
)


def script(folder: Path, text: str) -> str:
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_script_gets_its_arguments_folder_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = """import decimal, json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), os.environ["COLOUR"], "LOST" in os.environ, __name__]))
print("noted", file=sys.stderr)
sys.exit(3)"""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOST", raising=False)
    done = fork_server.run([script(tmp_path, shown), "a b", "汉"], MODULES, {"COLOUR": "红"})
    expected = [["a b", "汉"], str(tmp_path), "红", False, "__main__"]
    assert json.loads(done.stdout) == expected
    assert (done.returncode, done.stderr) == (3, "noted\n")


def test_modules_are_imported_before_the_fork_and_no_others(tmp_path: Path) -> None:
    names = script(tmp_path, "import sys; print([n in sys.modules for n in ('decimal', 'tfpipe')])")
    assert fork_server.run([names], MODULES).stdout == "[True, False]\n"


def test_its_outputs_are_read_apart_in_its_folder(tmp_path: Path) -> None:
    text = "import os, sys; print(os.getcwd()); print('x' * 9999, file=sys.stderr)"
    talk = script(tmp_path, text)
    streams = Streams(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process = fork_server.start([talk], MODULES, streams, folder=tmp_path)
    assert process.communicate() == (f"{tmp_path}\n", "x" * 9999 + "\n")


def test_a_module_runs_as_a_command() -> None:
    done = fork_server.run(["-m", "json.tool", "--help"], MODULES)
    assert done.returncode == 0 and "usage: python -m json.tool" in done.stdout


def test_an_exception_is_status_1_with_its_traceback(tmp_path: Path) -> None:
    done = fork_server.run([script(tmp_path, "1 / 0")], MODULES)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


def test_a_conversation_through_pipes(tmp_path: Path) -> None:
    echo = script(
        tmp_path, "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
    )
    process = fork_server.start([echo], MODULES, Streams(subprocess.PIPE, subprocess.PIPE))
    assert process.stdin and process.stdout
    for word in ("one", "two"):
        print(word, file=process.stdin, flush=True)
        assert process.stdout.readline() == f"{word.upper()}\n"
    assert process.poll() is None
    process.communicate()
    assert process.returncode == 0


def test_signals_and_time_limits(tmp_path: Path) -> None:
    process = fork_server.start([script(tmp_path, "import time; time.sleep(60)")], MODULES)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    # It has ended: nothing is sent to a process that may have its number now.
    process.kill()


def test_processes_draw_different_numbers(tmp_path: Path) -> None:
    draw = script(tmp_path, "import random, numpy; print(random.random(), numpy.random.rand())")
    first, second = (fork_server.run([draw], ("numpy",)).stdout.split() for _ in range(2))
    assert first[0] != second[0] and first[1] != second[1]


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    sleeping = script(tmp_path, "import time; time.sleep(60)")
    starter = f"""import time
from tfpipe import fork_server
print(fork_server.start([{sleeping!r}], {MODULES!r}).pid, flush=True)
time.sleep(60)"""
    command = [sys.executable, "-c", starter]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.kill()
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_failed_import_is_reported_by_a_new_process(tmp_path: Path) -> None:
    wanting = script(tmp_path, "import no_such_module")
    done = fork_server.run([wanting], ("no_such_module",))
    assert done.returncode == 1 and "No module named 'no_such_module'" in done.stderr


def test_a_new_process_where_nothing_is_forked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server.sys, "platform", "other")
    process = fork_server.start([script(tmp_path, "raise SystemExit(4)")], MODULES)
    assert not isinstance(process, ForkedProcess) and process.wait() == 4

"""The process of a command: how it ends, and what its imports leave behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STATUS = 3
HEAD = """
import atexit, gc, os, sys, threading, time
from tfpipe.process import quick_imports, run_as_process, shut_down_fully
"""


# Speaks when the interpreter's shutdown reaches it.
WITNESS = """
class Witness:
    def __del__(self):
        os.write(1, b"shut down\\n")
witness = Witness()
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HEAD + script], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize(("called", "lines"), [("pass", []), ("shut_down_fully()", ["shut down"])])
def test_end_leaves_out_the_shutdown_only(called: str, lines: list[str]) -> None:
    done = run(f"""
{WITNESS}
def main():
    atexit.register(print, "atexit")
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    {called}
    sys.stdout.write("not flushed\\n")
    return {STATUS}
run_as_process(main)
""")
    assert done.returncode == STATUS, done.stderr
    assert done.stdout.split("\n")[:-1] == ["not flushed", "thread", "atexit", *lines]


def test_exceptions_are_reported_as_without_it() -> None:
    done = run("run_as_process(lambda: 1 // 0)")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


def test_a_closed_standard_output_does_not_change_the_status() -> None:
    done = run("run_as_process(lambda: sys.stdout.close() or 0)")
    assert done.returncode == 0 and not done.stderr


def test_collection_is_off_during_imports_of_a_command_only() -> None:
    done = run("""
def main():
    with quick_imports():
        assert not gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() > before
    return 0
before = gc.get_freeze_count()
with quick_imports():
    assert gc.isenabled()
assert gc.get_freeze_count() == before
run_as_process(main)
""")
    assert done.returncode == 0, done.stderr

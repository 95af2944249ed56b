"""Why a trial failed: a line for people, from its status and its log."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tfpipe.errors import UserError
from tuning.failure_reason import LAST_LINES, MAX_CHARACTERS, describe_failure, last_lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


def test_the_sentences_of_a_users_mistake(log: Path) -> None:
    error = UserError("there are no texts", "0 rows", "give a file that has some")
    log.write_text(f"$ -m tfpipe.train\nstrategy: one_device\nerror: {error}\n")
    reported = "there are no texts; found: 0 rows; to do: give a file that has some"
    assert describe_failure(2, log) == reported


def test_several_mistakes(log: Path) -> None:
    errors = [UserError(name, "f", "x") for name in ("one", "two")]
    log.write_text("".join(f"error: {error}\n" for error in errors))
    assert describe_failure(2, log) == "one; found: f; to do: x; error: two; found: f; to do: x"


def test_a_traceback_tells_its_last_line(log: Path) -> None:
    log.write_text('Traceback (most recent call last):\n  File "a.py"\nValueError: no\n\n')
    assert describe_failure(1, log) == "ended with status 1: ValueError: no"


def test_status_2_without_a_sentence(log: Path) -> None:
    log.write_text("python: can't open file\n")
    assert describe_failure(2, log) == "ended with status 2: python: can't open file"


@pytest.mark.parametrize("status", [-signal.SIGKILL, 128 + signal.SIGKILL])
def test_a_kill_speaks_of_memory(log: Path, status: int) -> None:
    log.write_text("step 1/9\n")
    reported = "killed by SIGKILL, as the system does when memory runs out"
    assert describe_failure(status, log) == reported


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_names_its_signal(log: Path, number: signal.Signals) -> None:
    log.touch()
    # Alone, and as tfpipe.launch passes it on.
    assert describe_failure(-number, log) == describe_failure(128 + number, log)
    assert describe_failure(-number, log).startswith(f"killed by {number.name}, a crash")


def test_any_signal_and_any_status_is_told(log: Path) -> None:
    log.touch()
    for status in [*range(-64, 0), *range(1, 256)]:
        reported = describe_failure(status, log)
        assert reported.startswith(("killed by ", "ended with status ")) and "\n" not in reported


def test_a_log_of_several_starts_tells_of_the_last(log: Path) -> None:
    log.write_text(
        "$ -m tfpipe.train --config a\nerror: the first\n  found: f\n  to do: x\n"
        "$ -m tfpipe.train --config a --resume\nloading\nerror: the second\n  found: f\n"
        "  to do: x\n"
    )
    assert describe_failure(2, log) == "the second; found: f; to do: x"
    with log.open("a") as file:
        file.write("$ -m tfpipe.train --config a --resume\n")
    assert describe_failure(2, log) == "ended with status 2: nothing was said"


def test_an_empty_log(log: Path) -> None:
    log.touch()
    assert last_lines(log) == []
    assert (
        describe_failure(1, log)
        == describe_failure(1, log)
        == "ended with status 1: nothing was said"
    )
    log.write_text("\n \n\n")
    assert last_lines(log) == []


def test_a_log_that_is_no_utf_8(log: Path) -> None:
    log.write_bytes(b"error: caf\xe9 \xff\xfe\n  found: \xf0\x9f\n  to do: x\n")
    reported = describe_failure(2, log)
    assert reported.startswith("caf\N{REPLACEMENT CHARACTER}")
    assert reported.endswith("to do: x")


def test_a_line_that_was_written_over(log: Path) -> None:
    log.write_bytes(b"step 1/9\rstep 2/9\rstep 3/9\nepoch 1\r\nstep 4/9\r\r\n")
    assert last_lines(log) == ["step 3/9", "epoch 1", "step 4/9"]


def test_a_progress_bar_does_not_push_the_reason_out(log: Path) -> None:
    bar = "\r".join(f"step {step}/900" for step in range(900))
    log.write_bytes(f"error: no room\n  found: f\n  to do: x\n{bar}\n".encode())
    assert last_lines(log)[0] == "error: no room"
    assert describe_failure(2, log).startswith("no room; found: f")


def test_the_last_lines_are_few_and_short(log: Path) -> None:
    log.write_text("".join(f"line {number}\n" for number in range(1000)) + "x" * 100_000)
    lines = last_lines(log)
    assert len(lines) == LAST_LINES and lines[0] == f"line {1000 - LAST_LINES + 1}"
    assert len(lines[-1]) == MAX_CHARACTERS
    log.write_text("error: " + "é" * 10_000)
    for status in (1, 2):
        assert len(describe_failure(status, log)) <= MAX_CHARACTERS


def test_mistakes_that_fill_more_than_the_last_lines(log: Path) -> None:
    errors = [UserError(f"mistake {number}", "f", "x") for number in range(30)]
    log.write_text("".join(f"error: {error}\n" for error in errors))
    assert "mistake 29" in describe_failure(2, log)

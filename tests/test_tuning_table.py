"""The table of a running study: lines elsewhere, a table that fits on a terminal, time left."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from rich.cells import cell_len

from tfpipe.tasks.sections import Baseline
from tuning.report.live_table import TrialTable
from tuning.report.study_progress import StudyProgress, seconds_left
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult

HOSTILE = "[red]x[/red] :boom:\x1b[2J\x1b]0;title\x07\n\r第二行\u202e"


def history(*accuracies: float) -> list[dict[str, Any]]:
    return [{"epoch": i, "dev_accuracy": a} for i, a in enumerate(accuracies, start=1)]


def result(
    number: int, status: str = COMPLETED, score: float | None = None, **more: Any
) -> TrialResult:
    values = more.pop("values", {"learning_rate": 3e-05, "batch_size": 16})
    return TrialResult(number, status, values, score, **more)


def show(table: TrialTable, results: Sequence[TrialResult], planned: int = 12, **more: Any) -> None:
    known = {"direction": "max", "objective": "dev.accuracy", "seconds": 60.0, "jobs": 1}
    table.show(StudyProgress(list(results), planned, **(known | more)))


def screen(
    looks: Sequence[Sequence[TrialResult]], rows: int, columns: int, **more: Any
) -> list[str]:
    """What a terminal of that size holds after the looks."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    received: list[bytes] = []

    def read() -> None:
        while True:
            try:
                received.append(os.read(master, 65536))
            except OSError:  # the other end is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    with open(slave, "w", encoding="utf-8") as stream, TrialTable(stream) as table:
        for results in looks:
            show(table, results, **more)
    reader.join(timeout=10)
    os.close(master)
    return play(b"".join(received).decode())


def play(output: str) -> list[str]:
    """The lines left by the few controls that the table may use; any other is a failure."""
    lines, row, column = [""], 0, 0
    controls = re.compile(r"\x1b\[(\d*)(A|K)|\x1b\[[\d;]*m|\x1b\[\?25[lh]|\r|\n|[^\x1b\r\n]+|(.)")
    for found in controls.finditer(output):
        text = found.group()
        assert not found.group(3), f"{text!r} in {output!r}"
        if found.group(2) == "A":
            row -= int(found.group(1) or 1)
        elif found.group(2) == "K":
            lines[row] = ""
        elif text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif not text.startswith("\x1b"):
            assert all(c.isprintable() for c in text), repr(text)
            lines[row] = lines[row][:column] + text + lines[row][column + len(text) :]
            column += len(text)
    return [line.rstrip() for line in lines]


@pytest.fixture(autouse=True)
def a_terminal_that_can_renew_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


# Lines


def test_lines_tell_each_change_once() -> None:
    stream = io.StringIO()
    with TrialTable(stream) as table:
        show(table, [])
        show(table, [result(1, RUNNING)])
        show(table, [result(1, RUNNING)])
        show(table, [result(1, RUNNING, history=history(0.5))])
        both = [result(1, score=0.75, seconds=20.0, history=history(0.5, 0.75))]
        both += [result(2, RUNNING, values={"warmup": 0.1})]
        show(table, both)
        show(table, both)
        show(table, [both[0], result(2, FAILED, seconds=3.0, reason="out of memory\nTraceback")])
    assert stream.getvalue().splitlines() == [
        "trial 1 started: learning_rate 3e-05, batch_size 16",
        "trial 1 epoch 1: dev.accuracy 0.5000",
        "trial 1 epoch 2: dev.accuracy 0.7500",
        "trial 1 completed after 20 s: dev.accuracy 0.7500 (best so far)",
        "trial 2 started: warmup 0.1",
        "best dev.accuracy 0.7500 (trial 1) | 1 of 12 ended | 1 min 0 s elapsed | ETA 3 min 40 s",
        "trial 2 failed after 3.0 s: out of memory",
        "best dev.accuracy 0.7500 (trial 1) | 2 of 12 ended, 1 failed | 1 min 0 s elapsed"
        " | ETA 1 min 55 s",
    ]


def test_best_is_marked_only_where_it_changes() -> None:
    stream = io.StringIO()
    first, second, third = (result(i, score=s) for i, s in ((1, 0.5), (2, 0.9), (3, 0.7)))
    with TrialTable(stream) as table:
        show(table, [])
        for results in ([first], [first, second], [first, second, third]):
            show(table, results, objective="dev.loss", direction="min")
    marked = [line for line in stream.getvalue().splitlines() if "(best so far)" in line]
    assert marked == ["trial 1 completed after 0.0 s: dev.loss 0.5000 (best so far)"]


def test_resumed_study_does_not_tell_its_past_again() -> None:
    stream = io.StringIO()
    before = [result(i, score=i / 10, history=history(0.1)) for i in range(1, 8)]
    going = result(8, RUNNING, history=history(0.3, 0.4))
    with TrialTable(stream) as table:
        show(table, [*before, going])
        show(table, [*before, result(8, RUNNING, history=history(0.3, 0.4, 0.6))])
    reported = stream.getvalue().splitlines()
    assert reported[0].startswith("going on: best dev.accuracy 0.7000 (trial 7) | 7 of 12 ended")
    assert reported[1:] == [
        "trial 8 started: learning_rate 3e-05, batch_size 16",
        "trial 8 epoch 3: dev.accuracy 0.6000",
    ]


def test_trial_that_is_given_back_starts_again_in_silence_about_old_epochs() -> None:
    stream = io.StringIO()
    with TrialTable(stream) as table:
        show(table, [result(1, RUNNING, history=history(0.5, 0.6))])
        show(table, [result(1, FAILED, reason="the worker died")])
        show(table, [result(1, RUNNING, history=history(0.5))])
        show(table, [result(1, RUNNING, history=history(0.5, 0.6, 0.7))])
    reported = stream.getvalue().splitlines()
    assert [line for line in reported if "started" in line] == [reported[0], reported[-2]]
    assert reported[-1] == "trial 1 epoch 3: dev.accuracy 0.7000"


def test_lines_keep_hostile_texts_on_one_line() -> None:
    stream = io.StringIO()
    values = {"text": HOSTILE, HOSTILE: [1, HOSTILE]}
    with TrialTable(stream) as table:
        show(table, [result(1, RUNNING, values=values)])
        show(table, [result(1, STOPPED, 0.5, values=values, reason=HOSTILE)])
    assert len(stream.getvalue().splitlines()) == 3
    assert all(c.isprintable() or c == "\n" for c in stream.getvalue())
    assert "[red]x[/red] :boom:" in stream.getvalue()


def test_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert screen([[result(1, RUNNING)]], 24, 80)[0].startswith("trial 1 started: ")


def test_study_outlives_its_output() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", buffering=1) as stream, TrialTable(stream) as table:
        show(table, [result(1, RUNNING)])
        show(table, [result(1, score=0.5)])
        # What could not be written stays in the buffer, and closing would try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)


# A terminal


def test_screen_is_a_table_that_renews_itself() -> None:
    one = result(1, RUNNING, history=history(0.5, 0.4), seconds=9.0)
    done = result(1, score=0.75, spread=0.01, seconds=20.0, epochs=3)
    lost = result(2, FAILED, values={"learning_rate": 1.5e-04}, reason="out of memory\nmore")
    lines = screen([[], [one], [done, lost, result(3, RUNNING)]], 24, 120)
    assert [" ".join(line.split()) for line in lines] == [
        "trial status dev.accuracy learning_rate batch_size epochs time reason",
        "*1 completed 0.7500 ± 0.0100 3e-05 16 3 20 s",
        "2 failed – 0.00015 – 0 0.0 s out of memory",
        "3 running – 3e-05 16 0 0.0 s",
        "best dev.accuracy 0.7500 ± 0.0100 (trial 1) | 2 of 12 ended, 1 failed"
        " | 1 min 0 s elapsed | ETA 1 min 40 s",
        "",
    ]


def test_running_trial_shows_its_best_epoch_so_far() -> None:
    one = result(1, RUNNING, history=history(0.5, 0.4, float("nan")))
    assert "0.5000" in screen([[one]], 24, 100)[1]
    assert "0.4000" in screen([[one]], 24, 100, direction="min")[1]


@pytest.mark.parametrize("rows", [8, 12, 20])
def test_full_screen_shows_the_best_and_the_running_trials(rows: int) -> None:
    results = [result(i, score=0.9 if i == 4 else 0.5) for i in range(1, 41)]
    results[8] = result(9, RUNNING)
    lines = screen([results], rows, 120, planned=60)[:-1]
    assert len(lines) == rows - 1
    shown = [line.split()[0] for line in lines[2:-1]]
    others = rows - 6
    assert shown == ["*4", "9", *(str(i) for i in range(41 - others, 41))]
    assert lines[0] == f"… {40 - len(shown)} more"


@pytest.mark.parametrize("columns", [100, 70, 66])
def test_narrow_screen_leaves_out_parameters_not_lines(columns: int) -> None:
    values = {
        "a_rather_long_parameter_name": 1,
        "batch_size": 16,
        "情感分析情感分析情感分析情感分析": "长" * 99,
    }
    results = [result(i, score=0.5, values=values, reason="长" * 300) for i in (1, 2)]
    lines = screen([results, results], 24, columns)
    assert all(cell_len(line) <= columns for line in lines)
    assert lines[1].split()[0] == "*1" and lines[2].split()[0] == "2"
    assert "batch_size" in lines[0] and lines[0].split()[-1] in ("time", "reason")
    assert "…" in lines[0]


def test_screen_interprets_no_text() -> None:
    values = {"text": HOSTILE, HOSTILE: 1}
    results = [result(1, FAILED, values=values, reason=HOSTILE)]
    lines = screen([results], 24, 160)  # play fails for controls
    assert lines[1].count("[red]x[/red] :boom:") == 2
    assert len(lines) == 4


# The time that is left


def test_time_left_is_unknown_before_an_end() -> None:
    assert seconds_left([], 12, 1) is None
    assert seconds_left([result(1, RUNNING, seconds=50.0)], 12, 1) is None


@pytest.mark.parametrize(
    ("running", "planned", "jobs", "left"),
    [
        ((), 12, 1, 1000.0),
        ((), 12, 2, 500.0),
        ((30.0, 50.0), 4, 2, 70.0),  # the longer of the two, not half of both
        ((30.0,), 4, 1, 170.0),
        ((500.0,), 3, 1, 0.0),
        ((), 2, 1, 0.0),
        ((), 1, 1, 0.0),  # fewer are asked for now
        ((), 3, 0, 100.0),
    ],
)
def test_time_left(running: tuple[float, ...], planned: int, jobs: int, left: float) -> None:
    results = [result(1, seconds=50.0), result(2, FAILED, seconds=150.0)]
    results += [result(i, RUNNING, seconds=s) for i, s in enumerate(running, start=3)]
    assert seconds_left(results, planned, jobs) == pytest.approx(left)


def test_what_the_best_is_to_beat_stands_beside_it() -> None:
    stream = io.StringIO()
    first = result(1, RUNNING, 0.7, defaults=True)
    ended = result(1, score=0.75, defaults=True)
    with TrialTable(stream) as table:
        show(table, [first], baseline=Baseline("other", "accuracy", 0.19))
        show(table, [ended, result(2, score=0.8)], baseline=Baseline("other", "accuracy", 0.19))
    lines = stream.getvalue().splitlines()
    values = "learning_rate 3e-05, batch_size 16"
    assert lines[0] == f"trial 1 started (the defaults): {values}"
    assert f"trial 2 started: {values}" in lines
    assert lines[-1].startswith(
        "best dev.accuracy 0.8000 (trial 2) | defaults 0.7500 (trial 1) | baseline 0.1900 | 2 of 12"
    )

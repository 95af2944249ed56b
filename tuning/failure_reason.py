"""Reason of a failed training process, from its exit status and its log."""

from __future__ import annotations

import signal
from collections import deque
from pathlib import Path

LAST_LINES = 20
MAX_CHARACTERS = 500
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)


def last_lines(log: Path) -> list[str]:
    """Return the last `LAST_LINES` non-empty lines of a log, as a terminal shows them."""
    with log.open(encoding="utf-8", errors="replace", newline="\n") as file:
        lines = (line.rstrip("\r\n").rsplit("\r", 1)[-1].rstrip() for line in file)
        return list(deque((line[:MAX_CHARACTERS] for line in lines if line), LAST_LINES))


def describe_failure(status: int, log: Path) -> str:
    """Describe in one line why a training process failed.

    Args:
        status: Exit status of the process; negative for the signal that ended it.
        log: Standard error of the process.

    Returns:
        The error message of the process, or the signal that ended it.
    """
    lines = last_lines(log)
    number = -status if status < 0 else status - 128
    if status < 0 or number in (*CRASHES, signal.SIGKILL, signal.SIGTERM):
        # Most real-time signals have no name in the enum.
        name = {one.value: one.name for one in signal.Signals}.get(number, f"signal {number}")
        if number == signal.SIGKILL:
            return f"killed by {name}, as the system does when memory runs out"
        why = ", a crash of a library, or memory ran out" if number in CRASHES else ""
        return f"killed by {name}{why}"
    # The log of a resumed trial has the output of every start, each after its command line.
    start = max((place for place, line in enumerate(lines) if line.startswith("$ ")), default=-1)
    lines = lines[start + 1 :]
    errors = [place for place, line in enumerate(lines) if line.startswith("error: ")]
    if status == 2 and errors:
        # The three lines of a UserError: what is wrong, what was found, what to do.
        message = [line.strip() for line in lines[errors[0] :]]
        return _short("; ".join(message).removeprefix("error: "))
    return _short(f"ended with status {status}: {lines[-1] if lines else 'nothing was said'}")


def _short(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"

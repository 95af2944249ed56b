"""The process of a command: its imports without garbage collection, and its quick end."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn


@dataclass
class _Command:
    """What `run_as_process` runs: whether there is any, and its exit status at the end."""

    running: bool = False
    status: int | None = None


_command = _Command()


def run_as_process(main: Callable[[], int]) -> NoReturn:
    """Run a command as the whole of this process, which ends with its exit status.

    With TensorFlow loaded, the interpreter's shutdown takes a second of computing, to free what is
    freed by the end of the process. It is left out; functions registered with `atexit` are called.

    Args:
        main: The command; returns the exit status.
    """
    _command.running = True
    # What is registered first is called last, and after all threads have ended.
    atexit.register(_end)
    _command.status = main()
    sys.exit(_command.status)


def shut_down_fully() -> None:
    """Have this process end with the interpreter's whole shutdown, which other workers notice."""
    atexit.unregister(_end)


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import within a block without garbage collection, which is a tenth of TensorFlow's import.

    Later collections leave out what exists by then. Only in the process of a command: in a user's
    own, their objects would never be freed.
    """
    if not _command.running or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _end() -> None:
    if _command.status is None:
        return  # After an exception, which Python has reported.
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(_command.status)

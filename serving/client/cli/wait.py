"""The command `wait`: return when the model is available or the server's process has ended."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from serving.client.client import Client
from serving.client.errors import InvalidRequest, ServerUnavailable

# Seconds between two lines: of the same obstacle, and of another one.
SAME_SECONDS, OTHER_SECONDS = 5.0, 1.0


def wait(client: Client, arguments: argparse.Namespace) -> None:
    """Return once the model is available; print every few seconds what is missing."""
    progress = WaitProgress(client, arguments.pid)
    client.wait_until_ready(arguments.wait_seconds, progress.report)
    # Another server may have answered at this address.
    progress.check_process()


class WaitProgress:
    """Prints on standard error what a model that is not available lacks.

    Args:
        client: Client of the model.
        pid: ID of the server's process on this machine, where it is known.

    Raises:
        ServerUnavailable: The process has ended.
    """

    def __init__(self, client: Client, pid: int | None):
        self._client, self._pid = client, pid
        self._began = self._reported = time.monotonic()
        self._obstacle = ""
        if pid is not None and os.name == "nt":
            raise InvalidRequest(
                f"Processes can be watched on Linux and macOS only. --pid is {pid}. Leave it out."
            )
        self.check_process()

    def report(self, obstacle: str) -> None:
        """Print the obstacle, unless a line was printed just now."""
        self.check_process(obstacle)
        now = time.monotonic()
        pause = SAME_SECONDS if obstacle == self._obstacle else OTHER_SECONDS
        if now - self._reported < pause:
            return
        self._obstacle, self._reported = obstacle, now
        words = f"waiting for {self._client.model} at {self._client.target}: {obstacle}"
        print(f"{words}, {now - self._began:.0f} s", file=sys.stderr, flush=True)

    def check_process(self, obstacle: str = "") -> None:
        """Raise ServerUnavailable if the server's process has ended."""
        if self._pid is None or is_running(self._pid):
            return
        last = f" (last: {obstacle})" if obstacle else ""
        raise ServerUnavailable(
            f"The server's process has ended, and {self._client.model} at {self._client.target} "
            f"is waited for no longer. No process {self._pid} is running{last}. Look at what it "
            "printed last, and start it again."
        )


def is_running(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Without /proc a zombie counts as running.
        return True
    # The name in parentheses may hold any character.
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")

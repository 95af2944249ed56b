"""The verb `wait`: until the model answers, or the server's process has ended."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from serving.client.client import Client
from serving.client.errors import InvalidRequest, ServerUnavailable

# Between two lines: of the same obstacle, and of another one.
SAME_SECONDS, OTHER_SECONDS = 5.0, 1.0


def wait(client: Client, arguments: argparse.Namespace) -> None:
    """Return once the model answers; until then a line every few seconds says what is missing."""
    waiting = Waiting(client, arguments.pid)
    client.wait_until_ready(arguments.wait_seconds, waiting.report)
    # Another server may have answered at this address.
    waiting.refuse_ended()


class Waiting:
    """What is waited for, on standard error; pid: of the server's process, where that is known."""

    def __init__(self, client: Client, pid: int | None):
        self._client, self._pid = client, pid
        self._began = self._reported = time.monotonic()
        self._obstacle = ""
        if pid is not None and os.name == "nt":
            raise InvalidRequest(
                f"Processes can be watched on Linux and macOS only. --pid is {pid}. Leave it out."
            )
        self.refuse_ended()

    def report(self, obstacle: str) -> None:
        """Print the obstacle when a line is due. Raises ServerUnavailable for an ended process."""
        self.refuse_ended(obstacle)
        now = time.monotonic()
        pause = SAME_SECONDS if obstacle == self._obstacle else OTHER_SECONDS
        if now - self._reported < pause:
            return
        self._obstacle, self._reported = obstacle, now
        words = f"waiting for {self._client.model} at {self._client.target}: {obstacle}"
        print(f"{words}, {now - self._began:.0f} s", file=sys.stderr, flush=True)

    def refuse_ended(self, obstacle: str = "") -> None:
        """Raise ServerUnavailable where the server's process has ended."""
        if self._pid is None or is_running(self._pid):
            return
        last = f" (last: {obstacle})" if obstacle else ""
        raise ServerUnavailable(
            f"The server's process has ended, and {self._client.model} at {self._client.target} "
            f"is waited for no longer. No process {self._pid} is running{last}. Look at what it "
            "printed last, and start it again."
        )


def is_running(pid: int) -> bool:
    """Whether the process is there and has not ended; one that has waits for its parent's look."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Without /proc a process that has ended counts until its parent has looked.
        return True
    # The name in parentheses may hold any character.
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")

"""Servers in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support import commands
from tfpipe.fork_server import Process, Streams


@contextmanager
def served(
    *flags: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run `python -m serving.server` with these flags on a free port; yields host:port.

    env: the whole environment; with it, the process imports its libraries itself.
    """
    arguments = ("serving.server", "--port=0", *flags)
    with ExitStack() as opened:
        server: Process
        if env is None:
            streams = Streams(stdout=subprocess.PIPE)
            folder = cwd or commands.ROOT
            server = opened.enter_context(commands.start(*arguments, cwd=folder, streams=streams))
        else:
            command = [sys.executable, "-m", *arguments]
            server = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            yield f"localhost:{server.stdout.readline().rsplit(':', 1)[1].split()[0]}"
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0

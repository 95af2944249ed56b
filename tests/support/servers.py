"""Servers in processes of their own, begun as users do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(
    *flags: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run `python -m serving.server` with these flags on a free port; yields host:port."""
    command = [sys.executable, "-m", "serving.server", "--port=0", *flags]
    server = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"localhost:{server.stdout.readline().rsplit(':', 1)[1].split()[0]}"
    finally:
        server.terminate()
        assert server.wait(timeout=60) == 0

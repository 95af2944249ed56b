"""Commands of the project in processes of their own that need not import their libraries.

They are forked from a process with the imports done, one for all tests of a process, and differ
from `python -m` in that alone; so do the trials that a search starts.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from tfpipe import fork_server

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "tfpipe.training_run",
    "tfpipe.dry_run",
    "tfpipe.exporting.saved_model",
    "tfpipe.exporting.verify_export",
    "tfpipe.predicting.pipeline",
    "serving.client",
    "serving.server.application",
    "tuning.study_runner",
    "tuning.worker",
)
FORKED_SEARCH = Path(__file__).with_name("forked_search.py")
OUTPUTS = fork_server.Streams(stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@functools.cache
def prepare() -> None:
    """Begin the imports; trainings that tests start as trials are forked from this process, too."""
    server = fork_server.prepare(IMPORTED)
    if server is not None:
        fork_server._servers[fork_server.TRAINING] = server


@contextmanager
def start(
    module: str,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    streams: fork_server.Streams = OUTPUTS,
) -> Iterator[fork_server.Process]:
    """`python -m module arguments`, with pipes from its outputs; killed at the end of the block.

    env: variables beside those of this process.
    """
    prepare()
    begin = [str(FORKED_SEARCH)] if module == "tuning.search" else ["-m"]
    words = [*begin, module, *map(str, arguments)]
    process = fork_server.start(words, IMPORTED, streams, env, folder=cwd)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def run(
    module: str,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    input: str = "",
    status: int = 0,
) -> subprocess.CompletedProcess[str]:
    """`python -m module arguments`, which must end with this status."""
    with ExitStack() as opened:
        stdin, stdout, stderr = files = [
            opened.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in range(3)
        ]
        stdin.write(input)
        stdin.seek(0)
        streams = fork_server.Streams(*files)
        process = opened.enter_context(start(module, *arguments, env=env, cwd=cwd, streams=streams))
        code = process.wait(600)
        for file in (stdout, stderr):
            file.seek(0)
        done = subprocess.CompletedProcess([module, *arguments], code, stdout.read(), stderr.read())
    assert code == status, done.stderr
    return done


def read_until(stream: IO[str] | None, part: str) -> str:
    """Read a process's output to the first line that contains this; returns the line."""
    assert stream
    lines = []
    for line in stream:
        if part in line:
            return line
        lines.append(line)
    raise AssertionError("".join(lines))


def finish(process: fork_server.Process, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a process, and read what it has still written; kill it after a time."""
    limit = threading.Timer(seconds, process.kill)
    limit.start()
    out, errors = process.communicate()
    limit.cancel()
    assert process.returncode is not None
    return subprocess.CompletedProcess([], process.returncode, out or "", errors or "")

"""Python commands in processes that are forked from one with the large imports done.

Importing TensorFlow takes seconds of CPU time, and a command that trains imports as much again. A
process that is forked after the imports starts at once, and differs from a new one in that alone.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from tfpipe.fork_server_worker import PID_BYTES
from tfpipe.subprocesses import bound

WORKER = Path(__file__).with_name("fork_server_worker.py")
# What is imported before a command is forked; the graph of an export needs no Keras, which
# TensorFlow imports where it finds it.
TENSORFLOW = ("-keras", "-tf_keras", "tensorflow")
TRAINING = ("tfpipe.training_run",)

Stream: TypeAlias = "int | IO[Any] | None"


@dataclass(frozen=True)
class Streams:
    """Standard streams of a process, as subprocess.Popen takes them.

    Attributes:
        stdin: Standard input; `subprocess.PIPE` for a pipe.
        stdout: Standard output; `subprocess.PIPE` for a pipe.
        stderr: Standard error; `subprocess.PIPE` for a pipe.
    """

    stdin: Stream = subprocess.DEVNULL
    stdout: Stream = None
    stderr: Stream = None


NO_INPUT = Streams()


class ForkedProcess:
    """A process that a fork server started, with a part of subprocess.Popen's interface.

    Args:
        pid: Number of the process.
        status: Descriptor from which its exit status is read.
        stdin: Descriptor of a pipe to its standard input, if there is one.
        stdout: Descriptor of a pipe from its standard output, if there is one.
        stderr: Descriptor of a pipe from its standard error, if there is one.

    Attributes:
        pid: Number of the process.
        stdin: Text stream to its standard input, or None.
        stdout: Text stream from its standard output, or None.
        stderr: Text stream from its standard error, or None.
        returncode: Exit status, negative for a signal; None before `poll` or `wait` found its end.
    """

    def __init__(
        self, pid: int, status: int, stdin: int | None, stdout: int | None, stderr: int | None
    ):
        self.pid, self._status = pid, status
        self.stdin = None if stdin is None else os.fdopen(stdin, "w")
        self.stdout, self.stderr = (
            None if stream is None else os.fdopen(stream, errors="replace")
            for stream in (stdout, stderr)
        )
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status; None while the process runs."""
        return self._read_status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process and return its exit status.

        Raises:
            subprocess.TimeoutExpired: It still runs after `timeout` seconds.
        """
        code = self._read_status(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless the process has ended."""
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[str | None, str | None]:
        """Close standard input, read both outputs to their ends and wait for the process."""
        if self.stdin:
            self.stdin.close()
        with ThreadPoolExecutor(2) as readers:
            out, errors = readers.map(_read_and_close, (self.stdout, self.stderr))
        self.wait()
        return out, errors

    def _read_status(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            # No status: the server was killed, and the process with it.
            self.returncode = int(os.read(self._status, 16) or -signal.SIGKILL)
            os.close(self._status)
        return self.returncode


Process: TypeAlias = "subprocess.Popen[str] | ForkedProcess"


class ForkServer:
    """A process that imports modules and forks others; see fork_server_worker.

    Args:
        modules: Names of the modules.
    """

    def __init__(self, modules: Sequence[str]):
        self._channel, other = socket.socketpair()
        self._lock = threading.Lock()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKER), str(other.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )
        atexit.register(self.close)

    def start(self, request: Mapping[str, Any], streams: Streams) -> ForkedProcess:
        """Fork a process.

        Args:
            request: Its arguments, environment, folder and new_session.
            streams: Its standard streams.

        Raises:
            OSError: The server has ended.
        """
        status, written = os.pipe()
        with ExitStack() as passed:
            passed.callback(os.close, written)
            file = passed.enter_context(tempfile.TemporaryFile("w+"))
            json.dump(request, file)
            file.seek(0)
            stdin, given = _open_stream(passed, streams.stdin, 0)
            stdout, taken = _open_stream(passed, streams.stdout, 1)
            stderr, errors = _open_stream(passed, streams.stderr, 2)
            with self._lock:
                descriptors = [file.fileno(), given, taken, errors, written]
                socket.send_fds(self._channel, [b"."], descriptors)
                answer = self._channel.recv(PID_BYTES)
            if not answer:
                raise ConnectionResetError("the fork server has ended")
        return ForkedProcess(int.from_bytes(answer, "little"), status, stdin, stdout, stderr)

    def close(self) -> None:
        """End the server and the processes that it started."""
        self._process.kill()
        self._process.wait()
        self._channel.close()


_servers: dict[tuple[str, ...], ForkServer] = {}
_lock = threading.Lock()


def prepare(modules: tuple[str, ...]) -> ForkServer | None:
    """Begin to import the modules, so that the first command need not wait for it.

    Returns:
        The fork server, the same for the same modules; None where none is used: without modules,
        elsewhere than on Linux, and beside an NVIDIA driver, whose state a fork must not copy.
    """
    if not modules or sys.platform != "linux" or Path("/proc/driver/nvidia").exists():
        return None
    with _lock:
        if modules not in _servers:
            _servers[modules] = ForkServer(modules)
        return _servers[modules]


def start(
    arguments: Sequence[str],
    modules: tuple[str, ...],
    streams: Streams = NO_INPUT,
    environment: Mapping[str, str] | None = None,
    new_session: bool = False,
    folder: Path | None = None,
) -> Process:
    """Start a Python command in a process that ends with this one.

    Args:
        arguments: Those of `python`: the path of a file, or `-m` and a module, then its own.
        modules: What is imported before the fork: TENSORFLOW, TRAINING or () for a new process.
        streams: Its standard streams.
        environment: Variables beside those of this process.
        new_session: Whether it is kept from Ctrl-C on the terminal of this process.
        folder: Its working folder; None for that of this process.
    """
    variables = os.environ | dict(environment or {})
    server = prepare(modules)
    if server is not None:
        request = {
            "arguments": list(arguments),
            "environment": variables,
            "folder": str(folder or Path.cwd()),
            "new_session": new_session,
        }
        # Where an import failed there, a new process fails with the message.
        with suppress(OSError):
            return server.start(request, streams)
    return subprocess.Popen(
        bound([sys.executable, *arguments]),
        stdin=streams.stdin,
        stdout=streams.stdout,
        stderr=streams.stderr,
        cwd=folder,
        env=variables,
        text=True,
        errors="replace",
        start_new_session=new_session,
    )


def run(
    arguments: Sequence[str],
    modules: tuple[str, ...],
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a Python command as `start` does; return its exit status and what it wrote."""
    with ExitStack() as files:
        stdout, stderr = (
            files.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in range(2)
        )
        streams = Streams(stdout=stdout, stderr=stderr)
        code = start(arguments, modules, streams, environment).wait()
        for file in (stdout, stderr):
            file.seek(0)
        return subprocess.CompletedProcess(list(arguments), code, stdout.read(), stderr.read())


def _read_and_close(stream: IO[str] | None) -> str | None:
    if stream is None:
        return None
    with stream:
        return stream.read()


def _open_stream(passed: ExitStack, stream: Stream, number: int) -> tuple[int | None, int]:
    """Return this process's end of a pipe, or None, and the started process's descriptor.

    `passed` closes what was opened for that process.
    """
    if stream == subprocess.PIPE:
        ends = os.pipe()
        ours, theirs = ends[::-1] if number == 0 else ends
        passed.callback(os.close, theirs)
        return ours, theirs
    if stream == subprocess.DEVNULL:
        return None, passed.enter_context(Path(os.devnull).open("r+")).fileno()
    if stream is None:
        return None, number
    return None, stream if isinstance(stream, int) else stream.fileno()

"""Process that imports modules once and forks a process for each request.

usage: python fork_server_worker.py SOCKET MODULE...

A MODULE with a minus sign before its name is taken for not installed by the imports of the others.
SOCKET is the number of an open Unix socket. A request is one byte with five file descriptors: a
file with {"arguments", "environment", "folder", "new_session"} as JSON, standard input, standard
output, standard error, and a pipe to which the exit status is written. The answer is the forked
process's number, 8 bytes. The process ends with the other end of the socket, and the processes
that it forked end with it. Run by path, so that it imports the named modules alone.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PID_BYTES = 8


def serve(channel: socket.socket) -> dict[str, Any]:
    """Fork a process for each request; returns the request in the forked process."""
    running: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd in running:
                    selector.unregister(key.fd)
                    report_end(key.fd, *running.pop(key.fd))
                    continue
                byte, descriptors, _, _ = socket.recv_fds(channel, 1, 5)
                if not byte:
                    sys.exit()
                file, *streams, status = descriptors
                server, pid = os.getpid(), os.fork()
                if not pid:
                    for descriptor in (status, *running, *(end for _, end in running.values())):
                        os.close(descriptor)
                    channel.close()
                    become(server, streams)
                    with os.fdopen(file, "rb") as request:
                        found: dict[str, Any] = json.load(request)
                    return found
                for descriptor in (file, *streams):
                    os.close(descriptor)
                handle = os.pidfd_open(pid)
                running[handle] = pid, status
                selector.register(handle, selectors.EVENT_READ)
                channel.sendall(pid.to_bytes(PID_BYTES, "little"))


def report_end(handle: int, pid: int, status: int) -> None:
    """Write the exit status of a process that has ended."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(handle)
    with suppress(BrokenPipeError):
        os.write(status, str(code).encode())
    os.close(status)


def become(server: int, streams: list[int]) -> None:
    """Make the forked process end with its server, and take its own standard streams."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != server:
        sys.exit("the process that started this one has ended")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)


def run(request: dict[str, Any]) -> None:
    """Run a module (-m NAME ...) or a file (PATH ...) as `python` does."""
    if request["new_session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    if "numpy" in sys.modules:
        # Else all processes draw the numbers that its generator has after the import.
        sys.modules["numpy"].random.seed()
    first, *rest = request["arguments"]
    if first == "-m":
        sys.argv, sys.path[0] = rest, str(Path.cwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = [first, *rest], str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


def main(channel: str, *modules: str) -> None:
    """Import the modules, then serve requests."""
    # Ctrl-C on a terminal is for the processes that it forked, and for the one it serves.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[0] = str(Path.cwd())
    hidden = [name[1:] for name in modules if name.startswith("-")]
    # Python's documented way to prevent an import is None in place of the module.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    # There is no garbage in what is imported, and what is never moved stays shared after a fork.
    gc.disable()
    for module in modules:
        if not module.startswith("-"):
            importlib.import_module(module)
    gc.freeze()
    gc.enable()
    for name in hidden:
        del sys.modules[name]
    # TensorFlow's import leaves an idle thread; Python 3.12 warns of a fork beside any thread.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    run(serve(socket.socket(fileno=int(channel))))


if __name__ == "__main__":
    main(*sys.argv[1:])

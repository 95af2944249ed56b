"""`python -m tfpipe.launch`: train in several processes on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from types import FrameType
from typing import IO, Any

from tfpipe.cli import parse, parser_for, run, say
from tfpipe.config import LaunchConfig, TrainConfig
from tfpipe.errors import UserError, raise_all
from tfpipe.subprocesses import bound
from tfpipe.training.local_cluster import count_gpus, plan_processes, share_gpus

ABOUT = """Train in several processes on this machine, with free ports and prefixed logs.
Workers share each step; with --servers a chief coordinates workers that run asynchronously.
If one process fails, all are ended; Ctrl-C and SIGTERM are sent to all."""
EXAMPLE = "python -m tfpipe.launch --workers 2 -- --train train.tsv --output runs/support"
LAST_LINES = 8  # of a failed process that are repeated
TRAINING = {field.name for field in fields(TrainConfig)} - {f.name for f in fields(LaunchConfig)}


class Member:
    """One process of the training, whose standard error is printed line by line.

    It ends with the thread that started it, on Linux even where that is killed.

    Attributes:
        name: Name of the process, the prefix of its lines.
        is_chief: Whether its standard output is printed.
        last_lines: The last lines of its standard error.
    """

    def __init__(self, name: str, is_chief: bool, command: list[str], environment: dict):
        """Start the process; `environment` is added to that of this process."""
        self.name, self.is_chief = name, is_chief
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._process = subprocess.Popen(
            bound(command),
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            # Only the chief prints results.
            stdout=None if is_chief else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # The process has the environment of this one, and so the encoding.
            encoding=sys.stderr.encoding,
            errors="replace",
            # Ctrl-C on a terminal reaches this process, which forwards it.
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._forward, args=(self._process.stderr,))
        self._reader.start()

    def _forward(self, stream: IO[str]) -> None:
        for line in stream:
            self.last_lines.append(line.rstrip("\n"))
            # Where standard error is closed, the pipe is still read: else the process blocks.
            with suppress(OSError):
                say(f"[{self.name}] {line.rstrip()}")

    @property
    def status(self) -> int | None:
        """The exit status as in a shell, None while the process runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def send(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def end(self, seconds: float) -> None:
        """Send SIGTERM, and SIGKILL when the process has not ended after so many seconds."""
        self.send(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Wait until its last lines are printed."""
        self._reader.join(timeout=5)


class SignalForwarder:
    """Forwards SIGINT and SIGTERM to the processes; the third signal kills them."""

    def __init__(self, members: Sequence[Member], chief_only: bool):
        """Create the handler; it is installed within a `with` block.

        Args:
            members: The processes, a list that may grow.
            chief_only: Whether only the first of them gets the signals.
        """
        self._members, self._chief_only, self._count = members, chief_only, 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> SignalForwarder:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._forward)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def received(self) -> bool:
        """Whether a signal was received."""
        return self._count > 0

    def _forward(self, number: int, _: FrameType | None) -> None:
        self._count += 1
        for member in self._members[:1] if self._chief_only else self._members:
            member.send(number if self._count < 3 else signal.SIGKILL)


def launch(config: LaunchConfig, arguments: Sequence[str]) -> int:
    """Train in several processes.

    Args:
        config: The number of processes.
        arguments: Of `tfpipe.train`, the same for all.

    Returns:
        The exit status of the first process that failed, else that of the chief.

    Raises:
        UserError: The arguments are invalid, or there are fewer GPUs than workers.
    """
    check_arguments(config, arguments)
    return run_members(config, [sys.executable, "-m", "tfpipe.train", *arguments])


def run_members(config: LaunchConfig, command: list[str]) -> int:
    """Run the command in every process of the cluster; returns the exit status like `launch`."""
    processes = plan_processes(config.workers, config.servers)
    shares = share_gpus([name for name, _ in processes], count_gpus())
    members: list[Member] = []
    try:
        # Installed before the first process starts, so that it also gets an early signal. Servers
        # and their workers get none: the chief ends its step, and they end with it.
        with SignalForwarder(members, chief_only=config.servers > 0) as signals:
            for (name, tf_config), share in zip(processes, shares, strict=True):
                environment = {"TF_CONFIG": json.dumps(tf_config)} | share
                members.append(Member(name, not members, command, environment))
                if signals.received:
                    members[-1].send(signal.SIGTERM)
            return _watch(members, signals, config)
    finally:
        for member in members:
            member.end(0)
        for member in members:
            member.close()


def _watch(members: list[Member], signals: SignalForwarder, config: LaunchConfig) -> int:
    chief = members[0]
    while True:
        ended = [member for member in members if member.status is not None]
        failed = [member for member in ended if member.status]
        if failed and not signals.received:
            # Status 2, a user's mistake, is the cause of the other failures at the same time.
            first = min(failed, key=lambda member: member.status != 2)
            for member in members:
                if member is not first:
                    # The others wait for the failed process and cannot end a step.
                    member.send(signal.SIGTERM)
            first.close()
            status = first.status or 0
            lines = "\n".join(f"  {line}" for line in first.last_lines)
            say(f"launch: {first.name} ended with status {status}, so all were ended:\n{lines}")
            _end_all(members, min(3, config.grace))
            return status
        if chief.status is not None and (config.servers or len(ended) == len(members)):
            return chief.status
        if chief.status is not None or (signals.received and ended):
            # The others get time to save their state.
            _await_all(members, config.grace)
            _end_all(members, 1)
            return chief.status or 0
        time.sleep(0.05)


def _await_all(members: list[Member], seconds: float) -> None:
    until = time.monotonic() + seconds
    while any(member.status is None for member in members) and time.monotonic() < until:
        time.sleep(0.05)


def _end_all(members: list[Member], seconds: float) -> None:
    until = time.monotonic() + seconds
    for member in members:
        member.end(max(0.0, until - time.monotonic()))


def check_arguments(config: LaunchConfig, arguments: Sequence[str]) -> None:
    """Check the arguments of `tfpipe.train` before any process starts; raises UserError."""
    parser = parser_for(TrainConfig, "tfpipe.train", "", "")
    training: TrainConfig = parse(parser, TrainConfig, arguments)
    wanted = "parameter_server" if config.servers else "multi_worker"
    errors = []
    if training.strategy not in ("auto", wanted):
        errors.append(
            UserError(
                f"these processes train with --strategy {wanted}",
                f"--strategy {training.strategy} after --",
                "leave it out, or start tfpipe.train itself; --servers 1 for parameter_server",
            )
        )
    if training.workers is not None or training.worker_index is not None:
        errors.append(
            UserError(
                "tfpipe.launch sets the addresses",
                "--workers or --worker-index after --",
                "give the number of workers before --",
            )
        )
    if "TF_CONFIG" in os.environ:
        errors.append(
            UserError(
                "TF_CONFIG is already set",
                "TF_CONFIG in the environment",
                "start tfpipe.train in every process of that cluster, or unset TF_CONFIG",
            )
        )
    raise_all(errors)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = parser_for(LaunchConfig, "tfpipe.launch", ABOUT, EXAMPLE)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    status = 0

    def command() -> None:
        nonlocal status
        given = [name.partition("=")[0] for name in arguments[:split]]
        early = [flag for flag in given if flag[2:].replace("-", "_") in TRAINING]
        if early:
            raise UserError(
                "options of tfpipe.train must follow --",
                ", ".join(early),
                f"type: {EXAMPLE}",
            )
        config = parse(parser, LaunchConfig, arguments[:split])
        status = launch(config, arguments[split + 1 :])

    return run(command) or status


if __name__ == "__main__":
    sys.exit(main())

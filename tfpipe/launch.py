"""`python -m tfpipe.launch`: one training in several processes on this machine."""

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
Workers share each step; with --servers a chief coordinates workers that step on their own.
One process that fails ends all, with its reason; Ctrl-C and SIGTERM reach all."""
EXAMPLE = "python -m tfpipe.launch --workers 2 -- --train train.tsv --output runs/support"
LAST_WORDS = 8
TRAINING = {field.name for field in fields(TrainConfig)} - {f.name for f in fields(LaunchConfig)}


class Member:
    """One process of the training, whose standard error is passed on line by line.

    It does not outlive the thread that started it, on Linux even where that is killed.
    """

    def __init__(self, name: str, is_chief: bool, command: list[str], environment: dict):
        self.name, self.is_chief = name, is_chief
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._process = subprocess.Popen(
            bound(command),
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            # Results are the chief's alone.
            stdout=None if is_chief else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # A terminal's Ctrl-C comes to this process, which passes it on.
            start_new_session=True,
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._pass_on, args=(self._process.stderr,))
        self._reader.start()

    def _pass_on(self, stream: IO[str]) -> None:
        for line in stream:
            self.last_words.append(line.rstrip("\n"))
            # Where our own reader went away, the process must not wait for us to read.
            with suppress(OSError):
                say(f"[{self.name}] {line.rstrip()}")

    @property
    def status(self) -> int | None:
        """The exit status as a shell tells it, None while the process runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def send(self, number: int) -> None:
        """Send a signal, if there is somebody to get it."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def end(self, seconds: float) -> None:
        """Ask the process to end, and kill it when it has not after so many seconds."""
        self.send(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Wait for the last of its lines."""
        self._reader.join(timeout=5)


class Signals:
    """Passes SIGINT and SIGTERM on to members; the third one kills them.

    members: a list that may grow; chief_alone: whether only the first of them is told.
    """

    def __init__(self, members: Sequence[Member], chief_alone: bool):
        self._members, self._chief_alone, self._count = members, chief_alone, 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def came(self) -> bool:
        """Whether the user asked for an end."""
        return self._count > 0

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._count += 1
        for member in self._members[:1] if self._chief_alone else self._members:
            member.send(number if self._count < 3 else signal.SIGKILL)


def launch(config: LaunchConfig, arguments: Sequence[str]) -> int:
    """Train in several processes; returns the exit status: the first failure's, else the chief's.

    arguments: of `tfpipe.train`, the same for all. Raises UserError for what they cannot be, and
    for fewer GPUs than processes where there are GPUs at all.
    """
    check_arguments(config, arguments)
    return run_members(config, [sys.executable, "-m", "tfpipe.train", *arguments])


def run_members(config: LaunchConfig, command: list[str]) -> int:
    """Run the command as every process of the cluster; returns the exit status as `launch` does."""
    places = plan_processes(config.workers, config.servers)
    shares = share_gpus([name for name, _ in places], count_gpus())
    members: list[Member] = []
    try:
        # Before the first one starts: a signal that comes meanwhile is theirs, too. Servers and
        # their workers take no steps: the chief ends its step, and they end with it.
        with Signals(members, chief_alone=config.servers > 0) as signals:
            for (name, place), share in zip(places, shares, strict=True):
                environment = {"TF_CONFIG": json.dumps(place)} | share
                members.append(Member(name, not members, command, environment))
                if signals.came:
                    members[-1].send(signal.SIGTERM)
            return _watch(members, signals, config)
    finally:
        for member in members:
            member.end(0)
        for member in members:
            member.close()


def _watch(members: list[Member], signals: Signals, config: LaunchConfig) -> int:
    chief = members[0]
    while True:
        ended = [member for member in members if member.status is not None]
        failed = [member for member in ended if member.status]
        if failed and not signals.came:
            # A user's mistake is the cause of what befell the others in the same moment.
            first = min(failed, key=lambda member: member.status != 2)
            for member in members:
                if member is not first:
                    # They wait for somebody who is gone, and could not end a step any more.
                    member.send(signal.SIGTERM)
            first.close()
            status = first.status or 0
            words = "\n".join(f"  {line}" for line in first.last_words)
            say(f"launch: {first.name} ended with status {status}, so all were ended:\n{words}")
            _end_all(members, min(3, config.grace))
            return status
        if chief.status is not None and (config.servers or len(ended) == len(members)):
            return chief.status
        if chief.status is not None or (signals.came and ended):
            # Whoever is done waits for nobody; whoever is not gets its time to save.
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
    """Raise the UserError that every process would raise, before there are any."""
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
                "the launcher chooses the addresses",
                "--workers or --worker-index after --",
                "give the number of workers before --",
            )
        )
    if "TF_CONFIG" in os.environ:
        errors.append(
            UserError(
                "there is a cluster already",
                "TF_CONFIG in the environment",
                "start tfpipe.train itself in every process of it, or unset TF_CONFIG",
            )
        )
    raise_all(errors)


def main(arguments: Sequence[str] | None = None) -> int:
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
                "options of tfpipe.train come after --",
                ", ".join(early),
                f"type: {EXAMPLE}",
            )
        config = parse(parser, LaunchConfig, arguments[:split])
        status = launch(config, arguments[split + 1 :])

    return run(command) or status


if __name__ == "__main__":
    sys.exit(main())

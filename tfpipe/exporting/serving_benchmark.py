"""The flags that serve an export fastest on this machine, measured and written beside it."""

from __future__ import annotations

import base64
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfpipe.data.read_examples import Examples
from tfpipe.exporting.clean_process import batches_of
from tfpipe.subprocesses import bound
from tfpipe.tasks.task import Task

UNDER_LOAD = Path(__file__).with_name("serving_benchmark_worker.py")
TEXTS = 32
MIN_TEXTS = 8
LEAST_SECONDS = 0.1  # of a load in a round
LEAST_ROUNDS, MOST_ROUNDS, ROUNDS_SECONDS = 3, 5, 12.0

# The rule. Ratios are of the same round, for a busy moment meets all of it; what is taken must be
# better in every round. Threads: the most texts/s of requests with one text from several clients,
# where that is over 5 % more than TensorFlow's own choice gives (less is noise) and a lone request
# takes at most 10 % longer. Batching: where batches of 8 give over 1.2 times as many texts/s as
# those clients get one by one, for a request waits longer in a batch; of 32, where that is over
# 5 % more again. TensorFlow's threads between operations stay: with fewer, requests wait in turn.
NOISE, SLOWER, PAYS = 1.05, 1.10, 1.2
LONE, BUSY, SMALL, LARGE = range(4)
SMALL_BATCH, LARGE_BATCH = 8, 32


@dataclass(frozen=True)
class Measurements:
    """What was measured.

    threads: within an operation, S settings, TensorFlow's choice (0) first; loads: (rows, clients)
    of LONE, BUSY, SMALL and LARGE; found: float [S, rounds, loads, 2], texts/s and ms of a request.
    """

    processor: str
    cores: int
    gpus: Sequence[str]
    threads: Sequence[int]
    loads: Sequence[tuple[int, int]]
    found: np.ndarray

    def medians(self) -> np.ndarray:
        """Float [S, loads, 2]."""
        return np.median(self.found, axis=1)


@dataclass(frozen=True)
class Recommendation:
    """The setting that is recommended; batch: the most rows of a batch, 0 without batching."""

    setting: int
    batch: int


def measure(
    export: Path, task: Task, dev: Examples, seconds: float = ROUNDS_SECONDS
) -> Measurements:
    """Play clients to an export, in a fresh process for each setting; these take turns.

    seconds: after which no new round begins. Raises RuntimeError where a process fails.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    threads = [0, *sorted({1, 2, cores // 2} - {0, cores})] if cores > 1 else [0]
    loads = [(1, 1), (1, 2 * cores), (SMALL_BATCH, cores), (LARGE_BATCH, cores)]
    # In no order: a batch holds what comes at the same time, not what is alike.
    rows = random.Random(0).sample(range(len(dev)), min(TEXTS, len(dev)))
    (columns,) = batches_of(dev.take(np.resize(rows, TEXTS).tolist()), task)
    plan = {
        "columns": {
            name: [base64.b64encode(text).decode() for text in texts]
            for name, texts in columns.items()
        },
        "loads": loads,
        "seconds": LEAST_SECONDS,
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        players = [stack.enter_context(_start(export, folder, number)) for number in threads]
        gpus = [player.read()["gpus"] for player in players][0]
        rounds: list[Any] = []
        began = time.perf_counter()
        while len(rounds) < LEAST_ROUNDS or (
            len(rounds) < MOST_ROUNDS and time.perf_counter() - began < seconds
        ):
            rounds.append([player.play() for player in players])
    found = np.array(rounds, float).swapaxes(0, 1)
    return Measurements(_name_processor(), cores, gpus, threads, loads, found)


def recommend(figures: Measurements) -> Recommendation:
    """What the rule above makes of the figures."""
    rate, wait = figures.found[..., 0], figures.found[..., 1]
    gain = rate[:, :, BUSY] / rate[0, :, BUSY]
    slower = np.median(wait[:, :, LONE] / wait[0, :, LONE], axis=1)
    better = _is_over(gain, NOISE) & (slower <= SLOWER)
    setting = int(np.argmax(np.where(better, np.median(gain, axis=1), 1.0)))
    chosen = rate[setting]
    if not _is_over(chosen[:, SMALL] / chosen[:, BUSY], PAYS):
        return Recommendation(setting, 0)
    larger = _is_over(chosen[:, LARGE] / chosen[:, SMALL], NOISE)
    return Recommendation(setting, LARGE_BATCH if larger else SMALL_BATCH)


def _is_over(ratios: np.ndarray, bound_: float) -> np.ndarray:
    """Whether the ratios of the rounds, the last axis, are over a bound and none is below 1."""
    return (np.median(ratios, axis=-1) > bound_) & (ratios.min(axis=-1) > 1)


class _Player:
    """A process that plays clients to the export with one setting."""

    def __init__(self, process: subprocess.Popen[str], said: IO[str]):
        self._process, self._said = process, said

    def play(self) -> list[list[float]]:
        """[texts/s, ms] of each load."""
        assert self._process.stdin is not None
        # Where it is gone there is nothing to read either, which says more.
        with suppress(BrokenPipeError):
            print("play", file=self._process.stdin, flush=True)
        return self.read()

    def read(self) -> Any:
        """The next line's content; raises RuntimeError with what the process said at its end."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        status = self._process.wait()
        self._said.seek(0)
        raise RuntimeError(
            f"serving could not be measured (--no-measure-serving leaves that out): the process"
            f" ended with status {status}\n{self._said.read()}"
        )


@contextmanager
def _start(export: Path, folder: Path, threads: int) -> Iterator[_Player]:
    plan = str(folder / "plan.json")
    command = [sys.executable, str(UNDER_LOAD), str(export), plan, str(threads)]
    with (folder / f"said-{threads}").open("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            bound(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        )
        try:
            yield _Player(process, said)
        finally:
            # It keeps nothing.
            process.kill()
            process.communicate()


def _name_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())

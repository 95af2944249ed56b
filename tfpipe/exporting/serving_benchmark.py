"""Benchmark of an export under load, and the recommended server settings."""

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

from tfpipe import fork_server
from tfpipe.data.examples import Examples
from tfpipe.exporting.clean_process import TakesTexts, batches_of

WORKER = Path(__file__).with_name("serving_benchmark_worker.py")
TEXTS = 32
MIN_TEXTS = 8
MIN_SECONDS = 0.1  # of a load in a round
MIN_ROUNDS, MAX_ROUNDS, ROUNDS_SECONDS = 3, 5, 4.0

# The rule. Ratios are of the same round, because other load affects all of a round; a
# setting must be better in every round. Threads: the number with the most texts/s of requests with
# one text from several clients, if that is over 5 % more than TensorFlow's default (less is noise)
# and a single request takes at most 10 % longer. Batching: if batches of 8 give over 1.2 times as
# many texts/s as those clients get without, for a request waits longer in a batch; of 32, if that
# is over 5 % more again. Threads between operations stay: with fewer, requests queue.
NOISE, SLOWER, PAYS = 1.05, 1.10, 1.2
LONE, BUSY, SMALL, LARGE = range(4)
SMALL_BATCH, LARGE_BATCH = 8, 32


@dataclass(frozen=True)
class Measurements:
    """Measurements of S settings.

    Attributes:
        processor: Its name.
        cores: Number of usable cores.
        gpus: Names.
        threads: Threads within an operation, of each setting; TensorFlow's default (0) first.
        loads: (rows, clients) of LONE, BUSY, SMALL and LARGE.
        found: float [S, rounds, loads, 2], texts/s and ms of a request.
    """

    processor: str
    cores: int
    gpus: Sequence[str]
    threads: Sequence[int]
    loads: Sequence[tuple[int, int]]
    found: np.ndarray

    def medians(self) -> np.ndarray:
        """Return the medians over the rounds, float [S, loads, 2]."""
        return np.median(self.found, axis=1)


@dataclass(frozen=True)
class Recommendation:
    """The recommended setting.

    Attributes:
        setting: Its index in Measurements.threads.
        batch: Rows of a batch at most; 0 without batching.
    """

    setting: int
    batch: int


def measure(
    export: Path, task: TakesTexts, dev: Examples, seconds: float = ROUNDS_SECONDS
) -> Measurements:
    """Send requests of concurrent clients to an export, in one process for each setting in turn.

    Args:
        export: The SavedModel's folder.
        task: Its task, or what has its inputs.
        dev: Texts of the requests.
        seconds: No new round begins after this time.

    Raises:
        RuntimeError: A process fails.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    threads = [0, *sorted({1, 2, cores // 2} - {0, cores})] if cores > 1 else [0]
    loads = [(1, 1), (1, 2 * cores), (SMALL_BATCH, cores), (LARGE_BATCH, cores)]
    # In random order: a batch has concurrent requests, not similar ones.
    rows = random.Random(0).sample(range(len(dev)), min(TEXTS, len(dev)))
    (columns,) = batches_of(dev.take(np.resize(rows, TEXTS).tolist()), task)
    plan = {
        "columns": {
            name: [base64.b64encode(text).decode() for text in texts]
            for name, texts in columns.items()
        },
        "loads": loads,
        "seconds": MIN_SECONDS,
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        workers = [stack.enter_context(_start(export, folder, number)) for number in threads]
        gpus = [worker.read()["gpus"] for worker in workers][0]
        rounds: list[Any] = []
        began = time.perf_counter()
        while len(rounds) < MIN_ROUNDS or (
            len(rounds) < MAX_ROUNDS and time.perf_counter() - began < seconds
        ):
            rounds.append([worker.run_round() for worker in workers])
    found = np.array(rounds, float).swapaxes(0, 1)
    return Measurements(_name_processor(), cores, gpus, threads, loads, found)


def recommend(measured: Measurements) -> Recommendation:
    """Apply the rule above to the measurements."""
    rate, wait = measured.found[..., 0], measured.found[..., 1]
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
    """Return whether the rounds' median ratio (last axis) exceeds a bound, and all exceed 1."""
    return (np.median(ratios, axis=-1) > bound_) & (ratios.min(axis=-1) > 1)


class _Worker:
    """A process that sends requests to the export with one setting."""

    def __init__(self, process: fork_server.Process, stderr: IO[str]):
        self._process, self._stderr = process, stderr

    def run_round(self) -> list[list[float]]:
        """Return [texts/s, ms] of each load."""
        assert self._process.stdin is not None
        # A process that has ended is reported by `read`, with its standard error.
        with suppress(BrokenPipeError):
            print("run", file=self._process.stdin, flush=True)
        return self.read()

    def read(self) -> Any:
        """Parse the next line; raises RuntimeError where the process ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        status = self._process.wait()
        self._stderr.seek(0)
        raise RuntimeError(
            f"serving could not be measured (--no-measure-serving skips it): the process"
            f" ended with status {status}\n{self._stderr.read()}"
        )


@contextmanager
def _start(export: Path, folder: Path, threads: int) -> Iterator[_Worker]:
    plan = str(folder / "plan.json")
    arguments = [str(WORKER), str(export), plan, str(threads)]
    with (folder / f"stderr-{threads}").open("w+", encoding="utf-8", errors="replace") as stderr:
        streams = fork_server.Streams(subprocess.PIPE, subprocess.PIPE, stderr)
        process = fork_server.start(arguments, fork_server.TENSORFLOW, streams)
        try:
            yield _Worker(process, stderr)
        finally:
            # It has nothing to save.
            process.kill()
            process.communicate()


def _name_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())

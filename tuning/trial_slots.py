"""Concurrent trials: one thread per slot, each with its share of the CPU threads or GPUs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from tfpipe.training.local_cluster import share_gpus_evenly
from tuning import chief
from tuning.config import SearchConfig
from tuning.persistent_oracle import PersistentOracle
from tuning.study import Study
from tuning.trial import SHUTDOWN_SECONDS, TrialInterrupted, TrialSettings
from tuning.tuner import FatalSearchError, StudyTuner

POLL_SECONDS = 0.5  # between two checks of the running trials


def make_tuners(
    config: SearchConfig, oracle: PersistentOracle, study: Study, stop_requested: threading.Event
) -> list[StudyTuner]:
    """Create one tuner per concurrent trial.

    Args:
        config: Configuration of the search; `jobs` is the number of tuners.
        oracle: The oracle that all tuners share.
        study: The study.
        stop_requested: Set to interrupt the running trials.

    Returns:
        The tuners, each with its share of the CPU threads or GPUs.

    Raises:
        UserError: If the machine has fewer GPUs than concurrent trials.
    """
    name = os.environ.get("KERASTUNER_TUNER_ID", "tuner")
    tuners = []
    for slot, gpus in enumerate(share_gpus_evenly(config.jobs)):
        environment = gpus | share_threads(config.jobs)
        settings = TrialSettings(
            environment, config.processes, config.servers, config.trial_timeout
        )
        tuners.append(StudyTuner(oracle, study, f"{name}-{slot}", settings, stop_requested))
    return tuners


def share_threads(jobs: int) -> dict[str, str]:
    """Return environment variables that limit a trial's CPU threads; none for a single job."""
    if jobs == 1:
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return dict.fromkeys(names, str(max(1, (cores or 1) // jobs)))


@contextmanager
def run_in_threads(
    tuners: Sequence[StudyTuner], stop_requested: threading.Event
) -> Iterator[Callable[[], bool]]:
    """Run the search of every tuner in a thread of its own.

    When the block ends, running trials are interrupted and save their state.

    Args:
        tuners: The tuners.
        stop_requested: Set when the block ends or a tuner fails.

    Yields:
        A function that returns whether a thread is still running.

    Raises:
        BaseException: The first exception of a tuner.
    """
    errors: list[BaseException] = []

    def search(tuner: StudyTuner) -> None:
        try:
            tuner.search()
        except BaseException as error:
            cause = error.__cause__ if isinstance(error, FatalSearchError) else error
            if not isinstance(cause, TrialInterrupted):
                errors.append(cause or error)
        finally:
            if errors:
                stop_requested.set()

    threads = [
        # Keras Tuner distinguishes its clients by thread name.
        threading.Thread(target=search, args=[tuner], name=tuner.tuner_id, daemon=True)
        for tuner in tuners
    ]
    for thread in threads:
        thread.start()
    try:
        yield lambda: any(thread.is_alive() for thread in threads)
    finally:
        stop_requested.set()
        # A thread that serves as the chief does not end, and one that waits for it may not.
        until = time.monotonic() + SHUTDOWN_SECONDS + 10
        for thread in threads:
            while thread.is_alive() and time.monotonic() < until and not chief.is_chief():
                thread.join(POLL_SECONDS)
    if errors:
        raise errors[0]


@contextmanager
def discard_stdout() -> Iterator[None]:
    """Discard standard output, where Keras Tuner prints beside the results of the command."""
    with Path(os.devnull).open("w") as sink, redirect_stdout(sink):
        yield

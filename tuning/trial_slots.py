"""Trials at a time: threads that each wait for their trial, with a share of the machine each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

from tfpipe.training.local_cluster import share_gpus_evenly
from tuning import chief
from tuning.config import SearchConfig
from tuning.persistent_oracle import PersistentOracle
from tuning.study import Study
from tuning.trial import SHUTDOWN_SECONDS, TrialInterrupted, TrialSettings
from tuning.tuner import FatalSearchError, StudyTuner

POLL_SECONDS = 0.5  # seconds between two looks at the trials


def make_tuners(
    config: SearchConfig, oracle: PersistentOracle, study: Study, stop_requested: threading.Event
) -> list[StudyTuner]:
    """One tuner a job, each with its share of the machine; raises UserError for too few GPUs."""
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
    """What a trial's environment says of CPU threads; nothing for one job, which has them all."""
    if jobs == 1:
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return dict.fromkeys(names, str(max(1, (cores or 1) // jobs)))


@contextmanager
def run_in_threads(
    tuners: Sequence[StudyTuner], stop_requested: threading.Event
) -> Iterator[Callable[[], bool]]:
    """Have every tuner search in a thread; gives whether one still does.

    Ending the block halts their trials, which save their state. Raises what one raised.
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
        # Keras Tuner knows threads by their names.
        threading.Thread(target=search, args=[tuner], name=tuner.tuner_id, daemon=True)
        for tuner in tuners
    ]
    for thread in threads:
        thread.start()
    try:
        yield lambda: any(thread.is_alive() for thread in threads)
    finally:
        stop_requested.set()
        # A thread that waits for a chief, or serves as one, does not end.
        until = time.monotonic() + SHUTDOWN_SECONDS + 10
        for thread in threads:
            while thread.is_alive() and time.monotonic() < until and not chief.is_chief():
                thread.join(POLL_SECONDS)
    if errors:
        raise errors[0]


@contextmanager
def silence() -> Iterator[None]:
    """Standard output is for results: what Keras Tuner prints there is of no use to anybody."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield

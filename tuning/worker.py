"""Worker of a distributed search: runs the trials that the chief assigns."""

from __future__ import annotations

import threading
import time

import grpc

from tfpipe.errors import Interrupted, UserError
from tfpipe.training.preemption import SignalHandler
from tuning import chief
from tuning.config import SearchConfig
from tuning.oracles import make_study_oracle
from tuning.report.live_table import TrialTable
from tuning.study import Study
from tuning.study_runner import update_table
from tuning.trial_slots import POLL_SECONDS, discard_stdout, make_tuners, run_in_threads


def run_worker(config: SearchConfig, study: Study) -> None:
    """Run the trials that the chief assigns, until there are no more.

    Args:
        config: Configuration of the search.
        study: The study of the chief, in a folder that all machines share.

    Raises:
        UserError: If the chief cannot be reached, stops, or uses another folder.
        Interrupted: After SIGINT or SIGTERM, with the state of the running trials saved.
    """
    chief.wait_for_chief(config.patience)
    if not study.file.is_file():
        raise UserError(
            "the chief's study is not in this folder",
            str(study.folder),
            "give the --output of the chief: a folder shared by all machines",
        )
    study.open()
    oracle = make_study_oracle(study.plan, config.trials)
    stop_requested, began = threading.Event(), time.monotonic()
    try:
        with (
            discard_stdout(),
            TrialTable() as table,
            SignalHandler() as stop,
            run_in_threads(
                make_tuners(config, oracle, study, stop_requested), stop_requested
            ) as working,
        ):
            while working() and not stop.signal:
                update_table(table, config, study, time.monotonic() - began)
                time.sleep(POLL_SECONDS)
    except grpc.RpcError as error:
        raise UserError(
            "the connection to the chief is lost",
            str(error.code()),
            "start it again, then this worker",
        ) from None
    if stop.signal:
        raise Interrupted(128 + stop.signal, "stopped; the chief gives the trial to another worker")

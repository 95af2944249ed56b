"""A worker on another machine, or beside the chief: it runs the trials that the chief gives."""

from __future__ import annotations

import threading
import time

import grpc

from tfpipe.errors import Interrupted, UserError
from tfpipe.training.preemption import SignalHandler
from tuning import chief
from tuning.config import SearchConfig
from tuning.oracles import oracle_of
from tuning.report.table import Table
from tuning.running import show
from tuning.slots import LOOK, in_threads, make_tuners, silence
from tuning.study import Study


def work(config: SearchConfig, study: Study) -> None:
    """Run trials that a chief elsewhere gives, until it has no more."""
    chief.await_chief(config.patience)
    if not study.file.is_file():
        raise UserError(
            "the chief's study is not in this folder",
            str(study.folder),
            "give the --output of the chief: a folder that all machines see",
        )
    study.open()
    oracle = oracle_of(study.plan, config.trials)
    halting, began = threading.Event(), time.monotonic()
    try:
        with (
            silence(),
            Table() as table,
            SignalHandler() as stop,
            in_threads(make_tuners(config, oracle, study, halting), halting) as working,
        ):
            while working() and not stop.signal:
                show(table, config, study, time.monotonic() - began)
                time.sleep(LOOK)
    except grpc.RpcError as error:
        raise UserError(
            "the chief has gone", str(error.code()), "start it again, then this worker"
        ) from None
    if stop.signal:
        raise Interrupted(128 + stop.signal, "stopped; the chief gives the trial to another worker")

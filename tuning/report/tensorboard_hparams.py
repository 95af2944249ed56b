"""Event files for TensorBoard's HParams plugin: search space, and values and score of trials."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api, api_pb2
from tensorboard.plugins.hparams.summary import session_end_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from tfpipe.io.atomic import sync
from tuning.space import Parameter
from tuning.trial_result import FAILED, TrialResult

SUFFIX = ".hparams"  # of these event files, to tell them from those that training writes
MAX_CHECKBOXES = 20  # of a numeric parameter; with more values TensorBoard shows an interval

# TensorBoard reads the event files of a folder in the order of their names and never returns to an
# earlier one: the file of a running trial must sort before those of training.
RUNNING_FILE = f"events.out.tfevents.{0:010d}{SUFFIX}"


def write_study(folder: Path, parameters: Sequence[Parameter], objective: str) -> None:
    """Write the experiment summary: the searched parameters and the metrics.

    Args:
        folder: TensorBoard's `--logdir`.
        parameters: The searched parameters.
        objective: Such as `dev.accuracy`. A trial has the curve `dev/accuracy` and, when it has
            ended, the scalar `dev/best_accuracy`, which the search compares.

    Raises:
        OSError: If the file cannot be written.
    """
    metrics = [
        api.Metric(_best_tag(objective), display_name=f"{objective}, best epoch"),
        api.Metric(objective.replace(".", "/", 1), display_name=f"{objective}, last epoch"),
    ]
    hyperparameters = [api.HParam(one.name, _domain(one)) for one in parameters]
    _write(folder / RUNNING_FILE, [api.hparams_config_pb(hyperparameters, metrics)])


def write_trial(logs: Path, result: TrialResult, objective: str) -> None:
    """Write the session summary of a trial: its values and, when it has ended, score and status.

    Nothing is written for a running trial whose folder does not exist yet, because training
    creates the folder and refuses one that is not empty.

    Args:
        logs: Log folder of the trial's run, or of one of its seeds, which form a group with the
            number of the trial as its name, such as `0007`.
        result: The trial.
        objective: Such as `dev.accuracy`.

    Raises:
        OSError: If the file cannot be written.
    """
    if not result.ended and (not logs.is_dir() or (logs / RUNNING_FILE).is_file()):
        return
    now = time.time()
    values = {name: _plain(value) for name, value in result.values.items()}
    summaries = [api.hparams_pb(values, f"{result.number:04d}", now - result.seconds)]
    if result.ended:
        if result.score is not None and math.isfinite(result.score):
            summaries.append(scalar_pb(_best_tag(objective), result.score))
        failed = result.status == FAILED
        end = session_end_pb(api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS, now)
        # session_end_pb returns the class of TensorFlow, if installed, instead of TensorBoard's.
        summaries.append(Summary.FromString(end.SerializeToString()))
    # The file of an ended trial must sort after those of training (see RUNNING_FILE).
    name = f"events.out.tfevents.{int(now) + 1:010d}{SUFFIX}" if result.ended else RUNNING_FILE
    logs.mkdir(parents=True, exist_ok=True)
    _write(logs / name, summaries)
    for older in logs.glob(f"*{SUFFIX}"):
        if older.name != name:
            older.unlink(missing_ok=True)


def _best_tag(objective: str) -> str:
    split, _, metric = objective.partition(".")
    return f"{split}/best_{metric}"


def _plain(value: Any) -> bool | float | str:
    return value if isinstance(value, bool | int | float) else str(value)


def _domain(parameter: Parameter) -> api.Domain:
    values = [_plain(value) for value in parameter.values]
    if values and all(isinstance(one, bool) for one in values):
        return api.Discrete(set(values), dtype=bool)
    numbers = [float(one) for one in values if not isinstance(one, bool | str)]
    if len(numbers) < len(values):
        return api.Discrete({str(one) for one in values}, dtype=str)
    if values and len(values) <= MAX_CHECKBOXES:
        return api.Discrete(set(numbers), dtype=float)
    ends = [*numbers, *(float(end) for end in (parameter.low, parameter.high) if end is not None)]
    if parameter.kind == "int":
        return api.IntInterval(int(min(ends)), int(max(ends)))
    return api.RealInterval(min(ends), max(ends))


def _write(path: Path, summaries: Sequence[Summary]) -> None:
    # TensorBoard reads every file with "tfevents" in its name, so the temporary file has none.
    aside = path.with_name(f".{os.getpid()}{SUFFIX}.tmp")
    try:
        with aside.open("wb") as file:
            writer = RecordWriter(file)
            writer.write(_event(file_version="brain.Event:2"))
            for summary in summaries:
                writer.write(_event(summary=summary))
            writer.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    sync(path.parent)


def _event(**content: Any) -> bytes:
    return Event(wall_time=time.time(), **content).SerializeToString()

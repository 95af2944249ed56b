"""Keras Tuner's search loop, with each trial trained in a subprocess.

This module imports keras_tuner, and with it TensorFlow.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial

from tfpipe.errors import UserError
from tuning.persistent_oracle import EPOCH_METRIC, TOTAL_EPOCHS, PersistentOracle
from tuning.study import Study
from tuning.trial import TrialCallbacks, TrialInterrupted, TrialRunner, TrialSettings, TrialTask
from tuning.trial_data import with_shared_dev_split
from tuning.trial_result import FAILED, TrialResult

HEARTBEAT = 5.0  # seconds between two heartbeats of a trial
IDLE_SECONDS = 1.0  # seconds between two requests for a trial while the oracle has none
PREFIX = "tuner/"  # of the values that Keras Tuner's hyperband adds to a trial's


class FatalSearchError(keras_tuner.errors.FatalError):
    """Ends the search with its cause, which Keras Tuner would otherwise count as a failed trial."""


class StudyTuner(BaseTuner):
    """Requests trials from the oracle and runs them one at a time.

    The oracle is that of the chief if Keras Tuner's environment variables make this process a
    worker.
    """

    def __init__(
        self,
        oracle: PersistentOracle,
        study: Study,
        tuner_id: str,
        settings: TrialSettings,
        stop_requested: Any,
    ):
        super().__init__(oracle, directory=str(study.folder), project_name="oracle")
        self.tuner_id = tuner_id
        self._study, self._settings = study, settings
        self._stop_requested: threading.Event = stop_requested
        self._last_request = self._last_heartbeat = 0.0

    def save(self) -> None:
        """Do nothing: the oracle saves its own state."""

    def pre_create_trial(self) -> None:
        """Wait if the oracle had no trial at the last request.

        Raises:
            FatalSearchError: If the search is to stop.
        """
        if self._stop_requested.is_set():
            raise FatalSearchError from TrialInterrupted()
        if self._last_request:
            self._stop_requested.wait(IDLE_SECONDS)
        self._last_request = time.monotonic()

    def run_trial(self, trial: Trial, *_: Any, **__: Any) -> dict[str, float]:
        """Train with the values of a trial.

        Returns:
            The objective's name and the score; NaN, which Keras Tuner counts as a failure, for a
            trial that failed.

        Raises:
            FatalSearchError: If the trial could not be run.
        """
        self._last_request = 0.0
        try:
            result = self._run(trial)
        except Exception as error:
            raise FatalSearchError(str(error)) from error
        return {self.oracle.objective.name: math.nan if result.score is None else result.score}

    def _run(self, trial: Trial) -> TrialResult:
        plan, values = self._study.plan, trial.hyperparameters.values
        result = begin_result(self._study, trial)
        if result.ended:
            return result
        self._study.write_result(result)
        try:
            config = self._study.configuration(result.values)
        except UserError as error:
            result = replace(result, status=FAILED, reason=" ".join(str(error).split()))
            self._study.write_result(result)
            return result
        # Trials are not evaluated on a test file, so that no choice can depend on it.
        config = replace(config, test=None)
        if plan.seeds > 1:
            config = with_shared_dev_split(config, self._study.folder / "data")
        until = int(values.get(f"{PREFIX}epochs", plan.epochs))

        def report(epoch: int, best: float, epochs: int) -> str | None:
            answer = self.oracle.update_trial(
                trial.trial_id, {EPOCH_METRIC: best, TOTAL_EPOCHS: float(epochs)}, step=epoch
            )
            if answer.status != "STOPPED":
                return None
            behind = f"{plan.objective} {best:.4f} is behind the others' median {answer.score:.4f}"
            return f"stopped after epoch {epoch} of {epochs}: {behind}"

        task = TrialTask(
            config,
            inherited=int(values.get(f"{PREFIX}initial_epoch", 0)),
            until=until if until < plan.epochs else None,
        )
        callbacks = TrialCallbacks(
            self._stop_requested, report, lambda: self._send_heartbeat(trial.trial_id)
        )
        return TrialRunner(self._study, result, task, self._settings, callbacks).run()

    def _send_heartbeat(self, trial_id: str) -> None:
        if time.monotonic() - self._last_heartbeat >= HEARTBEAT:
            self.oracle.get_trial(trial_id)
            self._last_heartbeat = time.monotonic()


def begin_result(study: Study, trial: Trial) -> TrialResult:
    """Return the result with which a trial starts or is resumed.

    Args:
        study: The study.
        trial: The trial of the oracle.

    Returns:
        A running trial; the stored result if the trial ended just before the process was killed,
        because the result is written before the oracle's state.
    """
    number = trial_number(trial.trial_id)
    before = study.read_result(number)
    if before is not None and before.ended:
        return before
    values = dict(trial.hyperparameters.values)
    parent = values.get(f"{PREFIX}trial_id")
    plan = study.plan
    active, start = plan.space.active_values(values), plan.space.default_values()
    whole = parent is None and int(values.get(f"{PREFIX}epochs", plan.epochs)) == plan.epochs
    return TrialResult(
        number=number,
        status="running",
        values=active,
        seconds=before.seconds if before else 0.0,
        continues=None if parent is None else trial_number(parent),
        defaults=bool(start) and active == start and whole,
        baseline=plan.baseline.value if plan.baseline else None,
    )


def trial_number(trial_id: str) -> int:
    """Return the number of a trial, from 1, by its id of Keras Tuner, which counts from 0."""
    return int(trial_id) + 1

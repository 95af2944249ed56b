"""Keras Tuner's loop over trials, each of which is a training in a process of its own.

This file imports keras_tuner, and with it TensorFlow.
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
from tuning.trial import TrialInterrupted, TrialRunner, TrialSettings
from tuning.trial_data import with_shared_dev_split
from tuning.trial_result import FAILED, TrialResult

HEARTBEAT = 5.0  # seconds between two signs of life of a trial
IDLE_SECONDS = 1.0  # seconds until an oracle that had nothing is asked again
PREFIX = "tuner/"  # of Keras Tuner's own values


class FatalSearchError(keras_tuner.errors.FatalError):
    """Ends the search by its cause, where Keras Tuner would count another failed trial."""


class StudyTuner(BaseTuner):
    """Asks the oracle for trials and runs them, one at a time, in one slot of the machine.

    Where Keras Tuner's variables name a chief elsewhere, that one is asked.
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
        self._halting: threading.Event = stop_requested
        self._asked = self._heard = 0.0

    def save(self) -> None:
        """Nothing: the oracle saves itself."""

    def pre_create_trial(self) -> None:
        """Wait before asking an oracle again that had nothing a moment ago."""
        if self._halting.is_set():
            raise FatalSearchError from TrialInterrupted()
        if self._asked:
            self._halting.wait(IDLE_SECONDS)
        self._asked = time.monotonic()

    def run_trial(self, trial: Trial, *_: Any, **__: Any) -> dict[str, float]:
        """Train with the trial's values; returns its score under the objective's name.

        NaN is Keras Tuner's score of a trial that failed; an exception it would print.
        """
        self._asked = 0.0
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
        # A test file is for the winner: nobody is to choose by it, not even by looking.
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

        return TrialRunner(
            self._study,
            result,
            config,
            int(values.get(f"{PREFIX}initial_epoch", 0)),
            until if until < plan.epochs else None,
            self._settings,
            self._halting,
            report,
            lambda: self._send_heartbeat(trial.trial_id),
        ).run()

    def _send_heartbeat(self, trial_id: str) -> None:
        if time.monotonic() - self._heard >= HEARTBEAT:
            self.oracle.get_trial(trial_id)
            self._heard = time.monotonic()


def begin_result(study: Study, trial: Trial) -> TrialResult:
    """The result of a trial that begins or goes on, or that had ended when the oracle was killed.

    The oracle hears of an end last.
    """
    number = trial_number(trial.trial_id)
    before = study.read_result(number)
    if before is not None and before.ended:
        return before
    values = dict(trial.hyperparameters.values)
    parent = values.get(f"{PREFIX}trial_id")
    plan = study.plan
    active, start = plan.space.active_values(values), plan.space.start()
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
    """The number that people read of a trial of Keras Tuner, which counts from 0."""
    return int(trial_id) + 1

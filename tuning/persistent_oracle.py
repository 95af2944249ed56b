"""Base of the oracles: state in one atomically written file, leases of workers, median stopping.

This module imports keras_tuner, and with it TensorFlow.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.oracle import Oracle
from keras_tuner.engine.trial import Trial

from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tuning.median_stopping import LearningCurve, median_if_worse

EPOCH_METRIC = (
    "epoch_figure"  # the metric of an epoch's report; `epochs` beside it counts all of them
)
TOTAL_EPOCHS = "epochs"
ANSWER_SECONDS = 10.0  # a worker whose last request is older is no longer running


class PersistentOracle(Oracle):
    """Mixin for Keras Tuner's oracles that survives kills, lost workers and errors.

    It precedes one of Keras Tuner's oracles in a class's bases. The whole state, trials included,
    is one file, written atomically: Keras Tuner writes a file per trial and one more, so that a
    kill between two writes leaves a trial that the oracle's file does not list. Methods that run
    with the oracle's lock held do not raise, because Keras Tuner would never release the lock: the
    exception is kept in `failure`, and no further trial is created.

    Attributes:
        lease: Seconds without a heartbeat after which a worker's trial is given to another one;
            None if trials run in this process and end with it.
        stop_poor_trials: Whether `update_trial` applies the median rule.
        first: Values of the first trial; None to let the oracle propose them.
        on_trial_created: Called with each new trial.
        should_stop: Return value True ends the search; no further trial is created.
        failure: Exception that ended the search, or None.
        exhausted: Whether the oracle has no further values to propose.
        curves: Learning curve of each trial, by trial id.
    """

    lease: float | None = None
    stop_poor_trials = False
    first: Mapping[str, Any] | None = None
    on_trial_created: Callable[[Trial], None] = staticmethod(lambda trial: None)
    should_stop: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(
            *arguments,
            allow_new_entries=False,
            tune_new_entries=True,
            # StudyRunner checks for repeated failures; Keras Tuner raises with the lock held.
            max_consecutive_failed_trials=-1,
            **settings,
        )
        self.verbose = 0
        # Random sampling finds the last values of a small space only after many repeated ones:
        # Keras Tuner's limit of 20 is too low.
        self._max_collisions = 300
        self.failure: Exception | None = None
        self.exhausted = False
        self.curves: dict[str, LearningCurve] = {}
        self._last_heartbeat: dict[str, float] = {}
        self._last_request: dict[str, float] = {}
        self._seconds_before, self._started_at = 0.0, time.monotonic()

    # ---- state
    @property
    def path(self) -> Path:
        """The file with the oracle's state."""
        return Path(self._get_oracle_fname())

    def get_state(self) -> dict[str, Any]:
        """Return the state with all trials, learning curves and the elapsed time."""
        trials = {name: trial.get_state() for name, trial in self.trials.items()}
        curves = {name: [one.epochs, one.best] for name, one in self.curves.items()}
        return super().get_state() | {"trials": trials, "curves": curves, "seconds": self.seconds}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self.trials = {name: Trial.from_state(one) for name, one in state["trials"].items()}
        self.curves = {
            name: LearningCurve(epochs, {int(epoch): value for epoch, value in best.items()})
            for name, (epochs, best) in state["curves"].items()
        }
        self._seconds_before = state["seconds"]
        super().set_state(state)

    @property
    def seconds(self) -> float:
        """Wall time of the search over all its starts."""
        return self._seconds_before + time.monotonic() - self._started_at

    def save(self) -> None:
        """Write the state; an OSError is kept in `failure`."""
        try:
            write_text(self.path, json.dumps(self.get_state()))
        except OSError as error:
            self.failure = UserError(
                "the study's state could not be saved",
                f"{self.path}: {error.strerror}",
                "free disk space and start the same command again: it resumes from the last state",
            )

    def reload(self) -> None:
        """Restore the state from the file.

        Trials that were running are queued again or, with leases, stay assigned to their workers
        until the lease ends.
        """
        state = json.loads(self.path.read_text(encoding="utf-8"))
        self.set_state(state)
        # Keras Tuner removes an ended trial from ongoing_trials only after its last save.
        running = {
            name: self.trials[trial_id]
            for name, trial_id in state["ongoing_trials"].items()
            if self.trials[trial_id].status == "RUNNING"
        }
        self.ongoing_trials = running if self.lease else {}
        if not self.lease:
            self._retry_queue += [trial.trial_id for trial in running.values()]
        now = time.monotonic()
        self._last_heartbeat = {trial.trial_id: now for trial in running.values()}

    def _save_trial(self, trial: Trial) -> None:
        """Do nothing: `save` writes all trials."""

    # ---- trials
    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        """Assign a new or a queued trial to a tuner.

        Returns:
            A trial with the status RUNNING; IDLE if the tuner is to ask again later, STOPPED if
            there are no further trials.
        """
        self._last_request[tuner_id] = time.monotonic()
        self.requeue_lost_trials()
        try:
            if self.failure or self.should_stop():
                return self._no_trial(tuner_id, "STOPPED")
            trial = super().create_trial(tuner_id)
            if trial.status == "RUNNING":
                self._last_heartbeat[trial.trial_id] = time.monotonic()
                self.on_trial_created(trial)
                # Keras Tuner's tuner sets the status of its trial before end_trial: on the same
                # object, another thread could save a completed trial without a score.
                trial = Trial.from_state(trial.get_state())
        except Exception as error:
            self.failure = error
            return self._no_trial(tuner_id, "STOPPED")
        if trial.status == "STOPPED" and self.ongoing_trials:
            # A running trial may lose its lease and be queued again.
            return self._no_trial(tuner_id, "IDLE")
        self.exhausted = trial.status == "STOPPED"
        return trial

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose the values of a trial: `first` for the first one, then those of the oracle."""
        if self.first and not self.trials:
            return {"status": "RUNNING", "values": dict(self.first)}
        return super().populate_space(trial_id)

    def _no_trial(self, tuner_id: str, status: str) -> Trial:
        if status == "STOPPED":
            self.tuner_ids.discard(tuner_id)
        else:
            self.tuner_ids.add(tuner_id)
        return Trial(self.get_space(), trial_id="", status=status)

    def get_trial(self, trial_id: str) -> Trial:
        """Return a trial; a worker's request for its own trial is its heartbeat."""
        self._last_heartbeat[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Record the metrics of an epoch, or the score of a trial.

        Args:
            trial_id: The trial.
            metrics: `EPOCH_METRIC` (the best value so far) and `TOTAL_EPOCHS` after an epoch;
                the objective at the end of the trial.
            step: Epoch, from 1.

        Returns:
            A copy of the trial. The status STOPPED means that the trial is worse than the median
            of the others, which is then the `score` of the copy.
        """
        if trial_id not in self.trials:
            # The request of a worker from before the study's state was lost.
            return self._no_trial("", "STOPPED")
        self._last_heartbeat[trial_id] = time.monotonic()
        if math.isnan(metrics.get(self.objective.name, 0.0)):
            return self.trials[trial_id]
        if EPOCH_METRIC not in metrics:
            return super().update_trial(trial_id, metrics, step)
        curve = self.curves.setdefault(trial_id, LearningCurve(int(metrics[TOTAL_EPOCHS])))
        curve.best[step] = metrics[EPOCH_METRIC]
        self.save()
        answer = Trial.from_state(self.trials[trial_id].get_state())
        # The first trial (the defaults) is never stopped: the others are compared with it.
        if self.stop_poor_trials and trial_id != self.start_order[0]:
            ended = [self.curves[name] for name in self.end_order if name in self.curves]
            others = [other for other in ended if other is not curve]
            middle = median_if_worse(curve, step, others, self.objective.direction)
            if middle is not None:
                answer.status, answer.score = "STOPPED", middle
        return answer

    def score_trial(self, trial: Trial) -> None:
        """Set the score of a trial; NaN, a failure for Keras Tuner, if it has no objective."""
        if trial.metrics.exists(self.objective.name):
            super().score_trial(trial)
        else:
            trial.score = math.nan

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        """Record the end of a trial and save the state."""
        if trial.trial_id not in self.trials:
            return
        # Values lose their types in the gRPC messages of a worker.
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        if trial.trial_id in self.end_order:
            # Its lease ended and two workers trained it: the first result counts.
            return
        super().end_trial(trial)
        self.save()

    @keras_tuner.synchronized
    def requeue_lost_trials(self) -> list[str]:
        """Queue the trials again whose workers have sent no heartbeat for `lease` seconds.

        Returns:
            The ids of these trials.
        """
        now = time.monotonic()
        lost = [
            (tuner_id, trial.trial_id)
            for tuner_id, trial in self.ongoing_trials.items()
            if self.lease and now - self._last_heartbeat.get(trial.trial_id, now) > self.lease
        ]
        for tuner_id, trial_id in lost:
            del self.ongoing_trials[tuner_id]
            self.tuner_ids.discard(tuner_id)
            self._retry_queue.append(trial_id)
        return [trial_id for _, trial_id in lost]

    def requeue_trials(self, trial_ids: list[str]) -> None:
        """Queue failed trials to be run again."""
        # An earlier start that was killed may have queued some of them already.
        for trial_id in [name for name in trial_ids if name in self.end_order]:
            self.end_order.remove(trial_id)
            self._run_times[trial_id] = 0
            self._retry_queue.append(trial_id)
        self.save()

    @property
    def queued_trials(self) -> list[str]:
        """Ids of trials that are queued to be resumed or run again."""
        return list(self._retry_queue)

    @property
    def finished(self) -> bool:
        """Whether all trials have ended and all active workers have received the status STOPPED."""
        now = time.monotonic()
        # A copy, because threads that request trials change the set.
        active = [
            one
            for one in self.tuner_ids.copy()
            if now - self._last_request.get(one, now) < ANSWER_SECONDS
        ]
        complete = self.exhausted or (self.max_trials and len(self.trials) >= self.max_trials)
        return bool(complete) and not (self.ongoing_trials or self._retry_queue or active)

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request or heartbeat of a worker."""
        last = max([self._started_at, *self._last_request.values(), *self._last_heartbeat.values()])
        return time.monotonic() - last

    @keras_tuner.synchronized
    def resumable(self) -> set[str]:
        """Return the ids of ended trials whose checkpoints a later trial may resume from."""
        return set()

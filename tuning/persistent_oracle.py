"""What every oracle of a study survives: its whole state in one file, lost workers, halts.

This file imports keras_tuner, and with it TensorFlow.
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
ANSWER_SECONDS = 10.0  # seconds without a question after which nobody waits for an answer


class PersistentOracle(Oracle):
    """What every oracle of a study does beside proposing values; put before one of Keras Tuner's.

    Its whole state, trials included, is one file, written aside and renamed: Keras Tuner writes a
    file a trial and one more, and a kill between two of them leaves a trial that nobody knows of.
    Nothing raises out of its methods, for Keras Tuner would never release the oracle's lock:
    `trouble` holds what went wrong, and no new trial is given from then on.
    """

    lease: float | None = None  # seconds without a sign of life; None: trials end with this process
    stop_poor_trials = False
    first: Mapping[str, Any] | None = None  # values of the first trial; None: the oracle's own
    on_trial_created: Callable[[Trial], None] = staticmethod(lambda trial: None)
    should_stop: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(
            *arguments,
            allow_new_entries=False,
            tune_new_entries=True,
            # The study has its own rule; Keras Tuner's raises with the lock held.
            max_consecutive_failed_trials=-1,
            **settings,
        )
        self.verbose = 0
        # Chance needs more tries than Keras Tuner's 20 to find a small space's last values.
        self._max_collisions = 300
        self.trouble: Exception | None = None
        self.exhausted = False
        self.curves: dict[str, LearningCurve] = {}
        self._seen: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._spent, self._began = 0.0, time.monotonic()

    # ---- one file
    @property
    def path(self) -> Path:
        """The oracle's file."""
        return Path(self._get_oracle_fname())

    def get_state(self) -> dict[str, Any]:
        trials = {name: trial.get_state() for name, trial in self.trials.items()}
        curves = {name: [one.epochs, one.best] for name, one in self.curves.items()}
        mine = {"trials": trials, "curves": curves, "seconds": self.seconds}
        return super().get_state() | mine

    def set_state(self, state: dict[str, Any]) -> None:
        self.trials = {name: Trial.from_state(one) for name, one in state["trials"].items()}
        self.curves = {
            name: LearningCurve(epochs, {int(epoch): value for epoch, value in best.items()})
            for name, (epochs, best) in state["curves"].items()
        }
        self._spent = state["seconds"]
        super().set_state(state)

    @property
    def seconds(self) -> float:
        """How long the search has taken, over all its starts."""
        return self._spent + time.monotonic() - self._began

    def save(self) -> None:
        try:
            write_text(self.path, json.dumps(self.get_state()))
        except OSError as error:
            self.trouble = UserError(
                "the study's state could not be saved",
                f"{self.path}: {error.strerror}",
                "make room and start the same command again: it goes on from the state before",
            )

    def reload(self) -> None:
        """Go on from the file. What ran goes on: here at once, elsewhere while its lease holds."""
        state = json.loads(self.path.read_text(encoding="utf-8"))
        self.set_state(state)
        # Keras Tuner takes a trial out of the running ones after its last write.
        running = {
            name: self.trials[trial_id]
            for name, trial_id in state["ongoing_trials"].items()
            if self.trials[trial_id].status == "RUNNING"
        }
        self.ongoing_trials = running if self.lease else {}
        if not self.lease:
            self._retry_queue += [trial.trial_id for trial in running.values()]
        now = time.monotonic()
        self._seen = {trial.trial_id: now for trial in running.values()}

    def _save_trial(self, trial: Trial) -> None:
        """Nothing: a trial is saved with all others."""

    # ---- trials
    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        self._asked[tuner_id] = time.monotonic()
        self.requeue_lost_trials()
        try:
            if self.trouble or self.should_stop():
                return self._no_trial(tuner_id, "STOPPED")
            trial = super().create_trial(tuner_id)
            if trial.status == "RUNNING":
                self._seen[trial.trial_id] = time.monotonic()
                self.on_trial_created(trial)
                # Keras Tuner's tuner sets its trial's status before it ends it: on the oracle's
                # own, another thread would find, and save, a completed trial without a score.
                trial = Trial.from_state(trial.get_state())
        except Exception as error:
            self.trouble = error
            return self._no_trial(tuner_id, "STOPPED")
        if trial.status == "STOPPED" and self.ongoing_trials:
            # One of these may be given back.
            return self._no_trial(tuner_id, "IDLE")
        self.exhausted = trial.status == "STOPPED"
        return trial

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose values: `first` for the first trial, then the oracle's own."""
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
        """The trial; a worker that asks for its own lives."""
        self._seen[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Take an epoch's report or a trial's score; the answer STOPPED ends the trial."""
        if trial_id not in self.trials:
            # Of a worker that outlived its study's state.
            return self._no_trial("", "STOPPED")
        self._seen[trial_id] = time.monotonic()
        if math.isnan(metrics.get(self.objective.name, 0.0)):
            return self.trials[trial_id]
        if EPOCH_METRIC not in metrics:
            return super().update_trial(trial_id, metrics, step)
        curve = self.curves.setdefault(trial_id, LearningCurve(int(metrics[TOTAL_EPOCHS])))
        curve.best[step] = metrics[EPOCH_METRIC]
        self.save()
        answer = Trial.from_state(self.trials[trial_id].get_state())
        # The first one trains to its end: it is what the others are compared with.
        if self.stop_poor_trials and trial_id != self.start_order[0]:
            ended = [self.curves[name] for name in self.end_order if name in self.curves]
            others = [other for other in ended if other is not curve]
            middle = median_if_worse(curve, step, others, self.objective.direction)
            if middle is not None:
                answer.status, answer.score = "STOPPED", middle
        return answer

    def score_trial(self, trial: Trial) -> None:
        """Set the score: NaN for a trial that failed, which Keras Tuner then counts as such."""
        if trial.metrics.exists(self.objective.name):
            super().score_trial(trial)
        else:
            trial.score = math.nan

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        if trial.trial_id not in self.trials:
            return
        # What comes over the network lacks the types that it was sent with.
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        if trial.trial_id in self.end_order:
            # Given away as lost, and ended by both.
            return
        super().end_trial(trial)
        self.save()

    @keras_tuner.synchronized
    def requeue_lost_trials(self) -> list[str]:
        """Queue again what runs where nobody gave a sign of life for `lease` seconds."""
        now = time.monotonic()
        lost = [
            (tuner_id, trial.trial_id)
            for tuner_id, trial in self.ongoing_trials.items()
            if self.lease and now - self._seen.get(trial.trial_id, now) > self.lease
        ]
        for tuner_id, trial_id in lost:
            del self.ongoing_trials[tuner_id]
            self.tuner_ids.discard(tuner_id)
            self._retry_queue.append(trial_id)
        return [trial_id for _, trial_id in lost]

    def requeue_trials(self, trial_ids: list[str]) -> None:
        """Have failed trials tried again."""
        # A start that was killed may have queued some of them already.
        for trial_id in [name for name in trial_ids if name in self.end_order]:
            self.end_order.remove(trial_id)
            self._run_times[trial_id] = 0
            self._retry_queue.append(trial_id)
        self.save()

    @property
    def waiting(self) -> list[str]:
        """Trials to be tried again, or to go on, that nobody runs."""
        return list(self._retry_queue)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to run, nor anybody who has yet to be told."""
        now = time.monotonic()
        # A copy: threads that ask for trials change it.
        here = [
            one for one in self.tuner_ids.copy() if now - self._asked.get(one, now) < ANSWER_SECONDS
        ]
        told = self.exhausted or (self.max_trials and len(self.trials) >= self.max_trials)
        return bool(told) and not (self.ongoing_trials or self._retry_queue or here)

    @property
    def silence(self) -> float:
        """Seconds since somebody asked for a trial or gave a sign of life."""
        last = max([self._began, *self._asked.values(), *self._seen.values()])
        return time.monotonic() - last

    @keras_tuner.synchronized
    def resumable(self) -> set[str]:
        """Ended trials whose checkpoints another trial may go on from."""
        return set()

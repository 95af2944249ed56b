"""Oracles of made-up spaces, driven with made-up scores and cut off at will.

No trial is trained: scores are made up.
"""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras_tuner
import pytest
from keras_tuner.engine.trial import Trial

from tuning.library_internals import set_project_folder
from tuning.oracles import make_oracle
from tuning.persistent_oracle import PersistentOracle
from tuning.space import Parameter, Space

OBJECTIVE = "dev.accuracy"
GRID = Space(
    (
        Parameter("batch_size", "choice", values=(16, 32, 64)),
        Parameter("loss", "choice", values=("cross_entropy", "focal")),
        Parameter("focal_gamma", "choice", values=(1.0, 2.0), when={"loss": ("focal",)}),
        Parameter("lowercase", "choice", values=(False, True)),
        Parameter(
            "warmup",
            "choice",
            values=(0.0, 0.1),
            when={"focal_gamma": (2.0,), "lowercase": (True,)},
        ),
    ),
    fixed={},
)
MIXED = Space(
    (
        Parameter("learning_rate", "float", low=1e-5, high=5e-4, log=True),
        Parameter("epochs", "int", low=2, high=6),
        Parameter("max_length", "int", low=16, high=20, log=True),
        Parameter("batch_size", "choice", values=(16, 32)),
        Parameter("lowercase", "choice", values=(True, False)),
        Parameter("loss", "choice", values=("cross_entropy", "focal")),
        Parameter("focal_gamma", "float", low=1.0, high=4.0, when={"loss": ("focal",)}),
    ),
    fixed={},
)
SPACES = {"grid": GRID, "bayesian": MIXED, "random": MIXED, "hyperband": MIXED}
Given = TypeVar("Given")
Make = Callable[..., PersistentOracle]


class Killed(BaseException):
    """The process is gone."""


def everything(trial: Trial) -> dict[str, Any]:
    """The values of a trial, Hyperband's own among them."""
    return trial.hyperparameters.values


def own(trial: Trial) -> tuple[tuple[str, Any], ...]:
    """The space's values of a trial, to compare."""
    values = everything(trial).items()
    return tuple(sorted((name, one) for name, one in values if not name.startswith("tuner/")))


def score_of(trial: Trial) -> float:
    """A score that is the same whenever the trial is run."""
    return random.Random(f"{own(trial)} {everything(trial).get('tuner/epochs')}").random()


def finish(oracle: PersistentOracle, trial: Trial, score: float | None) -> str:
    """End a trial as a tuner does, None for one that failed; gives its number."""
    oracle.update_trial(trial.trial_id, {OBJECTIVE: math.nan if score is None else score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return trial.trial_id


def drive(
    oracle: PersistentOracle, tuners: Sequence[str] = ("a", "b"), fails: Collection[int] = ()
) -> list[str]:
    """Run all trials, several at a time; gives those that ended, in that order."""
    running: dict[str, Trial] = {}
    ended: list[str] = []
    while True:
        reported = set()
        for name in tuners:
            if name not in running:
                trial = oracle.create_trial(name)
                reported.add(trial.status)
                if trial.status == "RUNNING":
                    running[name] = trial
        if not running:
            assert reported == {"STOPPED"}
            return ended
        trial = running.pop(next(iter(running)))
        finish(oracle, trial, None if int(trial.trial_id) in fails else score_of(trial))
        assert trial.trial_id not in ended
        ended.append(trial.trial_id)


def elsewhere(function: Callable[[], Given], name: str = "another") -> Given:
    """What a function gives in a thread of its own; fails where it hangs or raises."""
    given: list[Given] = []
    thread = threading.Thread(target=lambda: given.append(function()), name=name, daemon=True)
    thread.start()
    thread.join(20)
    assert given, "the oracle's lock was never released"
    return given[0]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that makes a study's oracle, which goes on from the folder's state."""

    def made(
        algorithm: str, trials: int, space: Space | None = None, folder: str = "study", **other: Any
    ) -> PersistentOracle:
        objective = keras_tuner.Objective(OBJECTIVE, other.pop("direction", "max"))
        settings = {"epochs": 3, "seed": 0} | other
        oracle = make_oracle(algorithm, space or SPACES[algorithm], trials, objective, **settings)
        (tmp_path / folder).mkdir(exist_ok=True)
        set_project_folder(oracle, str(tmp_path / folder), "oracle")
        if oracle.path.is_file():
            oracle.reload()
        return oracle

    return made


def check_whole(oracle: PersistentOracle, trials: int) -> None:
    """Every trial is there, once, and its values are no other's."""
    assert sorted(map(int, oracle.trials)) == list(range(trials))
    assert Counter(oracle.end_order) == Counter(oracle.trials.keys())
    assert all(trial.status in ("COMPLETED", "FAILED") for trial in oracle.trials.values())
    begun = [own(one) for one in oracle.trials.values() if "tuner/trial_id" not in everything(one)]
    assert len(begun) == len(set(begun))
    promoted = [
        everything(one)["tuner/trial_id"]
        for one in oracle.trials.values()
        if "tuner/trial_id" in everything(one)
    ]
    assert len(promoted) == len(set(promoted))
    assert not oracle.queued_trials
    assert not oracle.ongoing_trials

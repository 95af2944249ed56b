"""Importance of parameters: what mattered comes first, and too little is said to be too little."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tuning.report.importance import (
    MIN_CONFIGURATIONS,
    active_values,
    measure_importance,
    scored_configurations,
)
from tuning.space import Parameter
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult

RATE = Parameter("learning_rate", "float", low=1e-6, high=1e-2, log=True)
BATCH = Parameter("batch_size", "choice", (8, 16, 32))
LOSS = Parameter("loss", "choice", ("plain", "focal", None))
FOCUS = Parameter("focal_gamma", "float", low=0.5, high=5.0, when={"loss": ("focal",)})


def make_trials(count: int, score: Callable[[dict[str, Any]], float]) -> list[TrialResult]:
    rng = random.Random(5)
    trials = []
    for number in range(1, count + 1):
        values = {
            "learning_rate": 10 ** rng.uniform(-6, -2),
            "batch_size": rng.choice(BATCH.values),
            "loss": rng.choice(LOSS.values),
        }
        if values["loss"] == "focal":
            values["focal_gamma"] = rng.uniform(0.5, 5.0)
        trials.append(TrialResult(number, COMPLETED, values, score(values), epochs=2))
    return trials


def test_what_decides_comes_first_and_the_rest_is_near_nothing():
    trials = make_trials(60, lambda values: math.log10(values["learning_rate"]))
    found = measure_importance(trials, [BATCH, LOSS, FOCUS, RATE])
    assert found.problem is None and found.configurations == 60
    assert found.fit is not None and found.fit > 0.9
    assert found.parameters[0].name == "learning_rate" and found.parameters[0].drop > 1
    assert {one.name for one in found.parameters} == {
        *("learning_rate", "batch_size", "loss", "focal_gamma")
    }
    assert all(abs(one.drop) < 0.05 for one in found.parameters[1:])
    assert found == measure_importance(trials, [BATCH, LOSS, FOCUS, RATE])


@pytest.mark.parametrize("wanted", ["plain", None])
def test_a_text_is_one_parameter(wanted):
    trials = make_trials(60, lambda values: float(values["loss"] == wanted))
    found = measure_importance(trials, [RATE, BATCH, LOSS])
    assert [one.name for one in found.parameters][0] == "loss"
    assert found.parameters[0].drop > 10 * abs(found.parameters[1].drop)


def test_a_child_does_not_take_its_parents_importance():
    trials = make_trials(80, lambda values: float(values["loss"] == "focal"))
    found = measure_importance(trials, [LOSS, FOCUS])
    drops = {one.name: one.drop for one in found.parameters}
    assert drops["loss"] > 1 and drops["focal_gamma"] < 0.1 * drops["loss"]


def test_chance_is_called_too_little():
    for seed in (2, 3):
        rng = random.Random(seed)
        trials = make_trials(40, lambda _, rng=rng: rng.random())
        found = measure_importance(trials, [RATE, BATCH])
        assert found.fit is not None and found.fit <= 0
        assert not found.parameters and "no better" in (found.problem or "")


def test_what_the_forest_learnt_by_heart_is_no_importance():
    """A number of its own for each trial lets a forest fit noise that no unseen trial has."""
    rng = random.Random(1)
    trials = make_trials(
        40, lambda values: 0.1 * BATCH.values.index(values["batch_size"]) + 0.05 * rng.random()
    )
    found = measure_importance(trials, [RATE, BATCH])
    drops = {one.name: one.drop for one in found.parameters}
    assert drops["batch_size"] > 1 and abs(drops["learning_rate"]) < 0.05


def test_few_trials_equal_scores_and_no_parameters_are_problems():
    few = make_trials(MIN_CONFIGURATIONS - 1, lambda values: values["learning_rate"])
    found = measure_importance(few, [RATE])
    assert found.problem == "It takes 8 configurations with a score; the study has 7."
    assert found.fit is None and not found.parameters
    equal = measure_importance(make_trials(20, lambda _: 0.5), [RATE])
    assert equal.problem == "Every configuration has the same score."
    assert measure_importance([], [RATE]).configurations == 0
    assert measure_importance(make_trials(20, lambda v: v["batch_size"]), []).problem


def test_a_parameter_that_never_varied_or_was_never_active_counts_nothing():
    trials = [
        replace(one, values={**one.values, "loss": "plain"})
        for one in make_trials(30, lambda values: values["batch_size"])
    ]
    found = measure_importance(trials, [BATCH, LOSS, FOCUS])
    assert found.parameters[0].name == "batch_size"
    assert [one.drop for one in found.parameters[1:]] == [0.0, 0.0]


def test_conditions_hold_through_generations():
    grandchild = Parameter("gamma_decay", "float", low=0, high=1, when={"focal_gamma": (2.0,)})
    values = {"loss": "plain", "focal_gamma": 2.0, "gamma_decay": 0.5}
    parameters = [LOSS, FOCUS, grandchild]
    assert active_values(parameters, values) == {"loss": "plain"}
    assert active_values(parameters, {**values, "loss": "focal"}) == {**values, "loss": "focal"}
    assert active_values(parameters, {"loss": None}) == {"loss": None}


def test_of_trials_that_continue_each_other_the_longest_counts():
    def trial(number: int, status: str, score: float | None, epochs: int, parent: int | None):
        return TrialResult(number, status, {}, score, epochs=epochs, continues=parent)

    trials = [
        trial(1, STOPPED, 0.5, 3, None),
        trial(2, COMPLETED, 0.6, 3, None),
        # Trained for less than its parent, yet for longer in all.
        trial(3, COMPLETED, 0.7, 2, 1),
        trial(4, FAILED, None, 1, 2),
        trial(5, RUNNING, 0.9, 4, 3),
        trial(6, COMPLETED, math.nan, 2, None),
        trial(7, COMPLETED, math.inf, 2, None),
    ]
    assert [one.number for one in scored_configurations(trials)] == [2, 3]
    assert [one.number for one in scored_configurations(trials[::-1])] == [2, 3]
    # The parent is of an earlier study that is not among these.
    assert [one.number for one in scored_configurations(trials[2:3])] == [3]

"""Keras Tuner's oracles as a study has them: what each proposes, and when.

No trial is trained: scores are made up.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from keras_tuner.engine.trial import Trial

from tests import driven_oracles
from tests.driven_oracles import (
    GRID,
    MIXED,
    Make,
    check_whole,
    drive,
    everything,
    finish,
    own,
    score_of,
)
from tuning.oracles import ORACLES
from tuning.persistent_oracle import EPOCH_METRIC, TOTAL_EPOCHS
from tuning.space import Parameter, Space

make = driven_oracles.make  # the fixture


# ---- the first trial
DEFAULTS = {
    "learning_rate": 1e-3,  # beyond the space's 5e-4
    "epochs": 4,
    "max_length": 128,  # beyond 20
    "batch_size": 32,
    "lowercase": True,
    "loss": "cross_entropy",
    "focal_gamma": 2.0,
    "warmup": 0.1,
}
FIRST = {
    "grid": {"batch_size": 32, "loss": "cross_entropy", "lowercase": True},
    "mixed": {
        "learning_rate": 5e-4,
        "epochs": 4,
        "max_length": 20,
        "batch_size": 32,
        "lowercase": True,
        "loss": "cross_entropy",
    },
}


def with_defaults(space: Space, **defaults: Any) -> Space:
    known = DEFAULTS | defaults
    return Space(tuple(replace(one, default=known[one.name]) for one in space.parameters), {})


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("algorithm", sorted(ORACLES))
def test_the_first_trial_is_the_defaults_exactly_once(
    make: Make, algorithm: str, seed: int
) -> None:
    space = with_defaults(GRID if algorithm == "grid" else MIXED)
    oracle = make(algorithm, 40, space, seed=seed)
    # Two workers ask before any trial has ended; then the process is killed and started again.
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    again = make(algorithm, 40, space, seed=seed)
    assert sorted(again.queued_trials) == [first.trial_id, second.trial_id]
    if algorithm == "bayesian":
        again.max_trials = 6
    drive(again)
    found = [space.active_values(everything(one)) for one in again.trials.values()]
    expected = FIRST["grid" if algorithm == "grid" else "mixed"]
    assert found[0] == space.default_values() == expected
    assert (
        sum(
            "tuner/trial_id" not in everything(trial) and values == expected
            for trial, values in zip(again.trials.values(), found, strict=True)
        )
        == 1
    )
    if algorithm == "grid":
        assert len(found) == GRID.grid_size() == len({str(values) for values in found})
    # A chosen value is of its own type, as if the space had no defaults.
    assert [*map(type, found[0].values())] == [*map(type, expected.values())]


def test_hyperband_trains_the_defaults_to_the_end_and_promotes_others(make: Make) -> None:
    oracle = make("hyperband", 14, with_defaults(MIXED), epochs=9)
    drive(oracle, ["a"])
    spans = [
        (everything(one)["tuner/initial_epoch"], everything(one)["tuner/epochs"])
        for one in oracle.trials.values()
    ]
    assert spans[0] == (0, 9)
    assert Counter(spans[1:]) == {(0, 1): 9, (1, 3): 3, (3, 9): 1}
    assert "00" not in {parent_of(one) for one in oracle.trials.values()}
    assert "00" not in oracle.resumable()


def test_a_study_that_began_by_chance_goes_on_as_it_was(make: Make) -> None:
    before = make("random", 6)
    for _ in range(2):
        finish(before, before.create_trial("a"), 0.5)
    begun = [everything(one) for one in before.trials.values()]
    oracle = make("random", 6, with_defaults(MIXED))
    drive(oracle)
    assert [everything(one) for one in oracle.trials.values()][:2] == begun
    check_whole(oracle, 6)
    # A grid keeps its order, which lies in its state.
    grid = make("grid", 40, folder="grid")
    finish(grid, grid.create_trial("a"), 0.5)
    grid = make("grid", 40, with_defaults(GRID), folder="grid")
    drive(grid)
    assert {own(one) for one in grid.trials.values()} == combinations()
    check_whole(grid, len(combinations()))


def test_the_first_trial_is_never_stopped_as_a_poor_one(make: Make) -> None:
    oracle = make("random", 9, with_defaults(MIXED))
    oracle.stop_poor_trials = True
    first = oracle.create_trial("a")
    for _ in range(4):
        trial = oracle.create_trial("b")
        oracle.update_trial(trial.trial_id, {EPOCH_METRIC: 0.5, TOTAL_EPOCHS: 2.0}, 1)
        finish(oracle, trial, 0.5)
    reported = oracle.update_trial(first.trial_id, {EPOCH_METRIC: 0.1, TOTAL_EPOCHS: 2.0}, 1)
    assert reported.status == "RUNNING"
    other = oracle.create_trial("b")
    assert (
        oracle.update_trial(other.trial_id, {EPOCH_METRIC: 0.1, TOTAL_EPOCHS: 2.0}, 1).status
        == "STOPPED"
    )


# ---- grid
def combinations() -> set[tuple[tuple[str, Any], ...]]:
    """All of GRID, counted out."""
    every = set()
    names = [one.name for one in GRID.parameters]
    for values in product(*(one.values for one in GRID.parameters)):
        active = GRID.active_values(dict(zip(names, values, strict=True)))
        every.add(tuple(sorted(active.items())))
    return every


@pytest.mark.parametrize(("jobs", "lives"), [(1, 1000), (3, 1000), (1, 1), (3, 4)])
def test_grid_is_every_combination_once(make: Make, jobs: int, lives: int) -> None:
    assert GRID.grid_size() == len(combinations())
    # A process lives for so many rounds of trials.
    for number in range(1000):
        if number % lives == 0:
            oracle = make("grid", 1000)
        trials = [oracle.create_trial(f"t{slot}") for slot in range(jobs)]
        begun = [trial for trial in trials if trial.status == "RUNNING"]
        for trial in begun:
            finish(oracle, trial, None if int(trial.trial_id) % 4 == 0 else score_of(trial))
        if not begun:
            break
    assert oracle.exhausted
    assert {own(one) for one in oracle.trials.values()} == combinations()
    assert len(oracle.trials) == GRID.grid_size()


# ---- random and Bayesian
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("algorithm", ["random", "hyperband"])
def test_chance_finds_all_of_a_small_space(make: Make, algorithm: str, seed: int) -> None:
    oracle = make(algorithm, 100, GRID, seed=seed, epochs=1)
    drive(oracle)
    assert {own(one) for one in oracle.trials.values()} == combinations()
    assert len(oracle.trials) == GRID.grid_size()
    assert oracle.exhausted


def test_bayesian_never_repeats(make: Make) -> None:
    space = Space(
        (
            Parameter("lowercase", "choice", values=(True, False)),
            # The proposals lie at the ends of these, where the score is highest.
            Parameter("max_length", "int", low=16, high=18, log=True),
        ),
        fixed={},
    )
    oracle = make("bayesian", 9, space)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        values = everything(trial)
        assert 16 <= values["max_length"] <= 18
        finish(oracle, trial, values["max_length"] / 20 + values["lowercase"] / 10)
    assert len({own(one) for one in oracle.trials.values()}) == len(oracle.trials) == 6
    assert oracle.exhausted


def test_values_keep_their_types_over_a_reload(make: Make) -> None:
    oracle = make("bayesian", 5)
    drive(oracle)
    assert {everything(one)["loss"] for one in oracle.trials.values()} == {"cross_entropy", "focal"}
    again = make("bayesian", 5)
    for name, trial in oracle.trials.items():
        values = MIXED.active_values(everything(trial))
        assert ("focal_gamma" in everything(trial)) == (values["loss"] == "focal")
        after = MIXED.active_values(everything(again.trials[name]))
        assert after == values
        assert list(map(type, after.values())) == list(map(type, values.values()))
        assert 16 <= everything(trial)["max_length"] <= 20


def test_bayesian_comes_near_the_best(make: Make) -> None:
    space = Space((Parameter("learning_rate", "float", low=1e-5, high=1e-3, log=True),), fixed={})
    oracle = make("bayesian", 10, space)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        off = math.log10(everything(trial)["learning_rate"] / 1e-4)
        finish(oracle, trial, 0.9 - 0.2 * off**2)
    best = oracle.get_best_trials(1)[0]
    assert everything(best)["learning_rate"] == pytest.approx(1e-4, rel=0.3)


# ---- hyperband
def parent_of(trial: Trial) -> str | None:
    """The trial that it goes on from."""
    return everything(trial).get("tuner/trial_id")


@pytest.mark.parametrize("restarts", [False, True])
def test_hyperband_promotes_the_best_of_each_round(make: Make, restarts: bool) -> None:
    oracle = make("hyperband", 13, epochs=9)
    while (trial := oracle.create_trial("a")).status == "RUNNING":
        finish(oracle, trial, score_of(trial))
        if restarts:
            oracle = make("hyperband", 13, epochs=9)
    trials = list(oracle.trials.values())
    epochs = [
        (everything(one)["tuner/initial_epoch"], everything(one)["tuner/epochs"]) for one in trials
    ]
    # Nine for an epoch, the best three of them for three, the best of these for nine.
    assert Counter(epochs) == {(0, 1): 9, (1, 3): 3, (3, 9): 1}
    for first, last in ((0, 1), (1, 3)):
        here = [one for one, span in zip(trials, epochs, strict=True) if span == (first, last)]
        above = [one for one, (begin, _) in zip(trials, epochs, strict=True) if begin == last]
        here.sort(key=lambda one: one.score, reverse=True)
        assert {parent_of(one) for one in above} == {one.trial_id for one in here[: len(above)]}
        for one in above:
            assert own(one) == own(oracle.trials[str(parent_of(one))])


@pytest.mark.parametrize("fails", [{3}, {0, 1, 2, 3}, {9}, {9, 10}, {12}, {3, 9, 13}])
def test_a_failed_trial_does_not_stall_a_bracket(make: Make, fails: set[int]) -> None:
    oracle = make("hyperband", 25, epochs=9)
    drive(oracle, ["a"], fails)
    check_whole(oracle, 25)
    winners = [one for one in oracle.trials.values() if everything(one)["tuner/round"] == 2]
    assert "COMPLETED" in {one.status for one in winners}
    failed = {name for name, one in oracle.trials.items() if one.status == "FAILED"}
    assert len(failed) == len(fails)
    # Nothing goes on from a failed trial, nor is it tried again under another name.
    assert not failed & {parent_of(one) for one in oracle.trials.values()}


@pytest.mark.parametrize("trials", [1, 2, 5, 12, 30])
def test_hyperband_has_as_many_trials_as_asked(make: Make, trials: int) -> None:
    oracle = make("hyperband", trials)
    drive(oracle)
    check_whole(oracle, trials)


def test_resumable_is_what_may_be_promoted(make: Make) -> None:
    oracle = make("hyperband", 13, epochs=9)
    for number in range(9):
        trial = oracle.create_trial("a")
        finish(oracle, trial, None if number == 4 else number / 10)
        assert oracle.resumable() == {f"{name:02d}" for name in range(number + 1) if name != 4}
    # The failed one was replaced.
    trial = oracle.create_trial("a")
    assert parent_of(trial) is None
    finish(oracle, trial, 0.0)
    everyone = {f"{name:02d}" for name in range(10)} - {"04"}
    assert oracle.resumable() == everyone
    promoted = oracle.create_trial("a")
    assert parent_of(promoted) == "08"
    # It may not have taken the checkpoint over yet, nor after a kill.
    assert oracle.resumable() == everyone
    oracle = make("hyperband", 13, epochs=9)
    assert oracle.resumable() == everyone
    promoted = oracle.create_trial("a")
    assert parent_of(promoted) == "08"
    finish(oracle, promoted, 0.9)
    assert oracle.resumable() == everyone - {"08"} | {promoted.trial_id}


def test_resumable_keeps_the_parent_of_a_bracket_that_is_complete(make: Make) -> None:
    oracle = make("hyperband", 12)
    promoted = None
    while promoted is None:
        trial = oracle.create_trial("a")
        if parent_of(trial):
            promoted = trial
        else:
            finish(oracle, trial, score_of(trial))
    oracle.create_trial("b")
    # Its bracket is gone.
    assert oracle.resumable() == {parent_of(promoted)}
    finish(oracle, promoted, 0.5)
    assert oracle.resumable() == set()


@pytest.mark.parametrize("algorithm", ["random", "grid", "bayesian"])
def test_others_go_on_from_no_trial(make: Make, algorithm: str) -> None:
    oracle = make(algorithm, 2)
    finish(oracle, oracle.create_trial("a"), 0.5)
    assert oracle.resumable() == set()

"""Keras Tuner's oracles, made to last, and mended where a study needs more than they do.

This file imports keras_tuner, and with it TensorFlow.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import keras_tuner
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from tuning.persistent_oracle import PersistentOracle
from tuning.space import Space
from tuning.study import StudyPlan


class RandomOracle(PersistentOracle, keras_tuner.oracles.RandomSearchOracle):
    """Values at random."""


class BayesianOracle(PersistentOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Values by a Gaussian process over what was seen, none twice."""

    def _make_gpr(self) -> GaussianProcessRegressor:
        # Keras Tuner's process has no noise in it, and follows the luck of single trials.
        noise = WhiteKernel(0.01, noise_level_bounds=(1e-4, 1.0))
        smooth = Matern(nu=2.5, length_scale_bounds=(0.05, 20.0))
        return super()._make_gpr().set_params(kernel=smooth + noise)

    def _vectorize_trials(self) -> tuple[np.ndarray, np.ndarray]:
        # Lower is better here. How bad a trial is that fell apart says nothing of where the best
        # lies, but would drown the differences between good ones.
        points, scores = super()._vectorize_trials()
        return points, np.minimum(scores, 2 * np.median(scores) - scores.min())

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        with warnings.catch_warnings():
            # A length scale at its bound says that a parameter does not matter.
            warnings.simplefilter("ignore", ConvergenceWarning)
            proposed = super().populate_space(trial_id)
        if proposed["status"] == "RUNNING" and self._duplicate(proposed["values"]):
            return self._random_populate_space()
        return proposed

    def _get_hp_bounds(self) -> np.ndarray:
        # At 1 a whole number on a log scale would be one more than its highest.
        bounds: np.ndarray = super()._get_hp_bounds()
        return bounds * (1 - 1e-9)


class GridOracle(PersistentOracle, keras_tuner.oracles.GridSearchOracle):
    """All combinations; Keras Tuner's own forgets where it stood when its process ends."""

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)

        def compare(one: str, other: str) -> int:
            first, second = self.trials[one], self.trials[other]
            return self._compare(first.hyperparameters.values, second.hyperparameters.values)

        ordered = sorted(self.trials, key=functools.cmp_to_key(compare))
        for trial_id in ordered:
            self._ordered_ids.insert(trial_id)
        # Those whose next combination is there are passed over.
        self._populate_next = ordered


class HyperbandOracle(PersistentOracle, keras_tuner.oracles.HyperbandOracle):
    """Values at random, trained for few epochs; the best of each round train on."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        # Keras Tuner waits for ever for a round with a failed trial to be complete: the failed
        # leave their bracket, with those that they went on from, and others take their places.
        gone = {name for name, trial in self.trials.items() if trial.status == "FAILED"}
        for bracket in self._brackets:
            for infos in reversed(bracket["rounds"]):
                gone |= {one["past_id"] for one in infos if one["id"] in gone}
                infos[:] = [one for one in infos if one["id"] not in gone]
        return super().populate_space(trial_id)

    @keras_tuner.synchronized
    def resumable(self) -> set[str]:
        parents = {
            name: trial.hyperparameters.values.get("tuner/trial_id")
            for name, trial in self.trials.items()
        }
        # A promoted trial may not have taken over its parent's checkpoint yet.
        kept = {parent for name, parent in parents.items() if parent and name not in self.end_order}
        for bracket in self._brackets:
            rounds = bracket["rounds"]
            for number, (here, above) in enumerate(zip(rounds, rounds[1:], strict=False)):
                if len(above) < self._get_size(bracket["bracket_num"], number + 1):
                    promoted = {one["past_id"] for one in above}
                    kept |= {one["id"] for one in here} - promoted
        failed = {name for name, trial in self.trials.items() if trial.status == "FAILED"}
        return kept & set(self.end_order) - failed


ORACLES = {
    "bayesian": BayesianOracle,
    "random": RandomOracle,
    "hyperband": HyperbandOracle,
    "grid": GridOracle,
}


def make_oracle(
    algorithm: str,
    space: Space,
    trials: int,
    objective: keras_tuner.Objective,
    epochs: int,
    seed: int,
) -> PersistentOracle:
    """The oracle of a study. epochs: that hyperband gives at most; seed: from 0."""
    settings: dict[str, Any] = {
        "objective": objective,
        "hyperparameters": space.hyperparameters(),
        # Keras Tuner takes 0 for no seed.
        "seed": seed + 1,
    }
    if algorithm == "hyperband":
        # As many sweeps as the trials allow.
        settings |= {"max_epochs": epochs, "hyperband_iterations": 0}
    else:
        settings |= {"max_trials": trials}
    if algorithm == "bayesian":
        # Its own three points a parameter would leave a small study all to rng, and its own
        # beta, 2.6, to the corners of the space (benchmarks/tuning.py).
        few = min(3 * len(space.parameters), trials * 2 // 5)
        settings |= {"num_initial_points": max(3, few), "beta": 1.5}
    oracle = ORACLES[algorithm](**settings)
    oracle.max_trials = trials
    if algorithm != "grid":
        # A grid begins with the hyperparameters' defaults by itself.
        oracle.first = space.start()
    if algorithm == "hyperband" and oracle.first:
        # In no bracket: the halving would end it after an epoch, and what the others are compared
        # with is what such a training reaches.
        whole = {"epochs": epochs, "initial_epoch": 0, "bracket": 0, "round": 0}
        oracle.first = dict(oracle.first) | {f"tuner/{name}": n for name, n in whole.items()}
    return oracle


def make_study_oracle(plan: StudyPlan, trials: int) -> PersistentOracle:
    """The oracle of a study's plan."""
    objective = keras_tuner.Objective(plan.objective, plan.direction)
    seed = int(plan.space.fixed.get("seed", 1))
    return make_oracle(plan.algorithm, plan.space, trials, objective, plan.epochs, seed)

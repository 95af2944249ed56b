"""The four search algorithms: Keras Tuner's oracles with persistent state and corrections.

This module imports keras_tuner, and with it TensorFlow.
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
    """Random search."""


class BayesianOracle(PersistentOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimization with a Gaussian process, without repeated configurations."""

    def _make_gpr(self) -> GaussianProcessRegressor:
        # Keras Tuner's Gaussian process models no noise and overfits the scores of single trials.
        noise = WhiteKernel(0.01, noise_level_bounds=(1e-4, 1.0))
        smooth = Matern(nu=2.5, length_scale_bounds=(0.05, 20.0))
        return super()._make_gpr().set_params(kernel=smooth + noise)

    def _vectorize_trials(self) -> tuple[np.ndarray, np.ndarray]:
        # Lower is better here. The score of a diverged trial would dominate the differences between
        # the good ones, so that scores are clipped on the poor side.
        points, scores = super()._vectorize_trials()
        return points, np.minimum(scores, 2 * np.median(scores) - scores.min())

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose the values of a trial; random ones in place of a repeated configuration."""
        with warnings.catch_warnings():
            # A length scale at its upper bound is expected for a parameter without influence.
            warnings.simplefilter("ignore", ConvergenceWarning)
            proposed = super().populate_space(trial_id)
        if proposed["status"] == "RUNNING" and self._duplicate(proposed["values"]):
            return self._random_populate_space()
        return proposed

    def _get_hp_bounds(self) -> np.ndarray:
        # At a position of 1 Keras Tuner maps an integer on a log scale to its maximum plus one.
        bounds: np.ndarray = super()._get_hp_bounds()
        return bounds * (1 - 1e-9)


class GridOracle(PersistentOracle, keras_tuner.oracles.GridSearchOracle):
    """Grid search that resumes: Keras Tuner's oracle does not save its position in the grid."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state and the order of the combinations from the trials."""
        super().set_state(state)

        def compare(one: str, other: str) -> int:
            first, second = self.trials[one], self.trials[other]
            return self._compare(first.hyperparameters.values, second.hyperparameters.values)

        ordered = sorted(self.trials, key=functools.cmp_to_key(compare))
        for trial_id in ordered:
            self._ordered_ids.insert(trial_id)
        # populate_space skips a trial whose next combination exists.
        self._populate_next = ordered


class HyperbandOracle(PersistentOracle, keras_tuner.oracles.HyperbandOracle):
    """Hyperband: random values trained for few epochs, the best of each round for more."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose a promoted or a new configuration, without failed trials in the brackets."""
        # Keras Tuner never completes a round with a failed trial: failed trials and the trials that
        # they continued are removed from their bracket, and new trials take their places.
        removed = {name for name, trial in self.trials.items() if trial.status == "FAILED"}
        for bracket in self._brackets:
            for infos in reversed(bracket["rounds"]):
                removed |= {one["past_id"] for one in infos if one["id"] in removed}
                infos[:] = [one for one in infos if one["id"] not in removed]
        return super().populate_space(trial_id)

    @keras_tuner.synchronized
    def resumable(self) -> set[str]:
        """Return the ids of ended trials that may still be promoted, or resumed from."""
        parents = {
            name: trial.hyperparameters.values.get("tuner/trial_id")
            for name, trial in self.trials.items()
        }
        # A promoted trial may not have copied its parent's checkpoint yet.
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
    """Create the oracle of a study.

    Args:
        algorithm: A key of `ORACLES`.
        space: The search space.
        trials: Maximum number of trials.
        objective: Name and direction of the metric to optimize.
        epochs: Most epochs of a hyperband trial; unused by the other algorithms.
        seed: Random seed, from 0.

    Returns:
        The oracle, whose first trial has the default values if the space knows them.
    """
    settings: dict[str, Any] = {
        "objective": objective,
        "hyperparameters": space.hyperparameters(),
        # Keras Tuner treats the seed 0 as no seed.
        "seed": seed + 1,
    }
    if algorithm == "hyperband":
        # Repeated until the maximum number of trials.
        settings |= {"max_epochs": epochs, "hyperband_iterations": 0}
    else:
        settings |= {"max_trials": trials}
    if algorithm == "bayesian":
        # Keras Tuner's three initial points per parameter would make a small study a random search,
        # and its beta of 2.6 explores mainly the corners of the space (benchmarks/tuning.py).
        few = min(3 * len(space.parameters), trials * 2 // 5)
        settings |= {"num_initial_points": max(3, few), "beta": 1.5}
    oracle = ORACLES[algorithm](**settings)
    oracle.max_trials = trials
    if algorithm != "grid":
        # Keras Tuner's grid search begins with the hyperparameters' defaults.
        oracle.first = space.default_values()
    if algorithm == "hyperband" and oracle.first:
        # Outside the brackets, whose halving could end it after one epoch: the other trials are
        # compared with the score of a complete training.
        whole = {"epochs": epochs, "initial_epoch": 0, "bracket": 0, "round": 0}
        oracle.first = dict(oracle.first) | {f"tuner/{name}": n for name, n in whole.items()}
    return oracle


def make_study_oracle(plan: StudyPlan, trials: int) -> PersistentOracle:
    """Create the oracle for a study's plan and at most so many trials."""
    objective = keras_tuner.Objective(plan.objective, plan.direction)
    seed = int(plan.space.fixed.get("seed", 1))
    return make_oracle(plan.algorithm, plan.space, trials, objective, plan.epochs, seed)

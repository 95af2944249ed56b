"""Parameter importance: permutation importance of a random forest over the trials of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score
from sklearn.preprocessing import OneHotEncoder

from tuning.space import Parameter
from tuning.trial_result import COMPLETED, STOPPED, TrialResult

MIN_CONFIGURATIONS = 8
TREES = 200
REPEATS = 10
METHOD = (
    f"Permutation importance (scikit-learn) of a random forest of {TREES} trees that predicts a"
    " trial's score from its values: the loss of out-of-bag R² when one parameter's values are"
    f" shuffled among the trials, mean and standard deviation of {REPEATS} shuffles"
)


@dataclass(frozen=True)
class ParameterImportance:
    """Permutation importance of one parameter.

    Attributes:
        name: Name of the parameter.
        drop: Mean loss of R² over the shuffles.
        deviation: Standard deviation of the loss.
    """

    name: str
    drop: float
    deviation: float


@dataclass(frozen=True)
class Importance:
    """Importances of all parameters, or the reason why they cannot be estimated.

    Attributes:
        configurations: Number of scored configurations.
        fit: Out-of-bag R² of the forest; None if none was fitted.
        parameters: Importance of each parameter, largest first; empty if there is a problem.
        problem: Why importances cannot be estimated, as a sentence, or None.
    """

    configurations: int
    fit: float | None = None
    parameters: tuple[ParameterImportance, ...] = ()
    problem: str | None = None


def active_values(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of active parameters.

    Args:
        parameters: The searched parameters, parents before children.
        values: Values of a trial; those of some parameters may be missing.

    Returns:
        The values of the parameters whose conditions all hold.
    """
    active: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name in values and parameter.is_active(active):
            active[parameter.name] = values[parameter.name]
    return active


def scored_configurations(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Return the ended trials with a score, one per configuration.

    Of hyperband trials that continue each other, it is the one trained for the most epochs,
    including those of its predecessors. A trial has a larger number than the one it continues.
    """
    first: dict[int, int] = {}
    epochs: dict[int, int] = {}
    longest: dict[int, TrialResult] = {}
    for one in sorted(results, key=lambda one: one.number):
        parent = one.number if one.continues is None else one.continues
        root = first[one.number] = first.get(parent, parent)
        epochs[one.number] = one.epochs + epochs.get(parent, 0)
        if one.status not in (COMPLETED, STOPPED) or one.score is None:
            continue
        other = longest.get(root)
        if math.isfinite(one.score) and (not other or epochs[one.number] >= epochs[other.number]):
            longest[root] = one
    return sorted(longest.values(), key=lambda one: one.number)


def is_numeric(parameter: Parameter) -> bool:
    """Return whether the values of a parameter are numbers, and so ordered."""
    return parameter.kind != "choice" or all(
        isinstance(value, (int, float)) and not isinstance(value, bool)
        for value in parameter.values
    )


class _OutOfBagFit:
    """A random forest, and its R² where each trial is predicted by the trees not fitted on it.

    On the trials that a tree was fitted on, it overestimates the importance of every parameter.

    Args:
        codes: float64 [N, P], encoded values of the trials.
        scores: float64 [N].
        choices: Columns of `codes` whose values have no order.
        seed: Random seed.
    """

    def __init__(self, codes: np.ndarray, scores: np.ndarray, choices: Sequence[int], seed: int):
        one_hot = ("choices", OneHotEncoder(sparse_output=False), choices)
        self._encoder = ColumnTransformer([one_hot], remainder="passthrough").fit(codes)
        forest = RandomForestRegressor(TREES, random_state=seed)
        self.forest = forest.fit(self._encoder.transform(codes), scores)
        self._out_of_bag = np.ones((TREES, len(scores)), dtype=bool)
        for tree, drawn in enumerate(self.forest.estimators_samples_):
            self._out_of_bag[tree, drawn] = False

    def __call__(
        self, forest: RandomForestRegressor, codes: np.ndarray, scores: np.ndarray
    ) -> float:
        """Compute R² on the same trials, whose values may be shuffled."""
        # Trees compute in float32; a check for each of them would take longer than its answers.
        rows = self._encoder.transform(codes).astype(np.float32)
        predicted = np.stack([tree.predict(rows, check_input=False) for tree in forest.estimators_])
        known = self._out_of_bag
        return float(r2_score(scores, (predicted * known).sum(0) / np.maximum(known.sum(0), 1)))


def measure_importance(
    results: Sequence[TrialResult], parameters: Sequence[Parameter], seed: int = 0
) -> Importance:
    """Estimate the permutation importance of each parameter on out-of-bag predictions.

    Numeric choices are encoded by rank, ranges by their value or its logarithm, other choices
    one-hot but shuffled as one column. Breiman 2001, section 10, with R² in place of accuracy.

    Args:
        results: The trials.
        parameters: The searched parameters.
        seed: Random seed; equal seeds give equal importances.

    Returns:
        The importances, or the problem if they cannot be estimated.
    """
    trials = scored_configurations(results)
    scores = np.array([one.score for one in trials], dtype=np.float64)
    count = len(trials)
    if count < MIN_CONFIGURATIONS:
        problem = (
            f"It takes {MIN_CONFIGURATIONS} configurations with a score; the study has {count}."
        )
        return Importance(count, problem=problem)
    if not parameters:
        return Importance(count, problem="No setting was searched.")
    if np.ptp(scores) == 0:
        return Importance(count, problem="Every configuration has the same score.")

    active = [active_values(parameters, one.values) for one in trials]
    codes = np.column_stack([_encode(parameter, active) for parameter in parameters])
    choices = [place for place, parameter in enumerate(parameters) if not is_numeric(parameter)]
    fit_of = _OutOfBagFit(codes, scores, choices, seed)
    fit = fit_of(fit_of.forest, codes, scores)
    if not fit > 0:
        problem = "A random forest predicts held-out trials no better than their mean."
        return Importance(count, fit, problem=problem)
    lost = permutation_importance(
        fit_of.forest, codes, scores, scoring=fit_of, n_repeats=REPEATS, random_state=seed
    )
    rows = zip(parameters, lost.importances_mean, lost.importances_std, strict=True)
    importances = [
        ParameterImportance(one.name, float(mean), float(std)) for one, mean, std in rows
    ]
    return Importance(count, fit, tuple(sorted(importances, key=lambda one: -one.drop)))


def _encode(parameter: Parameter, active: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Encode a parameter as one float per trial: index or rank of a choice, number or logarithm."""
    name = parameter.name
    present = [values[name] for values in active if name in values]
    if not is_numeric(parameter):
        # repr, because True is also 1 and a value may not be hashable.
        places = {text: place for place, text in enumerate(sorted({repr(one) for one in present}))}
        known = np.array([places[repr(one)] for one in present], dtype=np.float64)
        usual = np.bincount(known.astype(int)).argmax() if present else 0.0
    else:
        known = np.array(present, dtype=np.float64)
        if parameter.log:
            known = np.log10(known)
        elif parameter.kind == "choice":
            known = np.searchsorted(np.sort(np.array(parameter.values, float)), known).astype(float)
        usual = np.median(known) if present else 0.0
    # An inactive parameter gets its most usual value: a special one would reveal the value of its
    # parent, whose importance would be attributed to the parameter.
    codes = np.full(len(active), usual, dtype=np.float64)
    codes[[name in values for values in active]] = known
    return codes

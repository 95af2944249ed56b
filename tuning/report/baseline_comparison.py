"""Comparison of the best trial with the default configuration and with the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfpipe.config.metrics import is_better
from tfpipe.tasks.sections import Baseline
from tfpipe.text_display import shorten
from tuning.report.formatting import format_score, format_value
from tuning.space import Parameter
from tuning.trial_result import TrialResult, best_of


def find_defaults_trial(results: Sequence[TrialResult]) -> TrialResult | None:
    """Return the trial with the default configuration; None in a study without one."""
    return next((one for one in results if one.defaults), None)


def describe_defaults(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> str:
    """Describe the values of the trial with the default configuration.

    Args:
        parameters: The searched parameters.
        values: Values of the trial.

    Returns:
        A phrase that names each value which differs from the default, because the default is not
        in the search space.
    """
    moved = [
        f"{one.name} {format_value(values[one.name])} for {format_value(one.default)}"
        for one in parameters
        if one.name in values and values[one.name] != one.default
    ]
    nearest = f", as near as the space allows ({', '.join(moved)})" if moved else ""
    return f"the defaults of tfpipe.train{nearest}"


def baseline_warning(
    results: Sequence[TrialResult], direction: str, objective: str, baseline: Baseline | None
) -> str | None:
    """Return a warning if no trial beats the baseline, else None."""
    best = best_of(list(results), direction)
    if best is None or best.score is None or baseline is None:
        return None
    if is_better(best.score, baseline.value, direction):
        return None
    return (
        f"No trial beats the baseline: always answering {shorten(baseline.answer, 60)!r} reaches"
        f" {objective} {format_score(baseline.value)}, the best trial {format_score(best.score)}."
        " No trial has learnt anything useful: examine the data with python -m tfpipe.doctor, and"
        " try more epochs, other learning rates or another --model."
    )


def defaults_note(
    results: Sequence[TrialResult],
    direction: str,
    objective: str,
    parameters: Sequence[Parameter],
) -> str | None:
    """Return a note if none of the other scored trials beats the defaults, else None."""
    best, defaults = best_of(list(results), direction), find_defaults_trial(results)
    others = [one for one in results if one is not defaults and one.score is not None]
    if best is None or defaults is None or best is not defaults or not others:
        return None
    return (
        f"No trial beats trial {defaults.number}, {objective} {format_score(defaults.score)}:"
        f" {describe_defaults(parameters, defaults.values)}. More --trials or another --space may"
        " do better."
    )

"""HTML report of a study: best configuration, plots, table of trials and cost, in one file."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from tfpipe.report.images import svg
from tfpipe.report.templates import make_environment, write_html
from tfpipe.tasks.sections import Baseline
from tfpipe.text_display import shorten
from tuning.report.baseline_comparison import (
    baseline_warning,
    defaults_note,
    describe_defaults,
    find_defaults_trial,
)
from tuning.report.formatting import DASH, format_score, format_time, format_value
from tuning.report.importance import (
    METHOD,
    active_values,
    is_numeric,
    measure_importance,
    scored_configurations,
)
from tuning.report.parallel_coordinates import parallel_coordinates_figure
from tuning.report.plots import histories_figure, importance_figure, progress_figure
from tuning.space import Parameter
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult, best_of

# Limit of the escaped log lines of all failed trials together, so that the page stays below 2 MB.
MAX_LOG_CHARACTERS = 500_000


@dataclass(frozen=True)
class StudyReport:
    """Contents of the report.

    Attributes:
        title: Name of the study.
        objective: Such as `dev.accuracy`.
        direction: Which values of the objective are better, `max` or `min`.
        algorithm: Name of the search algorithm.
        results: All trials so far.
        planned: Requested number of trials.
        parameters: The searched parameters.
        command: The command line of the search.
        seconds: Wall time of the search over all its starts.
        jobs: Number of concurrent trials.
        price: Price of an hour of one job; 0 if it is not given.
        best_yaml: Training configuration of the best trial; empty without one.
        environment: Versions and devices, by name.
        next_commands: Shell commands for the next steps.
        baseline: Baseline of the objective; None if it has none.
    """

    title: str
    objective: str
    direction: str
    algorithm: str
    results: Sequence[TrialResult]
    planned: int
    parameters: Sequence[Parameter]
    command: Sequence[str]
    seconds: float
    jobs: int
    price: float
    best_yaml: str
    environment: Mapping[str, object]
    next_commands: Sequence[str]
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Cell:
    """Table cell.

    Attributes:
        text: What is shown.
        number: What the column is sorted by; None if the cell has no number.
    """

    text: str
    number: float | None = None


def write_report(path: str | Path, report: StudyReport) -> None:
    """Write the report as one self-contained HTML file, atomically.

    Args:
        path: The file to write.
        report: Contents of the report.

    Raises:
        OSError: If the file cannot be written.
    """
    write_html(path, render_report(report))


def render_report(report: StudyReport) -> str:
    """Return the HTML of the report."""
    ordered = sorted(report.results, key=lambda one: one.number)
    report = replace(report, results=[_without_infinities(one) for one in ordered])
    results, objective, direction = list(report.results), report.objective, report.direction
    best = best_of(results, direction)
    importance = measure_importance(results, report.parameters)
    curves = histories_figure(results, objective, direction)
    compared = best is not None and bool(report.parameters)
    environment = make_environment("tuning.report", {"score": format_score, "time": format_time})
    return environment.get_template("page.html").render(
        report=report,
        command=shlex.join(report.command),
        best=best,
        tiles=_tiles(report, best),
        notes=_notes(report, best),
        searched=[_searched_row(one, best, report.parameters) for one in report.parameters],
        progress=_picture(progress_figure(results, objective, direction)) if results else None,
        parallel=_picture(
            parallel_coordinates_figure(results, report.parameters, objective, direction)
        )
        if compared
        else None,
        importance=importance,
        importance_picture=_picture(importance_figure(importance))
        if importance.parameters
        else None,
        method=METHOD,
        defaults=find_defaults_trial(results),
        has_defaults=any(one.default is not None for one in report.parameters),
        rows=_trial_rows(report),
        has_parents=_has_parents(results),
        has_reasons=any(one.reason or one.log for one in results),
        has_spreads=any(one.spread is not None and len(one.scores) > 1 for one in results),
        curves=_picture(curves) if curves else None,
        costs=_costs(report),
    )


def _picture(figure: Any) -> Markup:
    return Markup(svg(figure))


def _without_infinities(one: TrialResult) -> TrialResult:
    """Return the result without numbers that are not finite."""
    scores = [score for score in one.scores if score is not None and math.isfinite(score)]
    return replace(
        one,
        score=one.score if one.score is not None and math.isfinite(one.score) else None,
        spread=one.spread if one.spread is not None and math.isfinite(one.spread) else None,
        seconds=one.seconds if math.isfinite(one.seconds) else 0.0,
        scores=scores,
    )


def _saved(results: Sequence[TrialResult]) -> tuple[int, float]:
    """Return the epochs saved by early stopping, and their fraction of all planned epochs."""
    saved = sum(one.epochs_saved for one in results)
    return saved, saved / max(saved + sum(one.epochs for one in results), 1)


def _tiles(report: StudyReport, best: TrialResult | None) -> list[tuple[str, str, str]]:
    """Return the summary tiles as (name, value, remark)."""
    results = report.results
    counts = {
        status: sum(one.status == status for one in results)
        for status in (COMPLETED, STOPPED, FAILED, RUNNING)
    }
    ended = sum(one.ended for one in results)
    saved, share = _saved(results)
    saving = f"{share:.0%} of the epochs planned, by stopping poor trials"
    at_once = "one at a time" if report.jobs == 1 else f"{report.jobs} at a time"
    return [
        (
            f"best {report.objective}",
            format_score(best.score if best else None),
            f"trial {best.number}" if best else "no trial has a score",
        ),
        *_reference_tiles(report),
        (
            "trials ended",
            f"{ended} of {max(report.planned, len(results))}",
            ", ".join(f"{count} {status}" for status, count in counts.items() if count),
        ),
        ("time", format_time(report.seconds), f"trials {at_once}"),
        (
            "epochs saved",
            f"{saved:,}",
            saving if saved else "no trial was stopped early",
        ),
    ]


def _reference_tiles(report: StudyReport) -> list[tuple[str, str, str]]:
    """Return the tiles of the reference scores: default configuration and baseline."""
    tiles, defaults = [], find_defaults_trial(report.results)
    if defaults:
        words = describe_defaults(report.parameters, defaults.values)
        remark = f"trial {defaults.number}: {words}"
        score = format_score(defaults.score if defaults.ended else None)
        tiles.append(("training's defaults", score, remark))
    if report.baseline:
        always = f"always answering {shorten(report.baseline.answer, 60)!r}"
        tiles.append(("baseline", format_score(report.baseline.value), always))
    return tiles


def _notes(report: StudyReport, best: TrialResult | None) -> list[str]:
    """Return notes and warnings on the reliability of the scores."""
    results, objective, notes = report.results, report.objective, list[str]()
    warning = baseline_warning(results, report.direction, objective, report.baseline)
    compared = defaults_note(results, report.direction, objective, report.parameters)
    notes += [sentence for sentence in (warning, compared) if sentence]
    ended = sum(one.ended for one in results)
    if ended < report.planned:
        notes.append(
            f"The study has not ended: {ended} of {report.planned} trials have. The same command"
            " resumes it."
        )
    if results and all(one.status == FAILED for one in results):
        notes.append("Every trial failed; the reasons are in the table of trials.")
    if best is not None and best.spread and best.score is not None:
        close_trials = [
            one
            for one in scored_configurations(results)
            if one.values != best.values and abs((one.score or 0.0) - best.score) <= best.spread
        ]
        if close_trials:
            numbers = ", ".join(str(one.number) for one in close_trials[:10])
            more = " and others" if len(close_trials) > 10 else ""
            trials, whose = ("trial", "its") if len(close_trials) == 1 else ("trials", "their")
            notes.append(
                f"As good as the best within its spread over seeds (±{format_score(best.spread)}):"
                f" {trials} {numbers}{more}; {whose} place below it may be luck."
            )
    return notes


def _searched_row(
    parameter: Parameter, best: TrialResult | None, parameters: Sequence[Parameter]
) -> dict[str, str]:
    """Return the searched values of a parameter and the best trial's value, as table cells."""
    if parameter.values and (parameter.kind == "choice" or len(parameter.values) <= 12):
        searched = ", ".join(format_value(value, 60) for value in parameter.values)
    else:
        low = parameter.values[0] if parameter.low is None else parameter.low
        high = parameter.values[-1] if parameter.high is None else parameter.high
        steps = f", {len(parameter.values)} values" if parameter.values else ""
        searched = f"{format_value(low)} to {format_value(high)}{steps}"
    if parameter.log:
        searched += ", on a log scale"
    for parent, allowed in parameter.when.items():
        words = " or ".join(format_value(value, 60) for value in allowed)
        searched += f"; only where {parent} is {words}"
    default = DASH if parameter.default is None else format_value(parameter.default)
    row = {
        "name": parameter.name,
        "searched": searched,
        "best": DASH,
        "note": "",
        "default": default,
    }
    if best is not None:
        active = active_values(parameters, best.values)
        row["best"] = "not used"
        if parameter.name in active:
            row["best"] = format_value(active[parameter.name])
            row["note"] = _edge(parameter, active[parameter.name])
    return row


def _edge(parameter: Parameter, value: Any) -> str:
    """Return a remark if the best value is at a bound of the searched range, else an empty text."""
    if not is_numeric(parameter) or not isinstance(value, (int, float)):
        return ""
    ends = (parameter.low, parameter.high)
    if len(parameter.values) > 2:
        ends = (min(parameter.values), max(parameter.values))
    low, high = ends
    if low is None or high is None or low >= high:
        return ""
    log = parameter.log and low > 0 and value > 0
    place, start, stop = (math.log(one) if log else float(one) for one in (value, low, high))
    share = (place - start) / (stop - start)
    # Of a range without steps the outer 5 % count as its bounds.
    margin = 0.0 if parameter.values else 0.05
    if share <= margin:
        return "the best lies at the lower end"
    return "the best lies at the upper end" if share >= 1 - margin else ""


def _trial_rows(report: StudyReport) -> list[dict[str, Any]]:
    """Return one table row per trial: cells, reason and last log lines."""
    failed = sum(bool(one.log) for one in report.results)
    budget = MAX_LOG_CHARACTERS // max(failed, 1)
    rows = []
    for one in report.results:
        active = active_values(report.parameters, one.values)
        score = format_score(one.score)
        if one.spread is not None and len(one.scores) > 1:
            score += f" ± {format_score(one.spread)}"
        cells = [Cell(score, one.score)]
        for parameter in report.parameters:
            value = active.get(parameter.name)
            number = value if isinstance(value, (int, float)) and math.isfinite(value) else None
            text = format_value(value, 40) if parameter.name in active else DASH
            cells.append(Cell(text, number))
        cells += [
            Cell(f"{one.epochs:,}", one.epochs),
            Cell(format_time(one.seconds), one.seconds),
        ]
        if _has_parents(report.results):
            cells.append(Cell(DASH if one.continues is None else str(one.continues), one.continues))
        log = _last_lines(one.log, budget)
        rows.append({"trial": one, "cells": cells, "reason": one.reason or "", "log": log})
    return rows


def _has_parents(results: Sequence[TrialResult]) -> bool:
    return any(one.continues is not None for one in results)


def _last_lines(lines: Sequence[str], budget: int) -> str:
    """Return the last lines that fit into a number of escaped characters."""
    text = "\n".join(lines)[-budget:]
    while len(escape(text)) > budget:
        text = text[len(text) // 2 :]
    return text


def _costs(report: StudyReport) -> list[tuple[str, str]]:
    """Return time and cost as (name, value)."""
    results = report.results
    total = sum(one.seconds for one in results)
    ended = [one.seconds for one in results if one.ended]
    lost = sum(one.seconds for one in results if one.status == FAILED)
    saved, share = _saved(results)
    trained = sum(one.epochs for one in results)
    facts = [
        ("wall time", format_time(report.seconds)),
        ("trials at a time", str(report.jobs)),
        ("time of all trials together", f"{format_time(total)} ({total / 3600:,.2f} trial hours)"),
        ("mean time of a trial", format_time(sum(ended) / len(ended)) if ended else DASH),
        (
            "time lost in failed trials",
            f"{format_time(lost)} ({lost / total:.0%})" if lost > 0 else "none",
        ),
        ("epochs trained", f"{trained:,}"),
        ("epochs saved by stopping", f"{saved:,} ({share:.0%} of what would have been trained)"),
    ]
    if report.price > 0 and math.isfinite(report.price):
        hours = total / 3600
        price = f"{hours * report.price:,.2f} ({hours:,.2f} trial hours at {report.price:,.2f})"
        facts.append(("cost", price))
    return facts

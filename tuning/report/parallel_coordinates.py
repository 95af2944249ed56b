"""Parallel coordinates plot: one axis per parameter, one line per trial, coloured by score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.path import Path

from tfpipe.text_display import shorten
from tuning.report.formatting import format_score, format_value
from tuning.report.importance import active_values, is_numeric
from tuning.report.plots import COLOURS, FAILURE, normalized_score, score_range
from tuning.space import Parameter
from tuning.trial_result import COMPLETED, FAILED, STOPPED, TrialResult, best_of

# Position below the axes of inactive parameters, and of the score of failed trials.
BELOW_AXIS = -0.13
MAX_TICKS = 9


@dataclass(frozen=True)
class AxisScale:
    """Scale of one axis, which maps values to heights from 0 (bottom) to 1 (top).

    Attributes:
        title: Name of the parameter.
        marks: Tick marks as (height, text).
        choices: Values of a choice, evenly spaced; None for a numeric axis.
        span: Lower and upper bound of a numeric axis, as log10 if `log` is set.
        log: Whether the axis is logarithmic.
    """

    title: str
    marks: Sequence[tuple[float, str]]
    choices: Sequence[Any] | None = None
    span: tuple[float, float] = (0.0, 1.0)
    log: bool = False

    def height(self, value: Any) -> float:
        """Return the height of a value; values outside of the range are clipped."""
        if self.choices is not None:
            places = [place for place, one in enumerate(self.choices) if one == value]
            return _share(places[0], len(self.choices)) if places else BELOW_AXIS
        low, high = self.span
        number = math.log10(max(float(value), 1e-300)) if self.log else float(value)
        return min(max((number - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def parallel_coordinates_figure(
    results: Sequence[TrialResult], parameters: Sequence[Parameter], objective: str, direction: str
) -> Figure:
    """Plot one line per ended trial, the best one in black, failed ones dashed (Inselberg 1985).

    The last axis is the objective, with better scores at the top. Lines pass below the axis of a
    parameter that was inactive.

    Args:
        results: The trials.
        parameters: The searched parameters, in the order of their axes.
        objective: Label of the last axis.
        direction: Which scores are better, `max` or `min`.
    """
    shown = [one for one in results if one.status == FAILED or _has_score(one)]
    active = {one.number: active_values(parameters, one.values) for one in shown}
    limits = score_range([one.score for one in shown if one.score is not None], direction)
    scales = [_scale(parameter) for parameter in parameters]
    count = len(scales)
    wide = max(9.0, 1.5 + 0.86 * len(scales))
    figure = Figure(figsize=(wide, 4.2), dpi=100)
    figure.set_label("parallel")
    axes = figure.add_axes((0.75 / wide, 0, 1 - 1.45 / wide, 1))
    axes.set_axis_off()

    best = best_of(list(results), direction)
    lines: list[tuple[TrialResult, list[float]]] = []
    for one in shown:
        score = one.score if _has_score(one) else None
        quality = 0.0 if score is None else normalized_score(score, limits, direction)
        heights = [
            _height(scale, parameter, active[one.number], quality)
            for scale, parameter in zip(scales, parameters, strict=True)
        ]
        lines.append((one, [*heights, BELOW_AXIS if score is None else quality]))
    _draw_lines(axes, lines, best)
    unused = [
        any(heights[place] < BELOW_AXIS / 2 for _, heights in lines) for place in range(count)
    ]
    failed = any(one.status == FAILED for one in shown)
    # Many titles alternate between two rows.
    rows = 2 if count > 6 else 1
    below = BELOW_AXIS if failed or any(unused) else 0.0
    axes.set(xlim=(0, count), ylim=(below - 0.06, 1.05 + 0.07 * rows))
    for place, scale in enumerate(scales):
        _draw_scale(axes, place, scale, place % rows, unused[place])
    _draw_objective(axes, count, objective, direction, limits, failed)
    return figure


def _has_score(one: TrialResult) -> bool:
    return one.status in (COMPLETED, STOPPED) and one.score is not None


def _height(
    scale: AxisScale, parameter: Parameter, active: Mapping[str, Any], quality: float
) -> float:
    if parameter.name not in active:
        return BELOW_AXIS + 0.02 * (quality - 0.5)
    # Lines through the same value are spread by their score, so that each remains visible; those
    # of the ends of the axis stay on it.
    spread = min(0.09, 0.5 / (len(parameter.values) or math.inf))
    middle = min(max(scale.height(active[parameter.name]), spread / 2), 1 - spread / 2)
    return middle + (quality - 0.5) * spread


def _share(place: int, places: int) -> float:
    return place / (places - 1) if places > 1 else 0.5


def _scale(parameter: Parameter) -> AxisScale:
    """Return the scale of a parameter: evenly spaced choices, else linear or logarithmic."""
    values = list(parameter.values)
    if parameter.kind == "choice" or not is_numeric(parameter):
        every = math.ceil(len(values) / MAX_TICKS)
        marks = [
            (_share(place, len(values)), format_value(value, 12))
            for place, value in enumerate(values)
            if place % every == 0
        ]
        return AxisScale(parameter.name, marks, choices=values)
    low = float(values[0] if parameter.low is None else parameter.low)
    high = float(values[-1] if parameter.high is None else parameter.high)
    log = parameter.log and low > 0
    span = (math.log10(low), math.log10(high)) if log else (low, high)
    unmarked = AxisScale(parameter.name, (), span=span, log=log)
    if values and len(values) <= MAX_TICKS:
        ticks = values
    elif log:
        powers = range(math.ceil(span[0]), math.floor(span[1]) + 1)
        ticks = [low, *(10.0**power for power in powers), high]
    else:
        ticks = [low, *np.linspace(low, high, 5)[1:-1].tolist(), high]
    if parameter.kind == "int":
        ticks = [int(tick) for tick in ticks if tick == int(tick)]
    marks = []
    for tick in (ticks[0], ticks[-1], *ticks[1:-1]):
        height = unmarked.height(tick)
        if all(abs(height - other) > 0.06 for other, _ in marks):
            marks.append((height, format_value(tick, 12)))
    return AxisScale(parameter.name, marks, span=span, log=log)


def _draw_lines(
    axes: Axes, lines: Sequence[tuple[TrialResult, list[float]]], best: TrialResult | None
) -> None:
    opacity = min(0.9, max(0.3, 12 / max(len(lines), 1)))
    scored = sorted((heights[-1], heights) for one, heights in lines if _has_score(one))
    failed = [heights for one, heights in lines if one.status == FAILED]
    colours = [(*COLOURS(quality)[:3], opacity + 0.1 * quality) for quality, _ in scored]
    groups: list[tuple[list[list[float]], dict[str, Any]]] = [
        (failed, {"edgecolors": FAILURE, "linestyles": "dashed", "alpha": max(opacity, 0.5)}),
        ([heights for _, heights in scored], {"edgecolors": colours}),
    ]
    for group, style in groups:
        if group:
            paths = [_curve(heights) for heights in group]
            axes.add_collection(
                PathCollection(paths, facecolors="none", linewidths=1.3, clip_on=False, **style)
            )
    for one, heights in lines:
        if best is not None and one.number == best.number:
            axes.add_collection(
                PathCollection(
                    [_curve(heights)],
                    facecolors="none",
                    edgecolors="black",
                    linewidths=2.6,
                    zorder=4,
                    clip_on=False,
                )
            )


def _curve(heights: Sequence[float]) -> Path:
    """Return a smooth curve that is horizontal at each axis, so that it can be followed across."""
    points = [(0.0, heights[0])]
    for place, (here, there) in enumerate(zip(heights, heights[1:], strict=False)):
        points += [(place + 0.4, here), (place + 0.6, there), (place + 1.0, there)]
    return Path(points, [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1))


def _draw_scale(axes: Axes, place: int, scale: AxisScale, row: int, unused: bool) -> None:
    axes.plot([place, place], [0, 1], color="black", linewidth=1, zorder=5, clip_on=False)
    _write(axes, place, 1.07 + 0.065 * row, shorten(scale.title, 20), 9.5, ha="center")
    marks = [*scale.marks, *([(BELOW_AXIS, "not used")] if unused else [])]
    for height, text in marks:
        axes.plot(place, height, marker="_", markersize=5, color="black", zorder=5, clip_on=False)
        _write(axes, place - 0.045, height, text, 8.5, ha="right")


def _draw_objective(
    axes: Axes,
    place: int,
    objective: str,
    direction: str,
    limits: tuple[float, float],
    failed: bool,
) -> None:
    steps = np.linspace(0, 1, 41)
    # Segments overlap, because browsers show gaps between segments that only touch.
    segments = [[(place, step), (place, min(step + 0.028, 1.0))] for step in steps[:-1]]
    axes.add_collection(
        LineCollection(segments, colors=COLOURS(steps[:-1]), linewidths=6, clip_on=False, zorder=5)
    )
    _write(axes, place, 1.07, shorten(objective, 20), 9.5, ha="center", weight="bold")
    ends = limits if direction == "max" else limits[::-1]
    for height in (0.0, 0.25, 0.5, 0.75, 1.0):
        score = ends[0] + height * (ends[1] - ends[0])
        _write(axes, place + 0.07, height, format_score(score, 3), 8.5, ha="left")
    if failed:
        _write(axes, place + 0.07, BELOW_AXIS, "failed", 8.5, ha="left")


def _write(axes: Axes, x: float, y: float, text: str, size: float, **style: Any) -> None:
    axes.text(x, y, text, size=size, va="center", parse_math=False, zorder=6, **style)

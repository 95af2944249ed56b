"""Plots of a study for its report: progress, parameter importance and learning curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfpipe.text_display import shorten
from tuning.report.importance import Importance
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult, best_of

# From poor to good scores, visible on light and dark pages. Black is replaced by the page's text
# colour.
COLOURS = LinearSegmentedColormap.from_list("scores", ["#b9a58a", "#6aa6a0", "#2f7fd0"])
FAILURE = "#d9481c"
MARKER_STYLES: dict[str, dict[str, Any]] = {
    COMPLETED: {"marker": "o", "color": "#2f7fd0", "markersize": 5},
    STOPPED: {"marker": "D", "color": "#b7860b", "markersize": 4.5, "markerfacecolor": "none"},
    RUNNING: {"marker": "o", "color": "#888888", "markersize": 5, "markerfacecolor": "none"},
    FAILED: {"marker": "x", "color": FAILURE, "markersize": 6, "markeredgewidth": 1.6},
}
MAX_POINTS = 20_000


def score_range(scores: Sequence[float], direction: str) -> tuple[float, float]:
    """Return the range of scores to plot.

    On the poor side, scores more than three interquartile ranges beyond the quartile are excluded,
    so that a diverged trial does not compress the others.

    Args:
        scores: The scores.
        direction: Which scores are better, `max` or `min`.

    Returns:
        The lowest and the highest score, which are never equal.
    """
    if not len(scores):
        return 0.0, 1.0
    known = np.clip(np.asarray(scores, dtype=np.float64), -1e30, 1e30)
    low, high = float(known.min()), float(known.max())
    lower, upper = np.percentile(known, [25, 75])
    if upper > lower and direction == "max":
        low = max(low, float(lower - 3 * (upper - lower)))
    elif upper > lower:
        high = min(high, float(upper + 3 * (upper - lower)))
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-3):
        margin = max(abs(low) * 0.05, 1e-3)
        return low - margin, high + margin
    return low, high


def normalized_score(score: float, limits: tuple[float, float], direction: str) -> float:
    """Scale a score to 0 for the poorest and 1 for the best score of a range.

    Args:
        score: The score, clipped to the range.
        limits: Lowest and highest score of the range.
        direction: Which scores are better, `max` or `min`.
    """
    share = (min(max(score, limits[0]), limits[1]) - limits[0]) / (limits[1] - limits[0])
    return share if direction == "max" else 1 - share


def progress_figure(results: Sequence[TrialResult], objective: str, direction: str) -> Figure:
    """Plot scores by trial number, the best score so far as a line, failed trials on the axis."""
    figure, axes = _new_figure("progress", 9, 3.4)
    scored = [one for one in results if one.score is not None and one.status != FAILED]
    limits = score_range([one.score for one in scored if one.score is not None], direction)
    margin = 0.08 * (limits[1] - limits[0])
    bottom, top = limits[0] - margin, limits[1] + margin
    last = max((one.number for one in results), default=1)
    _draw_best_so_far(axes, results, direction, last)
    for status, style in MARKER_STYLES.items():
        rows = [one for one in (results if status == FAILED else scored) if one.status == status]
        if not rows:
            continue
        # A failed trial has no score: its marker is drawn on the axis.
        heights = [
            bottom if status == FAILED else min(max(one.score or 0.0, bottom), top) for one in rows
        ]
        label = f"{status} ({len(rows)})"
        axes.plot(
            [one.number for one in rows],
            heights,
            linestyle="none",
            label=label,
            clip_on=False,
            zorder=3,
            **style,
        )
    spread = [one for one in scored if one.spread and bottom < (one.score or 0.0) < top]
    for one in spread:
        mean, half = one.score or 0.0, one.spread or 0.0
        ends = [max(mean - half, bottom), min(mean + half, top)]
        axes.plot([one.number] * 2, ends, color="#888888", linewidth=1, zorder=2)
    best = best_of(list(results), direction)
    if best is not None and best.score is not None:
        axes.plot(best.number, best.score, "o", markersize=11, mfc="none", mec="black", zorder=4)
    axes.set(xlim=(0.5, max(last, 2) + 0.5), ylim=(bottom, top))
    if not scored:
        axes.set_yticks([])
    _label(axes, "trial", objective)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, framealpha=0, ncols=5, loc="lower left", bbox_to_anchor=(-0.01, 1))
    return figure


def _draw_best_so_far(
    axes: Axes, results: Sequence[TrialResult], direction: str, last: int
) -> None:
    numbers: list[int] = []
    scores: list[float] = []
    for one in sorted(results, key=lambda one: one.number):
        if one.status not in (COMPLETED, STOPPED) or one.score is None:
            continue
        better = max if direction == "max" else min
        scores.append(better(scores[-1], one.score) if scores else one.score)
        numbers.append(one.number)
    if numbers:
        # The line is extended to the last trial.
        axes.step(
            [*numbers, max(last, numbers[-1]) + 0.5],
            [*scores, scores[-1]],
            where="post",
            color="black",
            linewidth=1.4,
            label="best so far",
        )


def importance_figure(importance: Importance) -> Figure:
    """Plot the R² lost by shuffling each parameter, with the standard deviation of the shuffles."""
    rows = importance.parameters
    figure, axes = _new_figure("importance", 6.2, 0.75 + 0.3 * len(rows))
    places = range(len(rows))
    drops = [max(one.drop, 0.0) for one in rows]
    axes.barh(places, drops, height=0.6, color="#2f7fd0")
    widest = max([0.01, *(one.drop + one.deviation for one in rows)])
    for place, one in zip(places, rows, strict=True):
        ends = [max(one.drop - one.deviation, 0.0), max(one.drop + one.deviation, 0.0)]
        axes.plot(ends, [place, place], color="black", linewidth=1)
        axes.text(
            ends[1] + 0.012 * widest, place, f"{max(one.drop, 0.0):.2f}", size=8.5, va="center"
        )
    names = [shorten(one.name, 28) for one in rows]
    axes.set_yticks(places, names, size=9, parse_math=False)
    axes.set(xlim=(0, 1.08 * widest), ylim=(len(rows) - 0.4, -0.6))
    _label(axes, "R² lost when shuffled", None)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0, labelsize=9)
    return figure


def histories_figure(
    results: Sequence[TrialResult], objective: str, direction: str
) -> Figure | None:
    """Plot the learning curve of each trial, the best one in black; None if there are none."""
    key = objective.replace(".", "_", 1)
    lines = {one.number: _points(one, key) for one in results}
    ends = [points[-1][1] for points in lines.values() if points]
    if not ends:
        return None
    figure, axes = _new_figure("curves", 9, 3.6)
    limits = score_range([y for points in lines.values() for _, y in points], direction)
    every = math.ceil(sum(map(len, lines.values())) / MAX_POINTS)
    best = best_of(list(results), direction)
    opacity = 0.75 if len(results) <= 30 else 0.4
    for one in results:
        points = lines[one.number][::-every][::-1]
        if not points:
            continue
        score = one.score if one.score is not None else points[-1][1]
        style: dict[str, Any] = {
            "color": COLOURS(normalized_score(score, limits, direction)),
            "alpha": opacity,
            "linewidth": 1.2,
            "linestyle": "--" if one.status == FAILED else "-",
        }
        if best is not None and one.number == best.number:
            style = {"color": "black", "linewidth": 2.2, "label": f"trial {one.number}, the best"}
            style["zorder"] = 5
        x, y = zip(*points, strict=True)
        axes.plot(x, y, marker="o" if len(points) == 1 else "", markersize=3.5, **style)
    margin = 0.05 * (limits[1] - limits[0])
    axes.set_ylim(limits[0] - margin, limits[1] + margin)
    _label(axes, "epoch", objective)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8.5, framealpha=0, loc="lower left", bbox_to_anchor=(-0.01, 1))
    return figure


def _points(one: TrialResult, key: str) -> list[tuple[float, float]]:
    pairs = [(row.get("epoch", place), row.get(key)) for place, row in enumerate(one.history, 1)]
    return [
        (float(x), min(max(float(y), -1e30), 1e30))
        for x, y in pairs
        if isinstance(x, (int, float)) and isinstance(y, (int, float)) and math.isfinite(y)
    ]


def _new_figure(label: str, wide: float, high: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(wide, high), dpi=100, layout="constrained")
    figure.set_label(label)
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#888888", alpha=0.25, linewidth=0.5)
    axes.tick_params(labelsize=8.5)
    return figure, axes


def _label(axes: Axes, x: str, y: str | None) -> None:
    axes.set_xlabel(x, size=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if y is not None:
        axes.set_ylabel(y, size=9, parse_math=False)
        axes.yaxis.set_major_formatter("{x:.4g}")

"""Line charts of the report: learning curves, calibration, abstention, gold values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tfpipe.report.fonts import font_families
from tfpipe.report.i18n import Wording
from tfpipe.report.images import PAGE_COLOURS as LINES
from tfpipe.tasks.sections import Abstention, Calibration, Scatter

MOST_POINTS = 1500
# Metrics that are left out first where there are more than colours.
MINOR = ("dev_weighted_f1", "dev_coverage", "dev_selective_accuracy")


def curves_figures(history: Sequence[Mapping[str, Any]], wording: Wording) -> list[Figure]:
    """Draw learning curves: one figure of the losses, one of the dev metrics between -1 and 1.

    Args:
        history: One mapping an epoch, {"epoch", "loss", "dev_loss", "dev_accuracy", ..., "best"}; a
            missing metric leaves a gap; the last epoch that was the best is marked as kept.
        wording: Language of the labels.
    """
    epochs = [row.get("epoch", place) for place, row in enumerate(history, start=1)]
    kept = [epoch for epoch, row in zip(epochs, history, strict=True) if row.get("best")]
    scores = dict.fromkeys(key for row in history for key in row if key.startswith("dev_"))
    shares = [
        key
        for key in scores
        if key != "dev_loss" and all(abs(row.get(key, 0)) <= 1 for row in history)
    ]
    figures = []
    for label, title, keys in (
        ("losses", wording("axis.loss"), ["loss", "dev_loss"]),
        ("metrics", wording("axis.figures"), sorted(shares, key=MINOR.__contains__)[: len(LINES)]),
    ):
        figure = _new_figure(4.6, 3.4, label)
        axes = figure.add_axes((0.1, 0.32, 0.88, 0.6))
        for key, colour in zip(keys, LINES, strict=False):
            values = [row.get(key, np.nan) for row in history]
            name = {"loss": wording("train"), "dev_loss": wording("dev")}.get(key)
            name = name or wording.term("figure", key.removeprefix("dev_"))
            axes.plot(epochs, values, color=colour, marker="o", markersize=3.5, label=name)
        if kept:
            axes.axvline(
                kept[-1], color="black", linewidth=0.9, linestyle=":", label=wording("axis.kept")
            )
        axes.set_title(title, size=10, weight="bold", loc="left", family=font_families())
        axes.set_xlabel(wording("axis.epoch"), size=9, family=font_families())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(axes, below=0.22)
        figures.append(figure)
    return figures


def reliability_figure(calibration: Calibration, wording: Wording) -> Figure:
    """Draw the share of correct answers over their score, with intervals, and the counts below."""
    answers = calibration.answers
    filled = answers.counts > 0
    figure = _new_figure(5.2, 4.9, "calibration")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.17, top=0.98, hspace=0.08)
    upper.plot(
        *([0, 1], [0, 1]),
        color="black",
        linewidth=0.9,
        linestyle=":",
        label=wording("axis.perfect"),
    )
    measured = answers.accuracy[filled]
    upper.errorbar(
        answers.confidence[filled],
        measured,
        yerr=np.maximum([measured - answers.low[filled], answers.high[filled] - measured], 0),
        color=LINES[0],
        marker="o",
        markersize=4.5,
        linewidth=1.5,
        elinewidth=1,
        label=wording("axis.measured"),
    )
    upper.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03))
    upper.set_ylabel(wording("axis.accuracy"), size=9, family=font_families())
    edges = answers.edges
    lower.bar(
        edges[:-1], answers.counts, np.diff(edges), align="edge", color=LINES[0], edgecolor="none"
    )
    lower.set_ylabel(wording("axis.counts"), size=9, family=font_families())
    lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    lower.set_xlabel(wording("axis.confidence"), size=9, family=font_families())
    for axes in (upper, lower):
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        # The legend belongs to the upper axes, and has its place below both.
        _finish(axes, below=0.42)
    upper.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def abstention_figure(abstention: Abstention, wording: Wording) -> Figure:
    """Draw the share of wrong answers over the share of texts that are answered."""
    figure = _new_figure(5.2, 3.6, "abstention")
    axes = figure.add_axes((0.13, 0.22, 0.84, 0.75))
    axes.plot(abstention.coverage, abstention.risk, color=LINES[0], linewidth=1.6)
    axes.plot(
        [abstention.chosen.coverage],
        [1 - abstention.chosen.selective_accuracy],
        "o",
        color=LINES[1],
        markersize=7,
        label=wording("axis.chosen"),
    )
    axes.set_xlabel(wording("axis.coverage"), size=9, family=font_families())
    axes.set_ylabel(wording("axis.risk"), size=9, family=font_families())
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlim(0, 1.02)
    axes.set_ylim(bottom=0)
    _finish(axes, below=0.18)
    return figure


def scatter_figure(scatter: Scatter, wording: Wording) -> Figure:
    """Draw predicted over gold values, a seeded sample of at most 1,500 points."""
    rows = np.arange(len(scatter.gold))
    if len(rows) > MOST_POINTS:
        rows = np.sort(np.random.default_rng(1).choice(rows, MOST_POINTS, replace=False))
    figure = _new_figure(5.2, 4.4, "scatter")
    axes = figure.add_axes((0.12, 0.11, 0.85, 0.86))
    gold, predicted = scatter.gold[rows], scatter.predicted[rows]
    ends = [float(min(gold.min(), predicted.min())), float(max(gold.max(), predicted.max()))]
    axes.plot(gold, predicted, "o", color=LINES[0], markersize=3, alpha=0.35, markeredgewidth=0)
    axes.plot(ends, ends, color="black", linewidth=0.9, linestyle=":")
    axes.set_xlabel(wording("axis.gold"), size=9, family=font_families())
    axes.set_ylabel(wording("axis.predicted"), size=9, family=font_families())
    _finish(axes)
    return figure


def _new_figure(wide: float, high: float, label: str) -> Figure:
    figure = Figure(figsize=(wide, high), dpi=100, facecolor="white")
    figure.set_label(label)
    return figure


def _finish(axes: Axes, below: float = 0.0) -> None:
    """Style the axes; `below`, in heights of the axes, is where the legend begins under them."""
    axes.tick_params(labelsize=8)
    axes.grid(color="#888888", alpha=0.25, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_facecolor("none")
    if any(not str(line.get_label()).startswith("_") for line in axes.lines):
        # Under the axes, where it hides no point.
        axes.legend(
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, -below),
            ncols=3,
            prop=FontProperties(family=font_families(), size=8),
        )

"""Bar chart of one metric of many items, such as F1 of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from tfpipe.report.confusion_png import note_on_numbers, picture_names
from tfpipe.report.fonts import font_families, width_in_ems
from tfpipe.report.images import PAGE_COLOURS

MOST_BARS = 60
SIZE = 9


class Bar(NamedTuple):
    """One bar.

    Attributes:
        name: Its item.
        value: 0 to 1.
        note: Text after the value, such as the number of examples.
    """

    name: str
    value: float
    note: str


def bars_figure(bars: Sequence[Bar], title: str) -> Figure:
    """Draw horizontal bars from 0 to 1 in their order, at most 60."""
    shown = bars[:MOST_BARS]
    names = picture_names([bar.name for bar in shown])
    margin = max([width_in_ems(name) for name in names], default=1) * SIZE / 72 + 0.15
    row, above, below, side = 0.24, 0.45, 0.4, 3.6
    wide, high = margin + side + 1.4, above + below + row * max(len(shown), 1)
    figure = Figure(figsize=(wide, high), dpi=100, facecolor="white")
    figure.set_label("bars")
    axes = figure.add_axes((margin / wide, below / high, side / wide, 1 - (above + below) / high))
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.5, -0.5), yticks=[])
    axes.barh(range(len(shown)), [bar.value for bar in shown], height=0.66, color=PAGE_COLOURS[0])
    words: dict[str, Any] = {"size": SIZE, "va": "center_baseline", "parse_math": False}
    for place, (bar, name) in enumerate(zip(shown, names, strict=True)):
        axes.text(-0.015, place, name, ha="right", family=font_families(), **words)
        axes.text(1.02, place, f"{bar.value:.3f}   {bar.note}", **words)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", color="#888888", alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if len(shown) < len(bars):
        title += f": the first {len(shown)} of {len(bars):,}"
    title += note_on_numbers(names, [bar.name for bar in shown])
    figure.text(0.1 / wide, 1 - 0.1 / high, title, size=11, weight="bold", va="top")
    return figure

"""Confusion matrix as an image for TensorBoard, with the most frequent confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfpipe.report.fonts import (
    can_draw,
    characters_within,
    font_families,
    width_in_ems,
)
from tfpipe.tasks.classify.confusion import ConfusedPair, errors_of, worst_pairs
from tfpipe.text_display import shorten

RIGHT = (0x2B / 255, 0x6C / 255, 0xB0 / 255)
WRONG = (0xD9 / 255, 0x48 / 255, 0x1C / 255)
MOST_NUMBERED_LABELS = 40
MOST_MARKED_PAIRS = 10
# The text in TensorBoard with the names of numbered labels.
NUMBERS_TAG = "dev/label_numbers"


def picture_names(label_names: Sequence[str]) -> list[str]:
    """Return short label names; `#12` where no installed font can draw one."""
    names = [shorten(name, characters_within(name, ems=22)) for name in label_names]
    return [name if can_draw(name) else f"#{column}" for column, name in enumerate(names)]


def note_on_numbers(shown: Sequence[str], label_names: Sequence[str]) -> str:
    """Return where to find the names that `picture_names` replaced by numbers; "" for none."""
    numbered = any(a != b and a.startswith("#") for a, b in zip(shown, label_names, strict=True))
    return f"; #N: see the text {NUMBERS_TAG}" if numbered else ""


def confusion_figure(
    confusion: np.ndarray, label_names: Sequence[str], label_limit: int = 200
) -> Figure:
    """Draw the confusion matrix: rows gold, columns predicted, colours by share of the row.

    Up to 40 labels every cell has its count; with more, the ten most frequent confusions are
    numbered and listed below.

    Args:
        confusion: int [K, K], rows gold.
        label_names: K names.
        label_limit: Of more labels, those with the most errors are shown.
    """
    errors = errors_of(confusion)
    total = errors.sum(axis=0) + errors.sum(axis=1)
    shown = np.sort(np.argsort(-total, kind="stable")[:label_limit])
    counts = confusion[np.ix_(shown, shown)]
    shares = counts / np.maximum(confusion.sum(axis=1)[shown], 1)[:, None]
    all_names = picture_names(label_names)
    names = [all_names[column] for column in shown]
    many = len(shown) > MOST_NUMBERED_LABELS
    places = {int(column): place for place, column in enumerate(shown)}
    pairs = [
        pair
        for pair in (worst_pairs(confusion)[:MOST_MARKED_PAIRS] if many else [])
        if pair.gold in places and pair.predicted in places and pair.count > 1
    ]

    cell = float(np.clip(9 / len(shown), 0.15, 0.8))
    size = float(np.clip(cell * 72 * 0.62, 6.5, 10))
    side = cell * len(shown)
    margin = max(width_in_ems(name) for name in names) * size / 72 + 0.2
    far_margin = margin if many else 0.3
    above, below = 0.75 + (margin if many else 0), margin + 0.4 + 0.19 * len(pairs)
    # Even the narrowest figure has space for its title and the colour key.
    wide, high = max(margin + side + far_margin, 5.0), above + side + below
    figure = _new_figure(wide, high, "confusion")
    axes = figure.add_axes((margin / wide, below / high, side / wide, side / high))
    axes.set_axis_off()
    axes.set(xlim=(-0.5, len(shown) - 0.5), ylim=(len(shown) - 0.5, -0.5))
    axes.imshow(_colours(shares, np.eye(len(shown)) > 0), interpolation="none", aspect="auto")
    _draw_grid(axes, len(shown))
    _draw_names(axes, names, size, gap=0.05 / cell, all_sides=many)
    if many:
        marked = [(places[pair.gold], places[pair.predicted]) for pair in pairs]
        _mark_pairs(axes, marked, max(17, cell * 72 * 1.5))
    else:
        _write_counts(axes, counts, shares, min(size, 10))

    left = 0.15 / wide
    title = _title(confusion, len(shown))
    figure.text(left, 1 - 0.15 / high, title, size=11, weight="bold", va="top")
    note = "rows: gold label, columns: predicted label" + note_on_numbers(all_names, label_names)
    figure.text(left, 1 - 0.4 / high, note, size=8.5, va="top")
    _draw_key(figure, wide, high, 0.22 + 0.19 * len(pairs))
    _list_pairs(figure, pairs, all_names, left, high)
    return figure


def _title(confusion: np.ndarray, shown: int) -> str:
    right, total = int(np.trace(confusion)), int(confusion.sum())
    title = f"{right:,} of {total:,} texts right"
    if shown < len(confusion):
        title += f"; the {shown} of {len(confusion):,} labels with the most errors"
    return title


def _list_pairs(
    figure: Figure, pairs: Sequence[ConfusedPair], names: Sequence[str], left: float, high: float
) -> None:
    for number, pair in enumerate(pairs, start=1):
        gold, predicted = names[pair.gold], names[pair.predicted]
        line = f"{number}.  {gold} → {predicted}:  {pair.count:,} of {pair.support:,}"
        height = (0.1 + 0.19 * (len(pairs) - number)) / high
        figure.text(left, height, line, size=8.5, family=font_families(), parse_math=False)


def _new_figure(wide: float, high: float, label: str) -> Figure:
    figure = Figure(figsize=(wide, high), dpi=100, facecolor="white")
    figure.set_label(label)
    return figure


def _colours(shares: np.ndarray, right: np.ndarray) -> np.ndarray:
    # Errors start with a strong colour, so that one in a hundred is visible beside a full diagonal;
    # empty cells are transparent, for light and dark pages.
    colours = np.empty((*shares.shape, 4))
    colours[..., :3] = np.where(right[..., None], RIGHT, WRONG)
    strength = np.where(right, 0.08 + 0.82 * shares, 0.3 + 0.7 * np.sqrt(shares))
    colours[..., 3] = np.where(shares > 0, strength, 0)
    return np.rint(colours * 255).astype(np.uint8)


def _draw_grid(axes: Axes, labels: int) -> None:
    # One line with gaps is one SVG element; a line for each row would be hundreds.
    edges = np.repeat(np.arange(labels + 1) - 0.5, 3)
    span = np.tile([-0.5, labels - 0.5, np.nan], labels + 1)
    x, y = np.concatenate([edges, span]), np.concatenate([span, edges])
    axes.plot(x, y, color="#888888", linewidth=0.4, alpha=0.45, clip_on=False)


def _draw_names(axes: Axes, names: Sequence[str], size: float, gap: float, all_sides: bool) -> None:
    near, far = -0.5 - gap, len(names) - 0.5 + gap
    across: dict[str, Any] = {
        "size": size,
        "family": font_families(),
        "va": "center_baseline",
        "parse_math": False,
    }
    upright = {**across, "rotation": 90, "rotation_mode": "anchor"}
    for place, name in enumerate(names):
        axes.text(near, place, name, ha="right", **across)
        axes.text(place, far, name, ha="right", **upright)
        if all_sides:
            axes.text(far, place, name, ha="left", **across)
            axes.text(place, near, name, ha="left", **upright)


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray, size: float) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            strong = shares[row, column] > (0.6 if row == column else 0.35)
            axes.text(
                column,
                row,
                f"{count:,}",
                size=size,
                ha="center",
                va="center_baseline",
                color="white" if strong else "black",
            )


def _mark_pairs(axes: Axes, cells: Sequence[tuple[int, int]], size: float) -> None:
    last = axes.get_xlim()[1] - 2
    for number, (row, column) in enumerate(cells, start=1):
        # Beside the ring; at the edges on its inner side, where no label name is.
        aside = (size * (0.42 if column < last else -0.7), size * (0.42 if row > 1 else -0.7))
        axes.plot(
            column,
            row,
            "o",
            markersize=size,
            markerfacecolor="none",
            markeredgecolor="black",
            markeredgewidth=1,
            clip_on=False,
        )
        axes.annotate(
            str(number),
            (column, row),
            aside,
            textcoords="offset points",
            size=9,
            weight="bold",
            annotation_clip=False,
        )


def _draw_key(figure: Figure, wide: float, high: float, bottom: float) -> None:
    levels = np.linspace(0.01, 1, 40)[None]
    for start, right, word in ((0.15, True, "right"), (2.0, False, "wrong")):
        axes = figure.add_axes((start / wide, bottom / high, 0.8 / wide, 0.11 / high))
        axes.set_axis_off()
        key = _colours(levels, np.full(levels.shape, right))
        axes.imshow(key, aspect="auto", interpolation="none")
        place = ((start + 0.87) / wide, (bottom + 0.005) / high)
        figure.text(*place, f"{word}, 1 to 100%", size=7.5)

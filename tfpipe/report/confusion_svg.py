"""Confusion matrix as SVG in the report page, with a title for each cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from tfpipe.report.fonts import characters_within, width_in_ems
from tfpipe.report.i18n import Wording
from tfpipe.tasks.sections import Confusion
from tfpipe.text_display import shorten

MOST_LABELS = 200
MOST_CELLS = 4000
# Up to this many labels every cell shows its count; with more, its title does.
MOST_COUNTED = 40
MARKED_PAIRS = 10


@dataclass(frozen=True)
class Matrix:
    """A drawn confusion matrix.

    Attributes:
        svg: The <svg> element.
        labels: Number of labels shown.
        cells: Number of cells shown.
        all_cells: Number of cells with texts.
        large: Whether it has to be enlarged to be read.
    """

    svg: Markup
    labels: int
    cells: int
    all_cells: int
    large: bool


def draw_matrix(confusion: Confusion, wording: Wording) -> Matrix:
    """Draw a confusion matrix: rows gold, columns predicted, colours by share of the row.

    Of more than 200 labels, those with the most errors are shown, and of more than 4,000 cells
    with texts those with the most. With over 40 labels the ten most frequent confusions are
    numbered.
    """
    shown = _labels_to_show(confusion.counts)
    counts = confusion.counts[np.ix_(shown, shown)]
    support = confusion.counts.sum(axis=1)[shown]
    names = [confusion.label_names[label] for label in shown]
    large = len(shown) > MOST_COUNTED
    cell = 14 if large else int(np.clip(560 // max(len(shown), 1), 24, 64))
    font = 10 if large else 12
    short = [shorten(name, characters_within(name, ems=16)) or "–" for name in names]
    margin = round(max((width_in_ems(name) for name in short), default=1) * font * 0.95 + 10)
    side = cell * len(shown)
    rows, columns = np.nonzero(counts)
    largest = np.argsort(-counts[rows, columns], kind="stable")[:MOST_CELLS]
    # In reading order, for screen readers.
    kept = sorted(zip(rows[largest].tolist(), columns[largest].tolist(), strict=True))
    parts = [_grid(margin, side, cell, len(shown)), _names(short, margin, cell, font, side, large)]
    for row, column in kept:
        count = int(counts[row, column])
        title = wording(
            "confusion.cell",
            gold=shorten(names[row], 80),
            predicted=shorten(names[column], 80),
            count=count,
            support=int(support[row]),
            share=f"{count / support[row]:.0%}",
        )
        parts.append(_cell(row, column, count, count / support[row], title, margin, cell, large))
    if large:
        parts += _marks(confusion, names, margin, cell)
    wide = margin + side + (margin if large else 2)
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cells" role="img"'
        f' aria-label="{escape(wording("confusion.whole"))}" viewBox="0 0 {wide} {wide}"'
        f' style="--natural:{wide}px">{"".join(parts)}</svg>'
    )
    return Matrix(Markup(picture), len(shown), len(kept), len(rows), large)


def _labels_to_show(counts: np.ndarray) -> np.ndarray:
    errors = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    total = errors.sum(axis=0) + errors.sum(axis=1)
    return np.sort(np.argsort(-total, kind="stable")[:MOST_LABELS])


def _grid(margin: int, side: int, cell: int, labels: int) -> str:
    across = "".join(f"M{margin} {margin + cell * n}h{side}" for n in range(labels + 1))
    down = "".join(f"M{margin + cell * n} {margin}v{side}" for n in range(labels + 1))
    return f'<path class="grid" d="{across}{down}"/>'


def _names(short: list[str], margin: int, cell: int, font: int, side: int, large: bool) -> str:
    """Return names on the left and above; with many labels on the right and below, too."""
    parts = [f'<g font-size="{font}">']
    far = margin + side + 5
    for place, name in enumerate(short):
        middle = margin + cell * place + cell / 2
        baseline, shown = middle + font * 0.35, escape(name)
        across = f"{middle + font * 0.35:g}"
        parts.append(f'<text x="{margin - 5}" y="{baseline:g}" text-anchor="end">{shown}</text>')
        parts.append(
            f'<text transform="translate({across} {margin - 5}) rotate(-90)">{shown}</text>'
        )
        if large:
            parts.append(f'<text x="{far}" y="{baseline:g}">{shown}</text>')
            parts.append(
                f'<text transform="translate({across} {far}) rotate(-90)"'
                f' text-anchor="end">{shown}</text>'
            )
    return "".join(parts) + "</g>"


def _cell(
    row: int,
    column: int,
    count: int,
    share: float,
    title: str,
    margin: int,
    cell: int,
    large: bool,
) -> str:
    right = row == column
    # Errors start with a strong colour, so that one in a hundred is visible beside a full diagonal.
    strength = 0.1 + 0.8 * share if right else 0.28 + 0.72 * share**0.5
    x, y = margin + cell * column, margin + cell * row
    kind = "hit" if right else "miss"
    square = (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{cell}" height="{cell}"'
        f' fill-opacity="{strength:.2f}"><title>{escape(title)}</title></rect>'
    )
    if large:
        return square
    strong = " strong" if strength > 0.6 else ""
    size = min(12, round(cell * 1.5 / len(f"{count:,}")))
    return square + (
        f'<text class="count{strong}" x="{x + cell / 2:g}" y="{y + cell / 2 + size * 0.35:g}"'
        f' font-size="{size}" text-anchor="middle">{count:,}</text>'
    )


def _marks(confusion: Confusion, names: list[str], margin: int, cell: int) -> list[str]:
    """Return rings around the most frequent confusions, with their numbers in the table."""
    places = {name: place for place, name in enumerate(names)}
    marks = []
    for number, pair in enumerate(confusion.pairs[:MARKED_PAIRS], start=1):
        if pair.count > 1 and pair.gold in places and pair.predicted in places:
            x = margin + cell * places[pair.predicted] + cell / 2
            y = margin + cell * places[pair.gold] + cell / 2
            marks.append(f'<circle class="mark" cx="{x:g}" cy="{y:g}" r="{cell * 0.95:g}"/>')
            marks.append(
                f'<text class="mark" x="{x + cell * 0.8:g}" y="{y - cell * 0.75:g}"'
                f' font-size="12">{number}</text>'
            )
    return marks

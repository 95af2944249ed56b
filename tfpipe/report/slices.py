"""Metrics over subsets of dev: by length, by script, and by source of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfpipe.data.examples import Examples
from tfpipe.data.scripts import SCRIPTS, scripts_of
from tfpipe.data.tabular import read_rows
from tfpipe.errors import UserError
from tfpipe.report.sections import SliceRow, Slices
from tfpipe.stats.metric_intervals import interval_of_mean

SLICES = 5
MOST_NAMES = 20
FEWEST_TEXTS = 5
SOURCE_COLUMNS = ("source", "channel", "来源")


def slices_by_length(
    values: np.ndarray,
    lengths: np.ndarray,
    figure: str,
    rising: bool = True,
    kind: str = "length",
) -> Slices | None:
    """Cut dev into at most five slices of similar size by length.

    A slice is named by its shortest and longest text, `12–17`.

    Args:
        values: float [N], values of each example whose mean is the metric.
        lengths: int [N], tokens or characters.
        figure: Name of the metric.
        rising: Whether higher is better.
        kind: Kind of the slices, as in Slices.

    Returns:
        The slices; None where all texts have one length.
    """
    cuts = np.unique(np.quantile(lengths, np.arange(1, SLICES) / SLICES, method="higher"))
    place = np.digitize(lengths, cuts)
    rows = []
    for slice_ in np.unique(place):
        inside = place == slice_
        low, high = int(lengths[inside].min()), int(lengths[inside].max())
        name = f"{low:,}" if low == high else f"{low:,}–{high:,}"
        rows.append(_row(name, values[inside]))
    if len(rows) < 2:
        return None
    return Slices(kind, figure, float(np.mean(values)), rows, rising)


def read_sources(examples: Examples, path: str) -> list[str]:
    """Return the source of each example, from the column `source` of its file; [] without one.

    Args:
        examples: The examples.
        path: Their file, which may have more examples: they are found by text.
    """
    try:
        header, rows = read_rows(Path(path), examples.columns)
        place = next((header.index(name) for name in SOURCE_COLUMNS if name in header), None)
        text = header.index(examples.columns.text or "")
        if place is None:
            return []
        source_of = {str(row[text]): str(row[place]) for row in rows}
    except (UserError, OSError, ValueError, IndexError):
        # Files of another format, and missing ones, have no such column: there are no slices then.
        return []
    return [source_of.get(one, "") for one in examples.texts]


def slices_by_source(
    values: np.ndarray, sources: Sequence[str], figure: str, rising: bool = True
) -> Slices | None:
    """Cut dev by source, the largest slice first, at most 20; None where there is one source."""
    rows = _rows_by_name(values, np.asarray(sources, dtype=object).astype(str))
    return Slices("source", figure, float(np.mean(values)), rows, rising) if rows[1:] else None


def slices_by_script(
    values: np.ndarray, examples: Examples, figure: str, rising: bool = True
) -> Slices | None:
    """Cut dev by script of the texts, the largest slice first; None where there is one script.

    Args:
        values: float [N], values of each example whose mean is the metric.
        examples: N examples; of pairs, both texts count.
        figure: Name of the metric.
        rising: Whether higher is better.
    """
    pairs = [] if examples.text_pairs is None else [examples.text_pairs]
    rows = _rows_by_name(values, np.array(SCRIPTS)[scripts_of(examples.texts, *pairs)])
    return Slices("script", figure, float(np.mean(values)), rows, rising) if rows[1:] else None


def _rows_by_name(values: np.ndarray, names: np.ndarray) -> list[SliceRow]:
    """Return a slice for each of the names str [N], the largest first."""
    unique, place, counts = np.unique(names, return_inverse=True, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:MOST_NAMES]
    return [_row(str(unique[one]), values[place == one]) for one in largest]


def _row(name: str, values: np.ndarray) -> SliceRow:
    # An interval of very few texts would be misleading.
    interval = interval_of_mean(values) if len(values) >= FEWEST_TEXTS else None
    return SliceRow(name, len(values), float(np.mean(values)), interval)

"""The same figure over parts of dev: by length, by script, and by where the texts come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfpipe.data.read_examples import Examples
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
    """At most five slices of about equally many texts; None where all are of one length.

    values: float [N], what the figure is the mean of; lengths: int [N], tokens,
    or characters where `kind` says so. A slice is named
    by its shortest and longest text, `12–17`.
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
    """Where each example comes from, by the column `source` of its file; empty without one.

    path: the file that holds the examples, of which they may be a part: they are found by text.
    """
    try:
        header, rows = read_rows(Path(path))
        place = next((header.index(name) for name in SOURCE_COLUMNS if name in header), None)
        text = header.index(examples.columns.text or "")
        if place is None:
            return []
        source_of = {str(row[text]): str(row[place]) for row in rows}
    except (UserError, OSError, ValueError, IndexError):
        # A file of another kind, or one that is gone, has no such column: the slices are a gift.
        return []
    return [source_of.get(one, "") for one in examples.texts]


def slices_by_source(
    values: np.ndarray, sources: Sequence[str], figure: str, rising: bool = True
) -> Slices | None:
    """A slice a source, the largest first, at most 20; None where there is one source."""
    rows = _rows_by_name(values, np.asarray(sources, dtype=object).astype(str))
    return Slices("source", figure, float(np.mean(values)), rows, rising) if rows[1:] else None


def slices_by_script(
    values: np.ndarray, examples: Examples, figure: str, rising: bool = True
) -> Slices | None:
    """A slice a script of the texts, or of both texts of pairs; None where there is one script.

    values: float [N] of the N examples. A slice is named as in SCRIPTS, the largest comes first.
    """
    pairs = [] if examples.text_pairs is None else [examples.text_pairs]
    rows = _rows_by_name(values, np.array(SCRIPTS)[scripts_of(examples.texts, *pairs)])
    return Slices("script", figure, float(np.mean(values)), rows, rising) if rows[1:] else None


def _rows_by_name(values: np.ndarray, names: np.ndarray) -> list[SliceRow]:
    """A row a name, that of the most values first; names: str [N]."""
    unique, place, counts = np.unique(names, return_inverse=True, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:MOST_NAMES]
    return [_row(str(unique[one]), values[place == one]) for one in largest]


def _row(name: str, values: np.ndarray) -> SliceRow:
    # An interval of a handful of texts would be taken for more than it is.
    interval = interval_of_mean(values) if len(values) >= FEWEST_TEXTS else None
    return SliceRow(name, len(values), float(np.mean(values)), interval)

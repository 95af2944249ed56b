"""Rows to fit on and others to look at, so that no figure is one of the texts it was tuned on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# A fit on four fifths is close to the fit on all that is kept; on half it would look worse.
PARTS = 5


def folds(
    rows: int, strata: np.ndarray | None = None, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(fit, look) row numbers, int [.] each: `look` goes through all rows once, in PARTS parts.

    strata: [N], values of which every part gets its even share. Fewer rows than parts make as many
    parts as rows; a single row is looked at after a fit on nothing.
    """
    order = np.random.default_rng(seed).permutation(rows)
    if strata is not None:
        order = order[np.argsort(np.asarray(strata)[order], kind="stable")]
    part = np.empty(rows, int)
    part[order] = np.arange(rows) % PARTS
    for number in range(min(PARTS, rows)):
        yield np.flatnonzero(part != number), np.flatnonzero(part == number)

"""Cross-fitting: no metric is computed on the rows that its parameters were fitted on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# A fit on four fifths is close to the fit on all that is kept; a fit on half would be worse.
PARTS = 5


def folds(
    rows: int, strata: np.ndarray | None = None, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield row numbers to fit on and to predict, int [.] each; every row is predicted once.

    Args:
        rows: N; of fewer than PARTS, each is a fold, and of a single one nothing is to fit on.
        strata: [N], values that are spread evenly over the folds.
        seed: Of the shuffling.
    """
    order = np.random.default_rng(seed).permutation(rows)
    if strata is not None:
        order = order[np.argsort(np.asarray(strata)[order], kind="stable")]
    part = np.empty(rows, int)
    part[order] = np.arange(rows) % PARTS
    for number in range(min(PARTS, rows)):
        yield np.flatnonzero(part != number), np.flatnonzero(part == number)

"""How far a figure would move had other examples of the same kind been drawn: the bootstrap.

Percentile bootstrap over examples (Efron and Tibshirani 1993, chapter 13): N examples are drawn
from the N at hand with replacement, many times, and the figure of each draw is looked at. Nearly
every figure is a function of sums over examples, so a draw is one row of counts and all draws are
one matrix product; examples that count alike are drawn together, which is the same distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

REPLICATES = 1000
LEVEL = 0.95
# Draws of single examples: a million examples are drawn 300 times, not 1,000.
MOST_DRAWS = 300_000_000
# Numbers in memory at once.
CHUNK = 8_000_000

Figure = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """The middle 95 % of a figure over its draws; `replicates`: how many draws."""

    low: float
    high: float
    replicates: int = REPLICATES


def bootstrap(
    columns: np.ndarray,
    figures: Mapping[str, Figure],
    counts: np.ndarray | None = None,
    seed: int = 1,
    replicates: int = REPLICATES,
) -> dict[str, Interval]:
    """Intervals of figures that follow from sums over examples.

    columns: float [G, C], what one example of each group adds to the C sums; counts: int [G],
    examples of each group, None for one each; figures: name to a function of sums [R, C] that
    returns [R]. NaN draws are left out; a figure that is NaN throughout has no interval.
    """
    sums = [weights @ columns for weights in draw_weights(len(columns), counts, seed, replicates)]
    every = np.concatenate(sums) if sums else np.zeros((0, columns.shape[1]))
    return intervals_of({name: figure(every) for name, figure in figures.items()})


def intervals_of(draws: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    """The percentile interval of each figure's draws [R]."""
    found = {}
    for name, values in draws.items():
        known = values[np.isfinite(values)]
        if len(known):
            low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found[name] = Interval(float(low), float(high), len(values))
    return found


def draw_weights(
    groups: int, counts: np.ndarray | None = None, seed: int = 1, replicates: int = REPLICATES
) -> Iterator[np.ndarray]:
    """float64 [some, G] at a time: how often each group is drawn; each row sums to N."""
    if groups == 0:
        return
    random = np.random.default_rng(seed)
    if counts is None:
        replicates = int(np.clip(MOST_DRAWS // groups, min(100, replicates), replicates))
    step = max(1, CHUNK // groups)
    for begin in range(0, replicates, step):
        rows = min(step, replicates - begin)
        if counts is None:
            # Counting single draws is faster than a multinomial of as many outcomes as draws.
            drawn = random.integers(groups, size=(rows, groups))
            drawn += np.arange(rows)[:, None] * groups
            weights = np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups)
        else:
            total = int(counts.sum())
            weights = random.multinomial(total, counts / total, size=rows)
        yield weights.astype(np.float64)


def interval_of_mean(values: np.ndarray, seed: int = 1) -> Interval:
    """The interval of the mean of values [N], one an example; raises ValueError for none."""
    if not len(values):
        raise ValueError("a mean of nothing has no interval")
    # Shares of right answers have two values: drawn as two groups, a million cost nothing.
    levels, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    few = len(levels) <= len(values) // 2
    columns = levels if few else np.asarray(values, np.float64)
    figures: dict[str, Figure] = {"mean": lambda sums: sums[:, 0] / len(values)}
    return bootstrap(columns[:, None], figures, counts if few else None, seed)["mean"]


def class_intervals(
    confusion: np.ndarray, seed: int = 1
) -> tuple[dict[str, Interval], list[Interval | None]]:
    """Intervals of accuracy, macro_f1 and weighted_f1, and of each label's F1.

    confusion: int [K, K], rows gold. F1 is averaged over the labels that occur in a draw, as
    scikit-learn does; a label that occurs in no draw has no interval.
    """
    gold, predicted = np.nonzero(confusion)
    counts, names = confusion[gold, predicted], np.arange(len(confusion))
    right = (gold == predicted)[:, None]
    in_gold, in_predicted = gold[:, None] == names, predicted[:, None] == names
    columns = np.concatenate([in_gold & right, in_gold, in_predicted], axis=1).astype(np.float64)
    sums = [weights @ columns for weights in draw_weights(len(counts), counts, seed)]
    if not sums:
        return {}, [None] * len(confusion)
    hits, support, given = np.split(np.concatenate(sums), 3, axis=1)
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (support + given)
    # A label without texts in a draw adds nothing to the weighted mean, as its support is 0.
    known = np.nan_to_num(f1)
    occurs = (support + given > 0).sum(axis=1)
    total = support.sum(axis=1)
    overall = {
        "accuracy": hits.sum(axis=1) / total,
        "macro_f1": known.sum(axis=1) / occurs,
        "weighted_f1": (known * support).sum(axis=1) / total,
    }
    each = intervals_of({str(column): f1[:, column] for column in names})
    return intervals_of(overall), [each.get(str(column)) for column in names]


def count_intervals(
    right: np.ndarray, given: np.ndarray, wanted: np.ndarray, prefix: str = "", seed: int = 1
) -> dict[str, Interval]:
    """Intervals of precision, recall and f1 over things counted in examples, such as entities.

    right, given, wanted: [N], things an example has that are right, predicted, and gold. The
    names begin with `prefix`, such as `micro_`.
    """

    def share(part: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.divide(part, of, out=np.zeros_like(part), where=of > 0)

    rows, counts = np.unique(
        np.stack([right, given, wanted], axis=1).astype(np.float64), axis=0, return_counts=True
    )
    return bootstrap(
        rows,
        {
            f"{prefix}precision": lambda s: share(s[:, 0], s[:, 1]),
            f"{prefix}recall": lambda s: share(s[:, 0], s[:, 2]),
            f"{prefix}f1": lambda s: share(2 * s[:, 0], s[:, 1] + s[:, 2]),
        },
        counts,
        seed,
    )


def label_set_intervals(gold: np.ndarray, active: np.ndarray, seed: int = 1) -> dict[str, Interval]:
    """Intervals of micro_f1, macro_f1 and exact_match of sets of labels, bool [N, K] each."""
    right = gold & active
    exact = (gold == active).all(axis=1, keepdims=True)
    labels = gold.shape[1]

    def f1(hits: np.ndarray, both: np.ndarray) -> np.ndarray:
        return np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)

    def macro(sums: np.ndarray) -> np.ndarray:
        each = f1(sums[:, :labels], sums[:, labels : 2 * labels]).sum(axis=1)
        # Over the labels that occur in the draw.
        return each / np.maximum((sums[:, labels : 2 * labels] > 0).sum(axis=1), 1)

    def micro(sums: np.ndarray) -> np.ndarray:
        return f1(sums[:, :labels].sum(axis=1), sums[:, labels : 2 * labels].sum(axis=1))

    columns = np.concatenate([right, gold.astype(np.int8) + active, exact], axis=1)
    return bootstrap(
        columns.astype(np.float64),
        {
            "micro_f1": micro,
            "macro_f1": macro,
            "exact_match": lambda sums: sums[:, -1] / len(gold),
        },
        seed=seed,
    )


def correlation_intervals(
    gold: np.ndarray, predicted: np.ndarray, seed: int = 1
) -> dict[str, Interval]:
    """Intervals of pearson, spearman, mae and rmse of values float [N] each."""
    x, y = (np.asarray(values, np.float64) for values in (gold, predicted))
    found: dict[str, list[np.ndarray]] = {"pearson": [], "spearman": [], "mae": [], "rmse": []}
    for weights in draw_weights(len(x), seed=seed):
        shape = weights.shape
        found["pearson"].append(
            correlation(weights, np.broadcast_to(x, shape), np.broadcast_to(y, shape))
        )
        found["spearman"].append(
            correlation(weights, middle_ranks(x, weights), middle_ranks(y, weights))
        )
        found["mae"].append(weights @ np.abs(x - y) / len(x))
        found["rmse"].append(np.sqrt(weights @ (x - y) ** 2 / len(x)))
    return intervals_of({name: np.concatenate(parts) for name, parts in found.items() if parts})


def correlation(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """float [R]: Pearson's correlation of x and y [R, N] that count `weights` times."""
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((weights * x**2).sum(axis=1) * (weights * y**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights * x * y).sum(axis=1) / spread


def middle_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float [R, N]: the ranks of values [N] in each draw, ties and repeats at their middle."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    begins = np.flatnonzero(np.diff(place[order], prepend=-1))
    counts = np.add.reduceat(weights[:, order], begins, axis=1)
    return (np.cumsum(counts, axis=1) - (counts - 1) / 2)[:, place]

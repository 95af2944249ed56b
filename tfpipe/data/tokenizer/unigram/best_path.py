"""The best path through a graph of edges that lead to the right, inside the graph of TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# Steps with all edges at once: enough for nearly all words, and more while there are few edges.
STEPS = 8
FEW = 1 << 16
# Steps of the other way for which the graph is written out.
BLOCK = 16
UNREACHED = np.float64("-inf")


class Edges(NamedTuple):
    """Edges between places, which lead to the right.

    Attributes:
        before: int32 [edges], the place where an edge begins; the number of places for the start.
        ends: int32 [edges], the place where it ends.
        lengths: int32 [edges], how many places further right that is.
        scores: float64 [edges], what it adds to the score of a path.
    """

    before: tf.Tensor
    ends: tf.Tensor
    lengths: tf.Tensor
    scores: tf.Tensor


def best_scores(edges: Edges, is_end: tf.Tensor, longest: int) -> tf.Tensor:
    """Return the best score of a path to each place: float64 [places + 1]; 0 for the start.

    Every sum is made from left to right.

    Args:
        edges: The edges.
        is_end: bool [places], the places that no edge begins before and ends behind.
        longest: The length of the longest edge.
    """
    best, changed = _all_at_once(edges, tf.size(is_end))
    result: tf.Tensor = tf.cond(
        tf.reduce_any(changed),
        lambda: _block_by_block(edges, is_end, best, changed[:-1], longest),
        lambda: best,
    )
    return result


def _all_at_once(edges: Edges, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Extend all paths by all edges until no score changes, or for some steps (Bellman, Ford).

    As many steps as there are edges on the longest best path are needed.

    Returns:
        The scores, and where the last step changed them: bool [places + 1].
    """
    # The start keeps its score, 0.
    before, ends = (tf.concat([x, size[None]], 0) for x in (edges.before, edges.ends))
    scores = tf.concat([edges.scores, [0.0]], 0)
    steps = tf.maximum(STEPS, FEW // tf.size(before))

    def extend(
        step: tf.Tensor, best: tf.Tensor, changed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        paths = tf.gather(best, before) + scores
        better = tf.math.unsorted_segment_max(paths, ends, size + 1)
        return step + 1, better, better != best

    best = tf.concat([tf.fill(size[None], UNREACHED), tf.zeros([1], tf.float64)], 0)
    any_size = tf.TensorShape([None])
    _, best, changed = tf.while_loop(
        lambda step, best, changed: (step < steps) & tf.reduce_any(changed),
        extend,
        (tf.zeros([], tf.int32), best, tf.ones_like(best, tf.bool)),
        shape_invariants=(tf.TensorShape([]), any_size, any_size),
    )
    return best, changed


def _block_by_block(
    edges: Edges, is_end: tf.Tensor, best: tf.Tensor, changed: tf.Tensor, longest: int
) -> tf.Tensor:
    """Correct the scores of the segments that have changed ones.

    The first places of all these segments come first, then their second ones, ...: the score of
    each is computed once, however long a segment is.
    """
    rows, splits = _rows(is_end, changed)
    table = _table(edges, rows, [splits[-1], longest])

    def extend(
        block: tf.Tensor, last: tf.Tensor, done: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
        paths = tf.reshape(table[splits[block] : splits[block + 1]], [BLOCK, -1, longest])
        # The longest segments come first: those that have ended are at the end.
        scores = tf.unstack(last[: tf.shape(paths)[1]], axis=1)
        for ends in tf.unstack(paths):
            scores.append(tf.reduce_max(tf.stack(scores[-longest:], 1) + ends, 1))
        done = done.write(block, tf.concat(scores[longest:], 0))
        return block + 1, tf.stack(scores[-longest:], 1), done

    # The scores of the last places of each segment: at first only its start is reached.
    segments, blocks = splits[1] // BLOCK, tf.size(splits) - 1
    start = tf.fill([segments, longest - 1], UNREACHED)
    start = tf.concat([start, tf.zeros([segments, 1], tf.float64)], 1)
    # An array of its own for each block: one for all of them would be copied every time.
    done = tf.TensorArray(tf.float64, blocks, element_shape=[None], infer_shape=False)
    *_, done = tf.while_loop(
        lambda block, *_: block < blocks,
        extend,
        (tf.zeros([], tf.int32), start, done),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, longest]), None),
    )
    corrected = tf.gather(done.concat(), tf.maximum(rows, 0))
    return tf.concat([tf.where(rows >= 0, corrected, best[:-1]), best[-1:]], 0)


def _table(edges: Edges, rows: tf.Tensor, shape: Sequence[Any]) -> tf.Tensor:
    """The scores of edges by the row of the place where they end, and by length, longest first."""
    row = tf.gather(rows, edges.ends)
    known = tf.where(row >= 0)[:, 0]
    cells = tf.gather(tf.stack([row, shape[1] - edges.lengths], 1), known)
    nothing = tf.fill(shape, UNREACHED)
    return tf.tensor_scatter_nd_update(nothing, cells, tf.gather(edges.scores, known))


def _rows(is_end: tf.Tensor, changed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Give rows to the places of the segments that have changed scores, in blocks of steps.

    A block is of BLOCK steps from the start of a segment. In a block there is a row for each step
    and each segment that begins it; the longest segments come first.

    Returns:
        The row of each place, -1 if it has none: int32 [places]. And where the rows of each block
        begin: int32 [blocks + 1].
    """
    ends = tf.cast(tf.where(is_end)[:, 0], tf.int32)
    firsts = tf.concat([[0], ends[:-1] + 1], 0)
    segment = tf.cumsum(tf.cast(is_end, tf.int32), exclusive=True)
    unsure = tf.math.unsorted_segment_max(tf.cast(changed, tf.int32), segment, tf.size(ends))
    lengths = unsure * (ends - firsts + 1)
    order = tf.argsort(-lengths)
    rank = tf.math.invert_permutation(order)
    blocks = (tf.reduce_max(lengths) + BLOCK - 1) // BLOCK
    # How many segments are longer than the blocks in front of one.
    active = tf.searchsorted(tf.gather(-lengths, order), -BLOCK * tf.range(blocks))
    splits = tf.concat([[0], tf.cumsum(BLOCK * active)], 0)
    step = tf.range(tf.size(is_end)) - tf.gather(firsts, segment)
    block = tf.minimum(step // BLOCK, blocks - 1)
    rows = tf.gather(splits, block) + step % BLOCK * tf.gather(active, block)
    rows += tf.gather(rank, segment)
    return tf.where(tf.gather(unsure, segment) > 0, rows, -1), splits


def mark_path(is_end: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """Mark the places on the paths that end at the ends of segments: bool [places].

    Args:
        is_end: bool [places].
        before: int32 [places], the place before each on a path that comes there; the number of
            places for the start.
    """
    size = tf.size(before)
    longest = _longest_segment(is_end)

    def double(
        step: tf.Tensor, reached: tf.Tensor, before: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # All that is fewer than `step` edges from the end of a segment is known.
        more = tf.math.unsorted_segment_max(reached, before, size + 1)
        return 2 * step, tf.maximum(reached, more), tf.gather(before, before)

    _, reached, _ = tf.while_loop(
        lambda step, reached, before: step < longest,
        double,
        (
            tf.ones([], tf.int64),
            tf.concat([tf.cast(is_end, tf.int32), [0]], 0),
            tf.concat([before, size[None]], 0),
        ),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])),
    )
    return reached[:-1] > 0


def _longest_segment(is_end: tf.Tensor) -> tf.Tensor:
    """The places of the longest segment, int64."""
    end = tf.concat([[-1], tf.where(is_end)[:, 0]], 0)
    return tf.reduce_max(end[1:] - end[:-1])

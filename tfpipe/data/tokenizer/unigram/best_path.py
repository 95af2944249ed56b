"""The best path through a graph of edges that lead to the right, inside the graph of TensorFlow."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

# Steps with all edges at once: enough for nearly all words, and more while there are few edges.
STEPS = 8
FEW = 1 << 16


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


def best_scores(edges: Edges, is_end: tf.Tensor) -> tf.Tensor:
    """Return the best score of a path to each place: float64 [places + 1]; 0 for the start.

    Every sum is made from left to right.

    Args:
        edges: The edges.
        is_end: bool [places], the places that no edge begins before and ends behind.
    """
    best, changed = _all_at_once(edges, tf.size(is_end))
    result: tf.Tensor = tf.cond(
        tf.reduce_any(changed),
        lambda: _step_by_step(edges, is_end, best, changed[:-1]),
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

    unreached = tf.fill(size[None], tf.constant(float("-inf"), tf.float64))
    best = tf.concat([unreached, tf.zeros([1], tf.float64)], 0)
    any_size = tf.TensorShape([None])
    _, best, changed = tf.while_loop(
        lambda step, best, changed: (step < steps) & tf.reduce_any(changed),
        extend,
        (tf.zeros([], tf.int32), best, tf.ones_like(best, tf.bool)),
        shape_invariants=(tf.TensorShape([]), any_size, any_size),
    )
    return best, changed


def _step_by_step(
    edges: Edges, is_end: tf.Tensor, best: tf.Tensor, changed: tf.Tensor
) -> tf.Tensor:
    """Correct the scores of the segments that have changed ones.

    The scores of the first places of all these segments come first, then those of their second
    ones, ...: each is computed once, however long a segment is.
    """
    order, splits = _by_step(is_end, changed)
    longest = tf.reduce_max(edges.lengths)
    unreachable = tf.constant(float("-inf"), tf.float64)
    # By place, in that order, and length: the score of the edge.
    row = tf.tensor_scatter_nd_update(
        tf.fill(tf.shape(is_end), -1), order[:, None], tf.range(tf.size(order))
    )
    row = tf.gather(row, edges.ends)
    known = tf.where(row >= 0)[:, 0]
    cells = tf.stack([row, longest - edges.lengths], 1)
    table = tf.tensor_scatter_nd_update(
        tf.fill([tf.size(order), longest], unreachable),
        tf.gather(cells, known),
        tf.gather(edges.scores, known),
    )
    steps = tf.size(splits) - 1

    def extend(
        step: tf.Tensor, last: tf.Tensor, done: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
        paths = table[splits[step] : splits[step + 1]]
        last = last[: tf.shape(paths)[0]]
        better = tf.reduce_max(last + paths, 1)
        return step + 1, tf.concat([last[:, 1:], better[:, None]], 1), done.write(step, better)

    # The scores of the last places, of each segment: only its start is reached at first.
    last = tf.concat(
        [tf.fill([splits[1], longest - 1], unreachable), tf.zeros([splits[1], 1], tf.float64)], 1
    )
    # An array of its own for each step: one for all of them would be copied at every step.
    done = tf.TensorArray(tf.float64, steps, element_shape=[None], infer_shape=False)
    *_, done = tf.while_loop(
        lambda step, *_: step < steps,
        extend,
        (tf.zeros([], tf.int32), last, done),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None]), None),
    )
    return tf.tensor_scatter_nd_update(best, order[:, None], done.concat())


def _by_step(is_end: tf.Tensor, changed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Order the places of the segments that have changed scores by their steps from its start.

    Returns:
        The places, int32; those of a step in the order of the lengths of their segments, the
        longest first. And where the places of each step begin: int32 [steps + 1].
    """
    end = tf.cast(tf.where(is_end)[:, 0], tf.int32)
    first = tf.concat([[0], end[:-1] + 1], 0)
    segment = tf.cumsum(tf.cast(is_end, tf.int32), exclusive=True)
    unsure = tf.math.unsorted_segment_max(tf.cast(changed, tf.int32), segment, tf.size(end))
    longest_first = tf.argsort(first - end)
    rank = tf.math.invert_permutation(longest_first)
    place = tf.cast(tf.where(tf.gather(unsure, segment) > 0)[:, 0], tf.int32)
    segment = tf.gather(segment, place)
    step = place - tf.gather(first, segment)
    # A number for both step and rank could exceed int32.
    order = tf.argsort(tf.gather(rank, segment))
    order = tf.gather(order, tf.argsort(tf.gather(step, order), stable=True))
    step = tf.gather(step, order)
    splits = tf.searchsorted(step, tf.range(step[-1] + 2), out_type=tf.int32)
    return tf.gather(place, order), splits


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

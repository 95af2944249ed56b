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
        scores: float64 [edges], what it adds to the score of a path.
    """

    before: tf.Tensor
    ends: tf.Tensor
    scores: tf.Tensor

    def take(self, which: tf.Tensor) -> Edges:
        """Select edges."""
        return Edges(*(tf.gather(x, which) for x in self))


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
        lambda: _step_by_step(edges, is_end, best, changed),
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

    Of each segment the edges to its first place are taken, then those to its second one, ...:
    every edge once, however long a segment is.
    """
    segment = tf.cumsum(tf.cast(is_end, tf.int32), exclusive=True)
    firsts = tf.concat([[0], tf.cast(tf.where(is_end)[:, 0], tf.int32) + 1], 0)
    unsure = tf.math.unsorted_segment_max(tf.cast(changed[:-1], tf.int32), segment, tf.size(firsts))
    edges = edges.take(tf.where(tf.gather(unsure, tf.gather(segment, edges.ends)) > 0)[:, 0])
    steps = edges.ends - tf.gather(firsts, tf.gather(segment, edges.ends))
    order = tf.argsort(steps)
    before, ends, scores = edges.take(order)
    count = tf.reduce_max(steps) + 1
    splits = tf.searchsorted(tf.gather(steps, order), tf.range(count + 1), out_type=tf.int32)
    wrong = tf.fill(tf.shape(ends), tf.constant(float("-inf"), tf.float64))
    best = tf.tensor_scatter_nd_update(best, ends[:, None], wrong)

    def extend(step: tf.Tensor, best: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first, limit = splits[step], splits[step + 1]
        paths = tf.gather(best, before[first:limit]) + scores[first:limit]
        return step + 1, tf.tensor_scatter_nd_max(best, ends[first:limit, None], paths)

    _, best = tf.while_loop(
        lambda step, best: step < count,
        extend,
        (tf.zeros([], tf.int32), best),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
    )
    return best


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

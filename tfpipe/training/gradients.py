"""Gradients of a step: dense tensors, or slices of the rows of an embedding that were read."""

from __future__ import annotations

from typing import TypeAlias

import tensorflow as tf

# A tensor or, of an embedding, slices: one for each token of the batch.
Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices


def add(one: Gradient, other: Gradient) -> Gradient:
    """Add two gradients of one variable; slices stay slices, side by side."""
    if not isinstance(one, tf.IndexedSlices):
        return one + other
    return tf.IndexedSlices(
        tf.concat([one.values, other.values], 0),
        tf.concat([one.indices, other.indices], 0),
        one.dense_shape,
    )


def merge(gradient: Gradient) -> Gradient:
    """Sum slices of one row, so that their norm is that of the dense gradient."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def multiply(gradient: Gradient, factor: tf.Tensor | float) -> Gradient:
    """Multiply a gradient by a number."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient * factor
    return tf.IndexedSlices(gradient.values * factor, gradient.indices, gradient.dense_shape)

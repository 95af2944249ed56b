"""Gradients that are tensors or, of an embedding, slices: one for each token of the batch."""

from __future__ import annotations

from typing import TypeAlias

import tensorflow as tf

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices


def add(one: Gradient, other: Gradient) -> Gradient:
    """The sum of two gradients of one variable; slices stay slices, side by side."""
    if not isinstance(one, tf.IndexedSlices):
        return one + other
    return tf.IndexedSlices(
        tf.concat([one.values, other.values], 0),
        tf.concat([one.indices, other.indices], 0),
        one.dense_shape,
    )


def merge(gradient: Gradient) -> Gradient:
    """Slices with every row once, so that their norm is that of the dense gradient."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def multiply(gradient: Gradient, factor: tf.Tensor) -> Gradient:
    """A gradient times a number."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient * factor
    return tf.IndexedSlices(gradient.values * factor, gradient.indices, gradient.dense_shape)

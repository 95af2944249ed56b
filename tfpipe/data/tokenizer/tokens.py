"""The tokens of a batch of texts, inside the graph."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class RaggedTokens(NamedTuple):
    """T tokens of B texts, end to end, without special ones.

    Attributes:
        ids: int32 [T].
        row_splits: int64 [B + 1], text i has ids[row_splits[i]:row_splits[i + 1]].
        starts: int64 [T], the code point of its text where a token starts.
        ends: int64 [T], the code point behind it.
    """

    ids: tf.Tensor
    row_splits: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor


def rows_of(splits: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return int64 [size]: the row of each value, of rows that begin and end at `splits`."""
    return tf.searchsorted(splits, tf.range(size), "right", tf.int64) - 1

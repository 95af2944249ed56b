"""Where the tokens of a batch lie: rows [T, C], with or without padding among them."""

from __future__ import annotations

import tensorflow as tf


class Places:
    """The way from [B, L] to rows [T, ...] and back; T is B * L or, packed, the real tokens.

    count, length: B and L; penalty: float32 [B, 1, 1, L], added to scores before the softmax.
    """

    def __init__(self, attention_mask: tf.Tensor, packed: bool):
        shape = tf.shape(attention_mask)
        self.count, self.length, self._packed = shape[0], shape[1], packed
        # -10000 as in stock TFBert: its exponential is a plain 0, and float16 could hold it.
        penalty = (1.0 - tf.cast(attention_mask, tf.float32)) * -10000.0
        self.penalty = penalty[:, tf.newaxis, tf.newaxis, :]
        if packed:
            # The pooler reads the first token whatever the mask says.
            real = (attention_mask > 0) | (tf.range(self.length) == 0)
            real = tf.reshape(real, [-1])
            self._places = tf.cast(tf.where(real)[:, 0], tf.int32)
            # Padding takes the row before it: any will do, the penalty hides it.
            self._rows = tf.cumsum(tf.cast(real, tf.int32)) - 1

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """The rows of [B * L, ...]."""
        return tf.gather(values, self._places) if self._packed else values

    def spread(self, rows: tf.Tensor) -> tf.Tensor:
        """Rows [T, C] as [B, L, C]; when packed, padding holds a copy of another row."""
        rows = tf.gather(rows, self._rows) if self._packed else rows
        return tf.reshape(rows, [self.count, self.length, rows.shape[1]])

    def first(self, rows: tf.Tensor) -> tf.Tensor:
        """The rows of the first tokens, [B, C]."""
        if self._packed:
            # Not by a slice, whose rank nobody knows before its step is known.
            return tf.gather(rows, tf.gather(self._rows, tf.range(self.count) * self.length))
        return self.spread(rows)[:, 0]

    def add_positions(self, rows: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        """Rows [T, C] with the table's row of their position added."""
        if self._packed:
            return rows + tf.gather(table, self._places % self.length)
        return tf.reshape(self.spread(rows) + table[: self.length], tf.shape(rows))

"""Where the tokens of a batch lie: rows [T, C], with or without padding among them."""

from __future__ import annotations

import tensorflow as tf


class PackedTokens:
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

    def by_head(self, rows: tf.Tensor, parts: int, heads: int) -> list[tf.Tensor]:
        """Rows [T, parts * heads * D] as so many [B, heads, L, D]; padding as in `spread`."""
        shape = [self.count, self.length, parts, heads, rows.shape[1] // (parts * heads)]
        if self._packed:
            # One gather does the work of `spread` and of a transpose, which costs more.
            each = tf.reshape(tf.range(parts * heads), [parts, 1, heads, 1])
            places = tf.reshape(self._rows, [1, shape[0], 1, shape[1]]) * (parts * heads) + each
            found = tf.gather(tf.reshape(rows, [-1, shape[-1]]), places)
        else:
            found = tf.transpose(tf.reshape(rows, shape), [2, 0, 3, 1, 4])
        return tf.unstack(found, parts)

    def by_token(self, values: tf.Tensor) -> tf.Tensor:
        """[B, heads, L, D] as rows [T, heads * D]."""
        _, heads, _, size = values.shape
        if self._packed:
            row, column = self._places // self.length, self._places % self.length
            first = row * heads * self.length + column
            places = first[:, tf.newaxis] + tf.range(heads) * self.length
            values = tf.gather(tf.reshape(values, [-1, size]), places)
        else:
            values = tf.transpose(values, [0, 2, 1, 3])
        return tf.reshape(values, [-1, heads * size])

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

"""Sequence packing: the tokens of a batch as rows [T, C], with or without padding."""

from __future__ import annotations

import tensorflow as tf


class PackedTokens:
    """Converts [B, L, ...] to rows [T, ...] and back; T is B * L or, packed, the real tokens.

    Attributes:
        count: B, the number of inputs.
        length: L, their padded length.
        penalty: float32 [B, 1, 1, L], added to the scores before the softmax.
    """

    def __init__(self, attention_mask: tf.Tensor, packed: bool):
        """Prepare the conversion.

        Args:
            attention_mask: int32 [B, L].
            packed: Whether to leave out padding.
        """
        shape = tf.shape(attention_mask)
        self.count, self.length, self._packed = shape[0], shape[1], packed
        self._mask = attention_mask
        # -10000 as in stock TFBert: its exponential is 0, and it fits into float16.
        penalty = (1.0 - tf.cast(attention_mask, tf.float32)) * -10000.0
        self.penalty = penalty[:, tf.newaxis, tf.newaxis, :]
        if packed:
            # The pooler reads the first token even where the mask excludes it.
            real = (attention_mask > 0) | (tf.range(self.length) == 0)
            real = tf.reshape(real, [-1])
            self._places = tf.cast(tf.where(real)[:, 0], tf.int32)
            # Padding takes the previous row: any will do, because the penalty masks it.
            self._rows = tf.cumsum(tf.cast(real, tf.int32)) - 1

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """Convert [B * L, ...] to rows [T, ...]."""
        return tf.gather(values, self._places) if self._packed else values

    def spread(self, rows: tf.Tensor) -> tf.Tensor:
        """Convert rows [T, C] to [B, L, C]; when packed, padding has a copy of another row."""
        rows = tf.gather(rows, self._rows) if self._packed else rows
        return tf.reshape(rows, [self.count, self.length, rows.shape[1]])

    def by_head(self, rows: tf.Tensor, parts: int, heads: int) -> list[tf.Tensor]:
        """Convert rows [T, parts * heads * D] to `parts` tensors [B, heads, L, D]."""
        shape = [self.count, self.length, parts, heads, rows.shape[1] // (parts * heads)]
        if self._packed:
            # One gather costs less than `spread` and a transpose.
            each = tf.reshape(tf.range(parts * heads), [parts, 1, heads, 1])
            places = tf.reshape(self._rows, [1, shape[0], 1, shape[1]]) * (parts * heads) + each
            found = tf.gather(tf.reshape(rows, [-1, shape[-1]]), places)
        else:
            found = tf.transpose(tf.reshape(rows, shape), [2, 0, 3, 1, 4])
        return tf.unstack(found, parts)

    def by_token(self, values: tf.Tensor) -> tf.Tensor:
        """Convert [B, heads, L, D] to rows [T, heads * D]."""
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
        """Return the rows of the first tokens, [B, C]."""
        if self._packed:
            # Not by a slice: its static rank is unknown while its step is.
            return tf.gather(rows, tf.gather(self._rows, tf.range(self.count) * self.length))
        return self.spread(rows)[:, 0]

    def mean(self, rows: tf.Tensor) -> tf.Tensor:
        """Average the rows of each input's real tokens, [T, C] to [B, C]; 0 where there is none."""
        weights = tf.cast(tf.reshape(self._mask, [-1]), rows.dtype)
        owners = tf.repeat(tf.range(self.count), self.length)
        weights, owners = self.pack(weights), self.pack(owners)
        sums = tf.math.segment_sum(rows * weights[:, tf.newaxis], owners)
        counts = tf.math.segment_sum(weights, owners)[:, tf.newaxis]
        return sums / tf.maximum(counts, 1.0)

    def add_positions(self, rows: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        """Add the row of the table [positions, C] for their position to rows [T, C]."""
        if self._packed:
            return rows + tf.gather(table, self._places % self.length)
        return tf.reshape(self.spread(rows) + table[: self.length], tf.shape(rows))

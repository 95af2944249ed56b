"""Characters of several code points in texts, inside the graph.

`tokenizers` replaces such a character (a grapheme cluster) as a whole if it has fewer than 6 bytes:
the shortest key that it begins with decides, and what follows the key is dropped. In a longer one
each code point is replaced by itself.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfpipe.data.tokenizer.unigram import graphemes
from tfpipe.data.tokenizer.unigram.replacements import CODE_BITS, MOST_CODES, TAKEN, Replacements
from tfpipe.data.tokenizer.wordpiece.normalizer import PagedTable

LONGEST = 5  # bytes
END_OF_TABLE = np.iinfo(np.int64).max


class Clusters(tf.Module):
    """Finds the characters of several code points that are replaced as a whole."""

    def __init__(self, tables: Replacements):
        super().__init__()
        self._facts = PagedTable(graphemes.load().astype(np.int32))
        self._keys = tf.constant([*tables.keys, END_OF_TABLE], tf.int64)
        self._key_rows = tf.constant([*tables.key_rows, 0], tf.int32)

    def replace(
        self, codes: tf.Tensor, text_splits: tf.Tensor, rows: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Replace whole characters.

        Args:
            codes: int32 [codes], the code points of all texts, with one more in front of each text.
            text_splits: int64 [texts + 1], where texts begin.
            rows: int32 [codes], what becomes of each by itself.

        Returns:
            rows: int32 [codes], with that of a whole character at its first code point.
            sizes: int64 [codes], how many code points are replaced together with that row.
        """
        first, sizes = self._find(codes, text_splits)
        number = tf.zeros_like(first)
        found = tf.fill(tf.shape(first), -1)
        for length in range(MOST_CODES):
            following = tf.gather(codes, tf.minimum(first + length, tf.size(codes, tf.int64) - 1))
            number = tf.bitwise.left_shift(number, CODE_BITS) + tf.cast(following, tf.int64)
            found = tf.where((found < 0) & (sizes > length), self._row(number), found)
        replaced = tf.where(found >= 0)[:, 0]
        first, sizes, found = (tf.gather(x, replaced) for x in (first, sizes, found))

        one = tf.ones([], tf.int64)
        taken = tf.raw_ops.RaggedRange(starts=first + 1, limits=first + sizes, deltas=one)
        taken = taken.rt_dense_values[:, None]
        rows = tf.tensor_scatter_nd_update(rows, first[:, None], found)
        rows = tf.tensor_scatter_nd_update(rows, taken, tf.fill(tf.shape(taken)[:1], TAKEN))
        ones = tf.ones_like(codes, tf.int64)
        return rows, tf.tensor_scatter_nd_update(ones, first[:, None], sizes)

    def _find(self, codes: tf.Tensor, text_splits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The first code points of short characters of several, and how many: int64 [found]."""
        first = tf.where(self._begins(codes, text_splits))[:, 0]
        limits = tf.concat([first, tf.size(codes, tf.int64)[None]], 0)[1:]
        length = sum((tf.cast(codes >= least, tf.int64) for least in (0x80, 0x800, 0x10000)), 1)
        before = tf.concat([[0], tf.cumsum(length)], 0)
        total = tf.gather(before, limits) - tf.gather(before, first)
        found = tf.where((limits - first > 1) & (total <= LONGEST))[:, 0]
        return tf.gather(first, found), tf.gather(limits - first, found)

    def _row(self, number: tf.Tensor) -> tf.Tensor:
        """The row of a key, -1 for what is no key: int32, for int64 numbers of code points."""
        place = tf.searchsorted(self._keys, number)
        return tf.where(
            tf.gather(self._keys, place) == number, tf.gather(self._key_rows, place), -1
        )

    def _begins(self, codes: tf.Tensor, text_splits: tf.Tensor) -> tf.Tensor:
        """Whether a character begins at each code point: bool [codes] (UAX #29)."""
        facts = self._facts.lookup(codes)
        # What is in front of a text joins nothing.
        in_front = text_splits[:-1, None]
        nothing = tf.fill(tf.shape(in_front)[:1], graphemes.CONTROLS)
        facts = tf.tensor_scatter_nd_update(facts, in_front, nothing)

        def has(fact: int) -> tf.Tensor:
            return tf.bitwise.bitwise_and(facts, fact) != 0

        controls = has(graphemes.CONTROLS)
        joined = has(graphemes.ATTACHES) | _shift(has(graphemes.PREPENDS), 1)
        joined |= (
            has(graphemes.PICTURES)
            & _shift(codes == graphemes.JOINER, 1)
            & _shift(_at_last(has(graphemes.PICTURES), ~has(graphemes.EXTENDS)), 2)
        )
        links = tf.cumsum(tf.cast(has(graphemes.LINKERS), tf.int32))
        anchors = ~has(graphemes.LINKERS | graphemes.BETWEEN)
        joined |= (
            has(graphemes.CONSONANTS)
            & _shift(_at_last(has(graphemes.CONSONANTS), anchors), 1)
            & _shift(links > _at_last(links, anchors), 1)
        )
        joined &= ~(controls | _shift(controls, 1))
        joined |= (codes == ord("\n")) & _shift(codes == ord("\r"), 1)
        return ~joined


def _shift(values: tf.Tensor, places: int) -> tf.Tensor:
    """The value so many places further left; nothing in front of the first place."""
    return tf.concat([tf.zeros_like(values[:places]), values[:-places]], 0)


def _at_last(values: tf.Tensor, marked: tf.Tensor) -> tf.Tensor:
    """The value at the last marked place up to each place; the first place must be marked."""
    place = tf.where(marked)[:, 0]
    return tf.gather(tf.gather(values, place), tf.cumsum(tf.cast(marked, tf.int32)) - 1)

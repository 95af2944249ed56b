"""Words of symbols to pieces, inside the graph: the best-scored segmentation (Kudo 2018).

    pieces that end at each place  ->  places that no piece crosses cut words into segments
    ->  the best score up to each place  ->  the ends of the pieces on the best path

The prefix of a segment has the best score that any of its segmentations has; of several best ones
`tokenizers` takes the one whose last piece is the longest.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer.unigram.tables import WORD_SYMBOL, PieceTables


class Pieces(NamedTuple):
    """The pieces of the words.

    Attributes:
        ids: int32 [pieces].
        firsts: int64 [pieces], the place of the first symbol of each; its last one is in front of
            the next piece.
    """

    ids: tf.Tensor
    firsts: tf.Tensor


class Unigram(tf.Module):
    """Cuts words into the pieces of a vocabulary."""

    def __init__(self, tables: PieceTables, unknown_id: int):
        super().__init__()
        self._unknown_id = unknown_id
        self._longest = tables.longest
        self._exact = tables.exact
        self._root = tables.trie.root
        self._nodes = tf.stack([tables.trie.checks, tables.trie.bases], 1)
        self._ids = tf.constant(tables.ids)
        self._scores = tf.constant(tables.scores)

    def cut(self, symbols: tf.Tensor) -> Pieces:
        """Cut words, int32 [places], each of which begins with WORD_SYMBOL."""
        nodes = self._walk(symbols)
        scores = tf.cast(tf.gather(self._scores, nodes), tf.float64)
        lengths = tf.range(1, self._longest + 1)[:, None]
        place = tf.range(tf.size(symbols))
        # Where a piece of a length would begin; the places are a ring, so that the place before
        # the first one is the last one, which is the end of a segment, too.
        before = tf.math.floormod(place - lengths, tf.maximum(tf.size(symbols), 1))
        ends = self._segment_ends(symbols, scores, lengths, place)
        best = _best_scores(scores, before, ends)
        paths = tf.gather(best, before) + scores
        is_best = paths == tf.reduce_max(paths, 0)
        length = tf.reduce_max(tf.where(is_best, lengths, 0), 0)
        last = _on_path(ends, tf.math.floormod(place - length, tf.maximum(tf.size(symbols), 1)))
        return self._collect(symbols, nodes, length, last)

    def _walk(self, symbols: tf.Tensor) -> tf.Tensor:
        """The nodes of the trie: int32 [lengths, places], for the symbols that end at each place.

        Row l is for l + 1 symbols; NOWHERE, slot 0, where no piece ends with them.
        """
        size = tf.size(symbols)[None]
        padded = tf.pad(symbols, [[self._longest, 0]])
        node = self._root + symbols
        base = tf.gather(self._nodes, node)[:, 1]
        rows = [node]
        for length in range(1, self._longest):
            slot = base + tf.slice(padded, [self._longest - length], size)
            check, base = tf.unstack(tf.gather(self._nodes, slot), axis=1)
            node = tf.where(check == node, slot, 0)
            rows.append(node)
        return tf.stack(rows)

    def _segment_ends(
        self, symbols: tf.Tensor, scores: tf.Tensor, lengths: tf.Tensor, place: tf.Tensor
    ) -> tf.Tensor:
        """Bool [places], whether the best path can be found for both sides separately."""
        if not self._exact:
            # The sums of `tokenizers` begin at the start of a word; others may round otherwise.
            return tf.concat([symbols[1:] == WORD_SYMBOL, [True]], 0)
        longest = tf.reduce_max(tf.where(scores > float("-inf"), lengths, 0), 0)
        first = place - longest + 1
        # No piece crosses the end of a place if as many begin up to it as end up to it.
        begun = tf.math.unsorted_segment_sum(tf.ones_like(first), first, tf.size(place))
        return tf.cumsum(begun) == place + 1

    def _collect(
        self, symbols: tf.Tensor, nodes: tf.Tensor, length: tf.Tensor, last: tf.Tensor
    ) -> Pieces:
        """The pieces that end at the places `last`; unknown ones behind each other are one."""
        end = tf.where(last)[:, 0]
        length = tf.cast(tf.gather(length, end), tf.int64)
        first = end - length + 1
        node = tf.gather(tf.reshape(nodes, [-1]), (length - 1) * tf.size(symbols, tf.int64) + end)
        ids = tf.gather(self._ids, node)
        unknown = ids == self._unknown_id
        fused = unknown & tf.concat([[False], unknown[:-1]], 0)
        fused &= tf.gather(symbols, first) != WORD_SYMBOL
        kept = tf.where(~fused)[:, 0]
        return Pieces(tf.gather(ids, kept), tf.gather(first, kept))


def _best_scores(scores: tf.Tensor, before: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """float64 [places], the best score of the path to each place; 0 at the end of a segment."""
    zero = tf.zeros([], tf.float64)

    def extend(best: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        better = tf.reduce_max(tf.gather(best, before) + scores, 0)
        better = tf.where(ends, zero, better)
        return better, tf.reduce_any(better != best)

    start = tf.where(ends, zero, tf.constant(float("-inf"), tf.float64))
    best, _ = tf.while_loop(
        lambda best, changed: changed,
        extend,
        (start, tf.constant(True)),
        shape_invariants=(tf.TensorShape([None]), tf.TensorShape([])),
    )
    return best


def _on_path(ends: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """Bool [places], the places where a piece of the best path ends.

    Args:
        ends: bool [places], the ends of segments.
        before: int32 [places], the end of the piece before, if a piece of the path ends here.
    """
    end = tf.where(ends)[:, 0]
    longest = tf.reduce_max(tf.concat([end[:1] + 1, end[1:] - end[:-1]], 0))
    size = tf.size(before)

    def double(
        step: tf.Tensor, reached: tf.Tensor, before: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # All that is `step` pieces or less from the end of a segment is known.
        more = tf.math.unsorted_segment_max(reached, before, size)
        return 2 * step, tf.maximum(reached, more), tf.gather(before, before)

    _, reached, _ = tf.while_loop(
        lambda step, reached, before: step < longest,
        double,
        (tf.ones([], tf.int64), tf.cast(ends, tf.int32), before),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])),
    )
    return reached > 0

"""Words of symbols to pieces, inside the graph: the best-scored segmentation (Kudo 2018).

    different words  ->  all pieces that occur in them  ->  places that no piece crosses cut words
    into segments  ->  the best score up to each place  ->  the pieces on the best path

Every piece that occurs is an edge between two places. Of several best paths to a place
`tokenizers` takes the one whose last piece is the longest.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer.tokens import rows_of
from tfpipe.data.tokenizer.unigram.best_path import Edges, best_scores, mark_path
from tfpipe.data.tokenizer.unigram.tables import WORD_SYMBOL, PieceTables


class Pieces(NamedTuple):
    """The pieces of words, end to end.

    Attributes:
        ids: int32 [pieces].
        firsts: int64 [pieces], the place of the first symbol of each; its last one is in front of
            the next piece.
    """

    ids: tf.Tensor
    firsts: tf.Tensor


class Found(NamedTuple):
    """The pieces that occur at the places of words, longer ones in front of shorter ones.

    Attributes:
        firsts: int32 [found], the place of the first symbol of a piece.
        ends: int32 [found], the place of its last one.
        nodes: int32 [found], its slot in the trie.
        scores: float64 [found].
    """

    firsts: tf.Tensor
    ends: tf.Tensor
    nodes: tf.Tensor
    scores: tf.Tensor


class PieceSearch(tf.Module):
    """Cuts words into the pieces of a vocabulary."""

    def __init__(self, tables: PieceTables, unknown_id: int):
        super().__init__()
        self._unknown_id = unknown_id
        self._longest = tables.longest
        self._exact = tables.exact
        self._root = tables.trie.root
        self._checks = tf.constant(tables.trie.checks)
        self._bases = tf.constant(tables.trie.bases)
        self._ids = tf.constant(tables.ids)
        self._scores = tf.constant(tables.scores)

    def encode(self, symbols: tf.Tensor) -> Pieces:
        """Return the pieces of words, int32 [places], each of which begins with WORD_SYMBOL."""
        starts = tf.where(symbols == WORD_SYMBOL)[:, 0]
        splits = tf.concat([starts, tf.size(symbols, tf.int64)[None]], 0)
        words = tf.raw_ops.UnicodeEncode(
            input_values=symbols, input_splits=splits, output_encoding="UTF-8"
        )
        # Most words of a batch occur several times.
        different, which = tf.unique(words)
        decoded = tf.raw_ops.UnicodeDecode(input=different, input_encoding="UTF-8")
        cut = self._cut(decoded.char_values)
        piece_splits = tf.searchsorted(cut.firsts, decoded.row_splits, out_type=tf.int64)
        (word_splits, ids), (_, firsts) = (
            _gather_rows(piece_splits, values, which) for values in cut
        )
        moved = starts - tf.gather(decoded.row_splits, which)
        word = rows_of(word_splits, tf.size(ids, tf.int64))
        return Pieces(ids, firsts + tf.gather(moved, word))

    def _cut(self, symbols: tf.Tensor) -> Pieces:
        """Return the pieces of words, int32 [places]."""
        found = self._find_pieces(symbols)
        size = tf.size(symbols)
        if self._exact:
            # Where no piece crosses to the next place both sides have best paths of their own.
            begun, ended = _count(found.firsts, size), _count(found.ends, size)
            is_end = tf.cumsum(begun - ended) == 0
        else:
            # The sums of `tokenizers` begin at the start of a word; others may round otherwise.
            is_end = tf.concat([symbols == WORD_SYMBOL, [True]], 0)[1:]
        # In front of all segments is the same place, the one behind all others.
        before = tf.where(tf.concat([[True], is_end[:-1]], 0), size, tf.range(-1, size - 1))
        edges = Edges(
            before=tf.gather(before, found.firsts),
            ends=found.ends,
            lengths=found.ends - found.firsts + 1,
            scores=found.scores,
        )
        best = best_scores(edges, is_end, self._longest)
        is_best = tf.gather(best, edges.before) + edges.scores == tf.gather(best, edges.ends)
        number = tf.range(tf.size(edges.ends))
        number = tf.where(is_best, number, number.dtype.max)
        last = tf.math.unsorted_segment_min(number, edges.ends, size)
        end = tf.where(mark_path(is_end, tf.gather(edges.before, last)))[:, 0]
        return self._fuse(symbols, found, tf.gather(last, end))

    def _fuse(self, symbols: tf.Tensor, found: Found, chosen: tf.Tensor) -> Pieces:
        """Make one piece of the unknown characters of a word that follow each other."""
        ids = tf.gather(self._ids, tf.gather(found.nodes, chosen))
        firsts = tf.gather(found.firsts, chosen)
        unknown = ids == self._unknown_id
        fused = unknown & tf.concat([[False], unknown[:-1]], 0)
        fused &= tf.gather(symbols, firsts) != WORD_SYMBOL
        kept = tf.where(~fused)[:, 0]
        return Pieces(tf.gather(ids, kept), tf.cast(tf.gather(firsts, kept), tf.int64))

    def _find_pieces(self, symbols: tf.Tensor) -> Found:
        """Find all pieces that occur, by walks through the trie from each place to the left."""
        padded = tf.pad(symbols, [[self._longest, 0]])
        end = tf.range(tf.size(symbols))
        node = self._root + symbols
        levels = [(end, end, node)]
        for length in range(1, self._longest):
            symbol = tf.gather(padded, end + (self._longest - length))
            slot = tf.gather(self._bases, node) + symbol
            is_child = tf.where(tf.gather(self._checks, slot) == node)[:, 0]
            end, node = tf.gather(end, is_child), tf.gather(slot, is_child)
            levels.append((end - length, end, node))
        firsts, ends, nodes = (tf.concat(x, 0) for x in zip(*levels[::-1], strict=True))
        scores = tf.gather(self._scores, nodes)
        is_piece = tf.where(scores > float("-inf"))[:, 0]
        found = (tf.gather(x, is_piece) for x in (firsts, ends, nodes, scores))
        firsts, ends, nodes, scores = found
        return Found(firsts, ends, nodes, tf.cast(scores, tf.float64))


def _gather_rows(
    splits: tf.Tensor, values: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Select ragged rows; returns their splits, int64 [rows + 1], and their values."""
    selected = tf.raw_ops.RaggedGather(
        params_nested_splits=[splits],
        params_dense_values=values,
        indices=rows,
        OUTPUT_RAGGED_RANK=1,
    )
    return selected.output_nested_splits[0], selected.output_dense_values


def _count(values: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """int32 [size], how often each number from 0 on is among int32 values."""
    none = tf.zeros([0], tf.int32)
    return tf.raw_ops.Bincount(arr=values, size=size, weights=none)

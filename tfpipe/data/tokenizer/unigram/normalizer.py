"""Texts to words of symbols, inside the graph: SentencePiece's normalisation and splitting.

A text becomes one long array of code points (the texts of a batch end to end), and nearly all of
the work is one table lookup per code point. Those that become none or several, and characters of
several code points, are rare and have a branch of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer.tokens import rows_of
from tfpipe.data.tokenizer.unigram.clusters import Clusters
from tfpipe.data.tokenizer.unigram.replacements import (
    ITSELF,
    JOINS,
    KIND_BITS,
    NOTHING,
    RARE,
    Replacements,
)
from tfpipe.data.tokenizer.unigram.tables import WORD_SYMBOL
from tfpipe.data.tokenizer.wordpiece.normalizer import PagedTable


class Characters(NamedTuple):
    """The symbols of all words of a batch of texts, end to end; WORD_SYMBOL begins a word.

    Attributes:
        symbols: int32 [symbols].
        owners: int64 [symbols], the decoded code point that became the symbol; ascending.
        sources: int64 [symbols], the code point where `tokenizers` says that it came from; for
            the start of a word that of the next symbol.
        text_splits: int64 [texts + 1], where the code points of a text begin, which are numbered
            with one in front of each text.
    """

    symbols: tf.Tensor
    owners: tf.Tensor
    sources: tf.Tensor
    text_splits: tf.Tensor


class Normalizer(tf.Module):
    """Turns texts into the symbols of their words like `tokenizers`.

    Args:
        tables: What becomes of code points.
        trailing_space: Whether white space at the end of a text is a word.
    """

    def __init__(self, tables: Replacements, trailing_space: bool):
        super().__init__()
        self._trailing_space = trailing_space
        self._outcomes = PagedTable(tables.outcomes)
        self._rows = PagedTable(tables.rows)
        self._splits = tf.constant(tables.splits)
        self._parts = tf.constant(tables.parts)
        self._clusters = Clusters(tables)

    def split(self, texts: tf.Tensor) -> Characters:
        """Split UTF-8 texts, string [texts], into words; invalid bytes are U+FFFD."""
        # The space in front of a text begins its first word, and ends the last one before it.
        decoded = tf.raw_ops.UnicodeDecode(
            input=tf.strings.join([" ", texts]), input_encoding="UTF-8", errors="replace"
        )
        codes, splits = decoded.char_values, decoded.row_splits
        outcomes = self._outcomes.lookup(codes)
        kinds = tf.bitwise.bitwise_and(outcomes, (1 << KIND_BITS) - 1)
        places = tf.range(tf.size(codes, tf.int64))
        outcomes, owners, sources = tf.cond(
            tf.reduce_any(kinds >= RARE),
            lambda: self._replace(codes, splits, outcomes, tf.reduce_any(kinds == JOINS)),
            lambda: (outcomes, places, places),
        )
        return self._drop_spaces(outcomes, owners, sources, splits)

    def _replace(
        self, codes: tf.Tensor, splits: tf.Tensor, outcomes: tf.Tensor, some_join: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Outcomes, owners and sources with every code point replaced by all its outcomes."""
        rows = self._rows.lookup(codes)
        rows, sizes = tf.cond(
            some_join,
            lambda: self._clusters.replace(codes, splits, rows),
            lambda: (rows, tf.ones_like(codes, tf.int64)),
        )
        drawn = tf.raw_ops.RaggedRange(
            starts=tf.gather(self._splits, rows), limits=tf.gather(self._splits, rows + 1), deltas=1
        )
        part, part_splits = drawn.rt_dense_values, tf.cast(drawn.rt_nested_splits, tf.int64)
        owners = rows_of(part_splits, tf.size(part, tf.int64))
        replaced = tf.where(part == 0, tf.gather(outcomes, owners), tf.gather(self._parts, part))
        return replaced, owners, _sources(owners, rows, sizes, part_splits, splits)

    def _drop_spaces(
        self, outcomes: tf.Tensor, owners: tf.Tensor, sources: tf.Tensor, text_splits: tf.Tensor
    ) -> Characters:
        """Drop the spaces that begin no word: behind them is another one, or nothing."""
        symbols = tf.bitwise.right_shift(outcomes, KIND_BITS)
        starts = symbols == WORD_SYMBOL
        dropped = starts & tf.concat([starts[1:], [True]], 0)
        begins = starts
        if self._trailing_space:
            in_front = tf.scatter_nd(
                text_splits[:, None],
                tf.ones_like(text_splits, tf.bool),
                text_splits[-1:] + 1,
            )
            in_front = tf.gather(in_front, tf.concat([owners, text_splits[-1:]], 0))
            trailing = in_front[1:] & ~in_front[:-1]
            dropped, begins = dropped & ~trailing, begins & ~trailing
        kept = tf.where(~dropped)[:, 0]
        # The start of a word comes from where its first symbol comes from.
        source = kept + tf.cast(tf.gather(begins, kept), tf.int64)
        return Characters(
            symbols=tf.gather(symbols, kept),
            owners=tf.gather(owners, kept),
            sources=tf.gather(sources, source),
            text_splits=text_splits,
        )


def _sources(
    owners: tf.Tensor,
    rows: tf.Tensor,
    sizes: tf.Tensor,
    part_splits: tf.Tensor,
    text_splits: tf.Tensor,
) -> tf.Tensor:
    """The code points where `tokenizers` says that the outcomes came from: int64 [outcomes].

    It keeps with each outcome how many code points lie between it and the one before. Code points
    that become nothing are counted with the outcome before them. If that one was added, by what
    became more than it was, it moves to the first one removed. At the start of a text there is
    none before, and they are forgotten: what follows is moved to them.
    """
    number = tf.range(tf.size(owners, tf.int64)) - tf.gather(part_splits, owners)
    sizes = tf.gather(sizes, owners)
    sources = owners + tf.minimum(number, sizes - 1)
    added = (number >= sizes) & (
        number == tf.gather(part_splits[1:] - part_splits[:-1], owners) - 1
    )
    removed = tf.gather(tf.concat([rows, [ITSELF]], 0), owners + sizes) == NOTHING
    sources = tf.where(added & removed, owners + sizes, sources)
    # What is in front of a text is always an outcome; behind it comes the first one of the text.
    in_front = text_splits[:-1]
    first = tf.gather(part_splits, in_front) + 1
    first = tf.minimum(first, tf.size(owners, tf.int64) - 1)
    forgotten = tf.gather(owners, first) - in_front - 1
    text = tf.searchsorted(in_front, owners, "right", tf.int64) - 1
    is_text = tf.cast(owners > tf.gather(in_front, text), tf.int64)
    return sources - is_text * tf.gather(forgotten, text)


def keep_first(characters: Characters, count: int) -> Characters:
    """Keep the first `count` words of each text; a long text then costs no more than it can use."""
    starts = characters.symbols == WORD_SYMBOL
    splits = tf.searchsorted(
        tf.gather(characters.owners, tf.where(starts)[:, 0]),
        characters.text_splits,
        out_type=tf.int64,
    )

    def keep() -> Characters:
        word = tf.cumsum(tf.cast(starts, tf.int64)) - 1
        text = tf.searchsorted(splits, word, "right", tf.int64) - 1
        kept = tf.where(word - tf.gather(splits, text) < count)[:, 0]
        return Characters(
            symbols=tf.gather(characters.symbols, kept),
            owners=tf.gather(characters.owners, kept),
            sources=tf.gather(characters.sources, kept),
            text_splits=characters.text_splits,
        )

    some_are_cut = tf.reduce_any(splits[1:] - splits[:-1] > count)
    first: Characters = tf.cond(some_are_cut, keep, lambda: characters)
    return first

"""Texts to words of symbols, inside the graph: SentencePiece's normalisation and splitting.

A text becomes one long array of code points (the texts of a batch end to end), and nearly all of
the work is one table lookup per code point. Those that become none or several, and characters of
several code points, are rare and have a branch of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer.unigram.replacements import (
    KIND_BITS,
    NOTHING,
    RARE,
    SPACE,
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
    """Turns texts into the symbols of their words like `tokenizers`."""

    def __init__(self, tables: Replacements):
        super().__init__()
        self._outcomes = PagedTable(tables.outcomes)
        self._rows = PagedTable(tables.rows)
        self._splits = tf.constant(tables.splits)
        self._parts = tf.constant(tables.parts)

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
            lambda: self._replace(codes, splits, outcomes),
            lambda: (outcomes, places, places),
        )
        return _drop_spaces(outcomes, owners, sources, splits)

    def _replace(
        self, codes: tf.Tensor, splits: tf.Tensor, outcomes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Outcomes, owners and sources with every code point replaced by all its outcomes."""
        rows = self._rows.lookup(codes)
        starts = tf.gather(self._splits, rows)
        drawn = tf.raw_ops.RaggedRange(
            starts=starts, limits=tf.gather(self._splits, rows + 1), deltas=1
        )
        part_splits = tf.cast(drawn.rt_nested_splits, tf.int64)
        counts = part_splits[1:] - part_splits[:-1]
        owners = tf.repeat(tf.range(tf.size(codes, tf.int64)), counts)
        part = drawn.rt_dense_values
        replaced = tf.where(part == 0, tf.gather(outcomes, owners), tf.gather(self._parts, part))
        sources = _sources(owners, rows, part_splits, splits)
        return replaced, owners, sources


def _sources(
    owners: tf.Tensor, rows: tf.Tensor, part_splits: tf.Tensor, text_splits: tf.Tensor
) -> tf.Tensor:
    """The code points where `tokenizers` says that the outcomes came from.

    It keeps with each outcome how many code points lie between it and the one before. Code points
    that become nothing are counted with the outcome before them. If that one was added, by a code
    point that became several, it moves to the first one removed. At the start of a text there is
    none before, and they are forgotten: what follows is moved to them.
    """
    following = tf.concat([rows[1:], [0]], 0) == NOTHING
    counts = part_splits[1:] - part_splits[:-1]
    is_last = tf.range(tf.size(owners, tf.int64)) == tf.gather(part_splits[1:], owners) - 1
    moved = is_last & tf.gather(following & (counts > 1), owners)
    # The space in front of a text is never removed; the outcome behind it is the text's first.
    place = text_splits[:-1]
    first = tf.gather(part_splits, place) + 1
    first = tf.minimum(first, tf.size(owners, tf.int64) - 1)
    forgotten = tf.gather(owners, first) - place - 1
    text = tf.searchsorted(text_splits, owners, "right", tf.int64) - 1
    in_front = owners == tf.gather(place, text)
    shift = tf.where(in_front, tf.zeros_like(owners), tf.gather(forgotten, text))
    return owners + tf.cast(moved, tf.int64) - shift


def _drop_spaces(
    outcomes: tf.Tensor, owners: tf.Tensor, sources: tf.Tensor, text_splits: tf.Tensor
) -> Characters:
    """Drop the spaces that begin no word: behind them is another one, or nothing."""
    symbols = tf.bitwise.right_shift(outcomes, KIND_BITS)
    is_space = tf.bitwise.bitwise_and(outcomes, (1 << KIND_BITS) - 1) == SPACE
    begins = tf.concat([symbols[1:] == WORD_SYMBOL, [True]], 0)
    kept = tf.where(~(is_space & begins))[:, 0]
    source = kept + tf.cast(tf.gather(is_space, kept), tf.int64)
    return Characters(
        symbols=tf.gather(symbols, kept),
        owners=tf.gather(owners, kept),
        sources=tf.gather(sources, source),
        text_splits=text_splits,
    )

"""Texts to words, inside the graph: BERT's cleaning, accent stripping, lower-casing, splitting.

A text becomes one long array of code points (the texts of a batch end to end), and nearly all of
the work is one table lookup per code point. Only decomposed and reordered characters depend on
more than themselves; they are rare and have a branch of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import Int32Array
from tfpipe.data.tokenizer.wordpiece import unicode_tables
from tfpipe.data.tokenizer.wordpiece.unicode_tables import CLEANED, ISOLATED, KIND_BITS, RARE, SPACE

# Long runs of code points share their outcome, so that most pages are equal and kept once.
PAGE_BITS = 7


class NormalizedWords(NamedTuple):
    """The words of a batch of texts, end to end.

    Attributes:
        codes: int32 [characters], normalised code points of all words.
        sources: int64 [characters], where each came from: its index in the batch's decoded texts.
        splits: int64 [words + 1], word w is codes[splits[w]:splits[w + 1]].
        row_splits: int64 [texts + 1], the words of each text.
        text_starts: int64 [texts], where each text begins in the numbering of `sources`.
    """

    codes: tf.Tensor
    sources: tf.Tensor
    splits: tf.Tensor
    row_splits: tf.Tensor
    text_starts: tf.Tensor


class PagedTable(tf.Module):
    """An int32 array over all code points, stored without its repeated pages."""

    def __init__(self, values: Int32Array):
        super().__init__()
        numbers: dict[bytes, int] = {}
        pages = [page.tobytes() for page in values.reshape(-1, 1 << PAGE_BITS)]
        starts = [numbers.setdefault(page, len(numbers)) << PAGE_BITS for page in pages]
        # Eager constants are captured, so that all signatures of an export share one copy.
        self._page_starts = tf.constant(starts, tf.int32)
        self._pages = tf.constant(np.frombuffer(b"".join(numbers), values.dtype), tf.int32)

    def lookup(self, codes: tf.Tensor) -> tf.Tensor:
        """Look up int32 code points; the values have the same shape."""
        page = tf.gather(self._page_starts, tf.bitwise.right_shift(codes, PAGE_BITS))
        return tf.gather(self._pages, page + tf.bitwise.bitwise_and(codes, (1 << PAGE_BITS) - 1))


class Normalizer(tf.Module):
    """Splits texts into normalised words like HuggingFace's BertNormalizer and pre-tokenizer."""

    def __init__(self, lower_case: bool, strip_accents: bool, split_chinese: bool):
        super().__init__()
        tables = unicode_tables.compose(lower_case, strip_accents, split_chinese)
        parts = tables.parts
        self._outcomes = PagedTable(tables.outcomes)
        self._has_rare = bool(np.any(tables.outcomes & (1 << KIND_BITS) - 1 == RARE))
        self._slots = PagedTable(parts.slots)
        self._part_splits = tf.constant(parts.splits)
        self._part_codes = tf.constant(parts.codes)
        self._part_kinds = tf.constant(parts.kinds)
        self._part_classes = tf.constant(parts.classes)

    def split(self, texts: tf.Tensor) -> NormalizedWords:
        """Split UTF-8 texts, string [texts], into words; invalid bytes are dropped like U+FFFD."""
        # A space behind each text separates it from the next: no word can run across texts.
        decoded = tf.raw_ops.UnicodeDecode(
            input=tf.strings.join([texts, " "]), input_encoding="UTF-8", errors="replace"
        )
        outcomes = self._outcomes.lookup(decoded.char_values)
        kinds = tf.bitwise.bitwise_and(outcomes, (1 << KIND_BITS) - 1)
        codes = decoded.char_values + tf.bitwise.right_shift(outcomes, KIND_BITS)
        sources = tf.range(tf.size(codes, tf.int64))
        if self._has_rare:
            codes, kinds, sources = tf.cond(
                tf.reduce_any(kinds == RARE),
                lambda: self._decompose(decoded.char_values, codes, kinds),
                lambda: (codes, kinds, sources),
            )

        # Characters with the same key are of one word. A space raises the key of what follows; an
        # isolated character raises it twice, and takes the key between for itself.
        isolated = tf.cast(kinds == ISOLATED, tf.int32)
        word_keys = tf.cumsum(2 * isolated + tf.cast(kinds == SPACE, tf.int32)) - isolated
        # Spaces, stripped marks and what cleaning removes have done their part.
        kept = tf.where(kinds <= ISOLATED)[:, 0]
        codes, sources, word_keys = (tf.gather(x, kept) for x in (codes, sources, word_keys))
        firsts = tf.where(word_keys != tf.concat([[-1], word_keys[:-1]], 0))[:, 0]
        return NormalizedWords(
            codes=codes,
            sources=sources,
            splits=tf.concat([firsts, tf.size(kept, tf.int64)[None]], 0),
            row_splits=tf.searchsorted(
                tf.gather(sources, firsts), decoded.row_splits, out_type=tf.int64
            ),
            text_starts=decoded.row_splits[:-1],
        )

    def _decompose(
        self, originals: tf.Tensor, codes: tf.Tensor, kinds: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Codes, kinds and sources with every character replaced by its canonical decomposition.

        Marks to be stripped stay in for now, as MARK: they decide which source a reordered
        character is given.
        """
        # What cleaning removes is gone before decomposition: marks on both sides of it can meet.
        clean = tf.where(kinds != CLEANED)[:, 0]
        slots = self._slots.lookup(tf.gather(originals, clean))
        starts = tf.gather(self._part_splits, slots)
        parts = tf.raw_ops.RaggedRange(
            starts=starts, limits=tf.gather(self._part_splits, slots + 1), deltas=1
        )
        owners = tf.repeat(clean, parts.rt_nested_splits[1:] - parts.rt_nested_splits[:-1])
        part = parts.rt_dense_values
        itself = part == 0
        codes = tf.where(itself, tf.gather(codes, owners), tf.gather(self._part_codes, part))
        kinds = tf.where(itself, tf.gather(kinds, owners), tf.gather(self._part_kinds, part))
        classes = tf.gather(self._part_classes, part)
        ordered: tuple[tf.Tensor, tf.Tensor, tf.Tensor] = tf.cond(
            tf.reduce_any((classes > 0) & (kinds <= ISOLATED)),
            lambda: _reorder(codes, kinds, owners, classes, clean),
            lambda: (codes, kinds, owners),
        )
        return ordered


def keep_first(words: NormalizedWords, count: int) -> NormalizedWords:
    """Keep the first `count` words of each text; a long text then costs no more than it can use."""
    starts = words.row_splits[:-1]
    kept = tf.minimum(words.row_splits[1:] - starts, count)

    def keep() -> NormalizedWords:
        one = tf.ones([], tf.int64)
        word = tf.raw_ops.RaggedRange(starts=starts, limits=starts + kept, deltas=one)
        character = tf.raw_ops.RaggedRange(
            starts=tf.gather(words.splits, starts),
            limits=tf.gather(words.splits, starts + kept),
            deltas=one,
        ).rt_dense_values
        lengths = tf.gather(words.splits[1:] - words.splits[:-1], word.rt_dense_values)
        return NormalizedWords(
            codes=tf.gather(words.codes, character),
            sources=tf.gather(words.sources, character),
            splits=tf.concat([[0], tf.cumsum(lengths)], 0),
            row_splits=word.rt_nested_splits,
            text_starts=words.text_starts,
        )

    some_are_cut = tf.reduce_any(starts + kept < words.row_splits[1:])
    first: NormalizedWords = tf.cond(some_are_cut, keep, lambda: words)
    return first


def _reorder(
    codes: tf.Tensor, kinds: tf.Tensor, owners: tf.Tensor, classes: tf.Tensor, clean: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Canonical ordering: each run of marks behind a character, by combining class (UAX #15, D108).

    HuggingFace gives out sources by place: the k-th first part of a decomposition, counted after
    ordering, comes from the k-th character of the text; a later part from the one before it.
    """
    runs = tf.cumsum(tf.cast(classes == 0, tf.int64))
    order = tf.argsort(runs * 256 + tf.cast(classes, tf.int64), stable=True)
    first_part = tf.concat([tf.ones([1], tf.bool), owners[1:] != owners[:-1]], 0)
    taken = tf.cumsum(tf.cast(tf.gather(first_part, order), tf.int32)) - 1
    return tf.gather(codes, order), tf.gather(kinds, order), tf.gather(clean, taken)

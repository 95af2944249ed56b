"""Words of a text for tagging: their first tokens, and their places in the text.

A word is what BERT's basic tokenizer makes: a run of letters, one sign of punctuation, one Chinese
character. Its first token is tagged.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfpipe.data.spans import Span
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.data.wordpiece import CONTINUATION, rows_of

# All that the tokenizer reads as a space.
SPACES = [9, 10, 13, 0x20, 0xA0, 0x1680, *range(0x2000, 0x200B)]
SPACES += [0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
# Spaces, and what the tokenizer drops: controls, formats such as joiners, marks such as accents.
NO_LETTERS = {"Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Mn"}


class WordPositions(NamedTuple):
    """The words of B texts, W at most.

    Attributes:
        used: bool [B, W].
        token: int32 [B, W], the column of input_ids in which a word begins.
        start: int32 [B, W], code point of the text, -1 where a place is not used.
        end: int32 [B, W], code point after the word, -1 where a place is not used.
    """

    used: tf.Tensor
    token: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor


def find_words(tokenizer: Tokenizer, texts: tf.Tensor, kept: tf.Tensor) -> WordPositions:
    """Find the words of texts, string [B], that begin among the kept tokens.

    A word's end includes what the tokenizer has dropped behind its last character, such as accents
    and the joiners of emoji.

    Args:
        tokenizer: The model's.
        texts: string [B].
        kept: int [B], tokens of each text without [CLS] and [SEP].
    """
    ids, start, end = tokenizer.tokenize_with_offsets(texts)
    with tf.device("CPU:0"):
        begins = tf.constant([not t.startswith(CONTINUATION) for t in tokenizer.vocabulary])
        first = tf.where(tf.gather(begins, ids.values))[:, 0]
        word_splits = tf.concat([first, tf.size(ids.values, tf.int64)[None]], 0)
        word = rows_of(word_splits, tf.size(ids.values, tf.int64))
        row = tf.gather(ids.value_rowids(), first)
        starts = tf.gather(start.values, first)
        ends = _extend(texts, row, starts, tf.math.segment_max(end.values, word))

        token = first - tf.gather(ids.row_splits, row)
        is_kept = token < tf.gather(tf.cast(kept, tf.int64), row)
        row = tf.boolean_mask(row, is_kept)

        def spread(values: tf.Tensor) -> tf.Tensor:
            values = tf.cast(tf.boolean_mask(values, is_kept), tf.int32)
            count = tf.size(texts, tf.int64)
            ragged = tf.RaggedTensor.from_value_rowids(values, row, count, validate=False)
            return ragged.to_tensor(-1)

        columns = spread(token)
        return WordPositions(columns >= 0, columns + 1, spread(starts), spread(ends))


def _extend(texts: tf.Tensor, row: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """The ends of words, int32 [words], moved on to the next word, space or end of the text."""
    decoded = tf.raw_ops.UnicodeDecode(input=texts, input_encoding="UTF-8", errors="replace")
    # Behind the last text, too, a word must find its end.
    characters = tf.concat([decoded.char_values, [0x20]], 0)
    text_start = tf.gather(decoded.row_splits, row)
    starts, ends = (tf.cast(x, tf.int64) + text_start for x in (starts, ends))
    limits = tf.minimum(
        tf.concat([starts, decoded.row_splits[-1:]], 0)[1:], tf.gather(decoded.row_splits, row + 1)
    )

    def extend() -> tf.Tensor:
        stops = tf.where(_is_space(characters))[:, 0]
        return tf.maximum(ends, tf.minimum(limits, tf.gather(stops, tf.searchsorted(stops, ends))))

    # Rare: nearly every word ends where the next one or a space begins.
    drops = (ends < limits) & ~_is_space(tf.gather(characters, ends))
    ends = tf.cond(tf.reduce_any(drops), extend, lambda: ends)
    return tf.cast(ends - text_start, tf.int32)


def _is_space(characters: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(characters[:, None] == tf.constant(SPACES), axis=1)


class Cover(NamedTuple):
    """The words first <= w < limit that a span covers; exact: whether they are just the span."""

    first: int
    limit: int
    exact: bool


def cover_spans(
    spans: Sequence[Span], text: str, start: np.ndarray, end: np.ndarray
) -> list[Cover]:
    """Find the words that each span covers, also in part; a word belongs to the first such span.

    A span of no word has first == limit.

    Args:
        spans: Sorted, without overlap.
        start: int [W], of the words of the text.
        end: int [W].
        text: The text.
    """
    covers: list[Cover] = []
    free = 0
    for span in spans:
        touched = int(np.searchsorted(end, span.start, "right"))
        first = max(free, touched)
        limit = max(first, int(np.searchsorted(start, span.end, "left")))
        exact = touched == first < limit
        if exact:
            whole = Span(int(start[first]), int(end[limit - 1]), span.type)
            exact = trim_span(whole, text) == trim_span(span, text)
        covers.append(Cover(first, limit, exact))
        free = limit
    return covers


def trim_span(span: Span, text: str) -> Span:
    """Trim spaces, marks and invisible characters at the ends of a span.

    No word differs by them alone: a file's tokens may end with an accent or joiner of their own.
    """
    start, end = span.start, span.end
    while start < end and unicodedata.category(text[start]) in NO_LETTERS:
        start += 1
    while start < end and unicodedata.category(text[end - 1]) in NO_LETTERS:
        end -= 1
    return span if start == end else Span(start, end, span.type)

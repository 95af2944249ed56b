"""Words of a text for tagging: their first tokens, and their places in the text.

A word is what BERT's basic tokenizer makes: a run of letters, one sign of punctuation, one Chinese
character; see data/tokenizer/words.py for other tokenizers. Its first token is tagged.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.tasks.tag.covers import SPACES


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
        kept: int [B], tokens of each text without special ones.
    """
    ids, start, end = tokenizer.tokenize_with_offsets(texts)
    with tf.device("CPU:0"):
        begins, inside = tokenizer.mark_words(ids.values)
        first = tf.where(begins)[:, 0]
        # The words of the tokens that are part of one: each goes on to where the next begins.
        word = tf.boolean_mask(tf.cumsum(tf.cast(begins, tf.int32)) - 1, inside)
        row = tf.gather(ids.value_rowids(), first)
        starts = tf.gather(start.values, first)
        ends = tf.math.segment_max(tf.boolean_mask(end.values, inside), word)
        ends = _extend(texts, row, starts, ends)

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

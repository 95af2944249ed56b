"""Token ids to BERT's inputs: special tokens, truncation, padding to the longest of the batch."""

from __future__ import annotations

import tensorflow as tf

from tfpipe.data.tokenizer.frame import Frame
from tfpipe.data.tokenizer.truncation import truncate_pairs


def pack(
    first: tf.RaggedTensor, second: tf.RaggedTensor | None, frame: Frame, max_length: int
) -> dict[str, tf.Tensor]:
    """Build `[CLS] first [SEP]` or `[CLS] first [SEP] second [SEP]`, as the frame has it.

    Args:
        first: Ragged int32 [texts, tokens].
        second: The same of the second texts; None for single texts.
        frame: The special tokens.
        max_length: Tokens of an input, specials included.

    Returns:
        input_ids, token_type_ids and attention_mask: int32 [texts, longest], padded on the right.
    """
    first_lengths = first.row_lengths()
    if second is None:
        kept = tf.minimum(first_lengths, max_length - frame.text_specials)
        total = kept + frame.text_specials
        values = [first.values]
    else:
        capacity = max_length - frame.pair_specials
        kept, kept_second = truncate_pairs(tf, first_lengths, second.row_lengths(), capacity)
        total = kept + kept_second + frame.pair_specials
        values = [first.values, second.values]

    # Every cell of the result is drawn from one pool: the special tokens, then all texts.
    pool = tf.concat([[frame.cls, frame.sep, frame.pad], *values], 0)
    cls_place, sep_place, pad_place, texts_place = (tf.constant(i, tf.int64) for i in range(4))
    kept, total = kept[:, None], total[:, None]
    # The maximum over no rows at all is the smallest integer. Even then there is a first column,
    # which every model reads.
    column = tf.range(tf.maximum(tf.reduce_max(total), 1))[None, :]
    place = tf.where(column < total, sep_place, pad_place)
    # The column of the second text's first token; behind a single text there is none.
    second_column = kept + 1 + frame.separators
    in_second = (column >= second_column) & (column < total)
    if second is not None:
        start = texts_place + tf.size(first.values, tf.int64) + second.row_splits[:-1, None]
        is_text = in_second & (column < total - 1)
        place = tf.where(is_text, start + column - second_column, place)
    start = texts_place + first.row_splits[:-1, None]
    place = tf.where(column <= kept, start + column - 1, place)
    place = tf.where(column == 0, cls_place, place)
    return {
        "input_ids": tf.gather(pool, place),
        "token_type_ids": tf.cast(in_second, tf.int32) * frame.second_type,
        "attention_mask": tf.cast(column < total, tf.int32),
    }

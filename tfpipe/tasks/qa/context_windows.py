"""Questions with their contexts as overlapping windows, inside the graph.

    [CLS] question [SEP] a window of the context [SEP]     or as the tokenizer's frame has it

The same function prepares training data and is part of the served graph.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.tasks.qa.window_plan import count_windows, plan_windows


class ContextTokens(NamedTuple):
    """Places of the context's tokens, in W windows of B questions.

    Attributes:
        owner: int32 [W], the question of each window, in order; each has a window or more.
        starts: int32 [W, L], code points into the context; -1 at every other token.
        ends: int32 [W, L], the same, exclusive.
    """

    owner: Any
    starts: Any
    ends: Any


class ContextWindows(NamedTuple):
    """W windows over the contexts of B questions.

    Attributes:
        inputs: input_ids, token_type_ids, attention_mask int32 [W, L].
        tokens: Those of the contexts.
        numbers: int32 [W, L], a context token's number in its whole context, -1 at other tokens.
        full_lengths: int32 [B], tokens of question and context with specials before they were cut.
    """

    inputs: dict[str, Any]
    tokens: ContextTokens
    numbers: Any
    full_lengths: Any


def window_contexts(
    tokenizer: Tokenizer,
    questions: tf.Tensor,
    contexts: tf.Tensor,
    max_length: int,
    stride: int | None = None,
) -> ContextWindows:
    """Cut questions and contexts into windows of at most `max_length` tokens each.

    A question is truncated only where both do not fit, and keeps half of the tokens. Every token of
    a context is in a window.

    Args:
        tokenizer: The model's.
        questions: string [B].
        contexts: string [B].
        max_length: Tokens of a window, specials included.
        stride: Tokens from the start of one window to that of the next, by default half of
            `max_length`; fewer where the question leaves so few that neighbours would share less
            than a quarter of them.
    """
    with tf.device("CPU:0"):
        question = tokenizer.tokenize(questions)
        context, starts, ends = tokenizer.tokenize_with_offsets(contexts)
        question_lengths, context_lengths = question.row_lengths(), context.row_lengths()
        frame = tokenizer.frame
        kept, room, step = plan_windows(
            tf,
            question_lengths,
            context_lengths,
            max_length - frame.pair_specials,
            stride or max_length // 2,
        )
        owner, number = number_windows(context_lengths, room, step)
        begin = number * tf.gather(step, owner)
        length = tf.minimum(tf.gather(room, owner), tf.gather(context_lengths, owner) - begin)
        kept = tf.gather(kept, owner)

        # Every cell is drawn from one pool: the special tokens, all questions, all contexts.
        columns = (kept + length + frame.pair_specials)[:, None]
        column = tf.range(tf.maximum(tf.reduce_max(columns), 1))[None, :]
        in_question = (column > 0) & (column <= kept[:, None])
        context_column = kept[:, None] + 1 + frame.separators
        is_second = (column >= context_column) & (column < columns)
        in_context = is_second & (column < columns - 1)
        token = column - context_column + begin[:, None]
        context_place = tf.gather(context.row_splits, owner)[:, None] + token
        special = [frame.cls, frame.sep, frame.pad]
        pool = tf.concat([special, question.values, context.values], 0)
        cls_place, sep_place, pad_place, texts_place = (tf.constant(i, tf.int64) for i in range(4))
        place = tf.where(column < columns, sep_place, pad_place)
        question_place = texts_place + tf.gather(question.row_splits, owner)[:, None] + column - 1
        place = tf.where(in_question, question_place, place)
        contexts_place = texts_place + tf.size(question.values, tf.int64)
        place = tf.where(in_context, contexts_place + context_place, place)
        place = tf.where(column == 0, cls_place, place)

        def spread(values: tf.Tensor) -> tf.Tensor:
            # The pool's first value answers for all that is not context.
            values = tf.concat([[-1], values], 0)
            return tf.gather(values, tf.where(in_context, context_place + 1, 0))

        inputs = {
            "input_ids": tf.gather(pool, place),
            "token_type_ids": tf.cast(is_second, tf.int32) * frame.second_type,
            "attention_mask": tf.cast(column < columns, tf.int32),
        }
        return ContextWindows(
            inputs,
            ContextTokens(owner, spread(starts.values), spread(ends.values)),
            tf.where(in_context, tf.cast(token, tf.int32), -1),
            tf.cast(question_lengths + context_lengths + frame.pair_specials, tf.int32),
        )


def number_windows(
    lengths: tf.Tensor, room: tf.Tensor, step: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the row of each window, int32 [W], and its number in that row, int64 [W].

    Windows are in the order of rows, numbered from 0. A row gets the fewest windows that hold all
    of its tokens, and one even without any.

    Args:
        lengths: int64 [B], tokens of each row.
        room: int64, [B] or of all rows: tokens of a window.
        step: int64, [B] or of all rows: tokens from one window to the next.
    """
    count = count_windows(tf, lengths, room, step)
    owner = tf.repeat(tf.range(tf.size(count)), count)
    first_window = tf.cumsum(count, exclusive=True)
    return owner, tf.range(tf.size(owner, tf.int64)) - tf.gather(first_window, owner)

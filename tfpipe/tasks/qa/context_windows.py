"""Questions with their contexts as overlapping windows, inside the graph.

    [CLS] question [SEP] a window of the context [SEP]     or as the tokenizer's frame has it

The same function prepares training data and is part of the served graph.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.data.tokenizer.bert_inputs import pack
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
        kept, capacity, step = plan_windows(
            tf,
            question_lengths,
            context_lengths,
            max_length - frame.pair_specials,
            stride or max_length // 2,
        )
        owner, number = number_windows(context_lengths, capacity, step)
        begin = number * tf.gather(step, owner)
        length = tf.minimum(tf.gather(capacity, owner), tf.gather(context_lengths, owner) - begin)
        kept = tf.gather(kept, owner)

        question_starts = tf.gather(question.row_splits, owner)
        context_starts = tf.gather(context.row_splits, owner) + begin
        first = _slice(question.values, question_starts, kept)
        second = _slice(context.values, context_starts, length)
        inputs = pack(first, second, frame, max_length)
        column = tf.range(tf.shape(inputs["input_ids"], tf.int64)[1])[None, :]
        token = column - (kept + 1 + frame.separators)[:, None]
        in_context = (token >= 0) & (token < length[:, None])

        def spread(values: tf.Tensor) -> tf.Tensor:
            # The first value answers for all that is not context.
            place = tf.where(in_context, context_starts[:, None] + token + 1, 0)
            return tf.gather(tf.concat([[-1], values], 0), place)

        return ContextWindows(
            inputs,
            ContextTokens(owner, spread(starts.values), spread(ends.values)),
            tf.cast(tf.where(in_context, token + begin[:, None], -1), tf.int32),
            tf.cast(question_lengths + context_lengths + frame.pair_specials, tf.int32),
        )


def _slice(values: tf.Tensor, starts: tf.Tensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    one = tf.ones([], tf.int64)
    places = tf.raw_ops.RaggedRange(starts=starts, limits=starts + lengths, deltas=one)
    return tf.RaggedTensor.from_row_splits(
        tf.gather(values, places.rt_dense_values), places.rt_nested_splits, validate=False
    )


def number_windows(
    lengths: tf.Tensor, capacity: tf.Tensor, step: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the row of each window, int32 [W], and its number in that row, int64 [W].

    Windows are in the order of rows, numbered from 0. A row gets the fewest windows that hold all
    of its tokens, and one even without any.

    Args:
        lengths: int64 [B], tokens of each row.
        capacity: int64, [B] or of all rows: tokens of a window.
        step: int64, [B] or of all rows: tokens from one window to the next.
    """
    count = count_windows(tf, lengths, capacity, step)
    owner = tf.repeat(tf.range(tf.size(count)), count)
    first_window = tf.cumsum(count, exclusive=True)
    return owner, tf.range(tf.size(owner, tf.int64)) - tf.gather(first_window, owner)

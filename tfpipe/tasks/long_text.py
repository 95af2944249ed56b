"""Inputs for texts that are longer than the model's maximum length, inside the graph.

    head        [CLS] the first tokens [SEP]                        by the tokenizer itself
    head_tail   [CLS] the first quarter, the last three [SEP]       cut_head_tail
    windows     [CLS] a window [SEP], as many as needed             cut_windows

The same functions prepare training data and are part of the served graph. A text that is not longer
than the maximum length is the same input in all three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.data.tokenizer.bert_inputs import pack
from tfpipe.tasks.qa.context_windows import number_windows
from tfpipe.tasks.task import Forward, Tensors

# 32 inputs of 512: a request with a book in it takes time, not memory.
TOKENS_AT_ONCE = 16_384


class TextInputs(NamedTuple):
    """W inputs of a model for N texts.

    Attributes:
        inputs: input_ids, token_type_ids, attention_mask int32 [W, L].
        owner: int32 [W], the text of each input, in order; each has one or more.
        full_lengths: int32 [N], tokens of each text with specials before anything was cut off.
    """

    inputs: Tensors
    owner: Any
    full_lengths: Any


def cut_head_tail(tokenizer: Tokenizer, texts: tf.Tensor, max_length: int) -> TextInputs:
    """Build one input a text: of a long one the first quarter and the last three quarters.

    Source: Sun et al., "How to Fine-Tune BERT for Text Classification?" (2019), section 5.3.1, who
    read 128 and 382 of 510 tokens.

    Args:
        tokenizer: The model's.
        texts: string [N].
        max_length: Tokens, specials included.
    """
    with tf.device("CPU:0"):
        tokens = tokenizer.tokenize(texts)
        capacity = max_length - tokenizer.frame.text_specials
        head = capacity // 4
        starts, limits = tokens.row_splits[:-1], tokens.row_splits[1:]
        is_long = limits - starts > capacity
        head_limits = tf.where(is_long, starts + head, limits)
        tail_starts = tf.where(is_long, limits - (capacity - head), limits)
        # Head and tail of a text lie side by side, so that they join of themselves.
        values = _take(
            tokens.values,
            tf.reshape(tf.stack([starts, tail_starts], 1), [-1]),
            tf.reshape(tf.stack([head_limits, limits], 1), [-1]),
        )
        kept = tf.minimum(limits - starts, capacity)
        owner = tf.range(tf.size(kept))
        return TextInputs(
            _frame(values, kept, tokenizer, max_length), owner, _count(tokens, tokenizer)
        )


def cut_windows(tokenizer: Tokenizer, texts: tf.Tensor, max_length: int) -> TextInputs:
    """Cut every text into windows that begin half a length apart; the last one ends with the text.

    All windows of a text that has several are full: the last one shares more than half with the one
    before it. The number of windows of a text is unbounded.

    Args:
        tokenizer: The model's.
        texts: string [N].
        max_length: Tokens, specials included.
    """
    with tf.device("CPU:0"):
        tokens = tokenizer.tokenize(texts)
        lengths = tokens.row_lengths()
        capacity = tf.constant(max_length - tokenizer.frame.text_specials, tf.int64)
        step = tf.maximum(capacity // 2, 1)
        owner, number = number_windows(lengths, capacity, step)
        length = tf.gather(lengths, owner)
        begin = tf.minimum(number * step, tf.maximum(length - capacity, 0))
        kept = tf.minimum(length, capacity)
        starts = tf.gather(tokens.row_splits, owner) + begin
        values = _take(tokens.values, starts, starts + kept)
        return TextInputs(
            _frame(values, kept, tokenizer, max_length), owner, _count(tokens, tokenizer)
        )


# By the values of --long-text, but for the tokenizer's own way.
CUTS: dict[str, Callable[[Tokenizer, tf.Tensor, int], TextInputs]] = {
    "head_tail": cut_head_tail,
    "windows": cut_windows,
}


def forward_in_groups(forward: Forward, inputs: Tensors, shape: Sequence[int | None]) -> tf.Tensor:
    """Run `forward` on W inputs, a bounded number of them at a time.

    However long the texts of a request are, they need no more memory than `TOKENS_AT_ONCE`.

    Args:
        forward: The model.
        inputs: input_ids, token_type_ids, attention_mask int32 [W, L].
        shape: Of the output for one input.

    Returns:
        float32 [W, ...].
    """
    count, width = tf.unstack(tf.shape(inputs["input_ids"]))
    group = tf.maximum(TOKENS_AT_ONCE // width, 1)
    # Even of no input at all the logits have a shape.
    groups = tf.maximum((count + group - 1) // group, 1)
    found = tf.TensorArray(tf.float32, groups, infer_shape=False, element_shape=[None, *shape])

    def add(number: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        rows = slice(number * group, (number + 1) * group)
        logits = forward({name: values[rows] for name, values in inputs.items()})
        return number + 1, found.write(number, tf.cast(logits, tf.float32))

    # One after the other: side by side they would need the memory of all.
    _, found = tf.while_loop(
        lambda number, _: number < groups, add, (tf.constant(0), found), parallel_iterations=1
    )
    return found.concat()


def mean_by_owner(logits: tf.Tensor, owner: tf.Tensor) -> tf.Tensor:
    """Average the logits [W, K] of each text's inputs, float32 [N, K]; owner: int32 [W].

    In training each window has the target of its text, so that all windows estimate the same value:
    their mean has less variance than any one, is a number in the label's unit for regression, and
    of one window is that window's output. With a maximum one outlier would decide, the more likely
    the longer the text is.
    """
    return tf.math.segment_mean(logits, owner)


def _take(values: tf.Tensor, starts: tf.Tensor, limits: tf.Tensor) -> tf.Tensor:
    """The values of ranges, end to end."""
    one = tf.ones([], starts.dtype)
    ranges = tf.raw_ops.RaggedRange(starts=starts, limits=limits, deltas=one)
    return tf.gather(values, ranges.rt_dense_values)


def _frame(values: tf.Tensor, lengths: tf.Tensor, tokenizer: Tokenizer, max_length: int) -> Tensors:
    rows = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
    return pack(rows, None, tokenizer.frame, max_length)


def _count(tokens: tf.RaggedTensor, tokenizer: Tokenizer) -> tf.Tensor:
    return tf.cast(tokens.row_lengths() + tokenizer.frame.text_specials, tf.int32)

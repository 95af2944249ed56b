"""The best answers in a span head's logits, over all windows of a context, in the graph."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfpipe.tasks.qa.context_windows import ContextTokens

# Instead of -inf, of which sums and softmaxes would make NaN.
NEVER = -1e30
# In nats: far more than rounding moves a score by, far less than means anything.
AS_GOOD = 1e-5


class BestSpans(NamedTuple):
    """The n best answers of B questions, the best first.

    Attributes:
        starts: int32 [B, n], code points into the context.
        ends: int32 [B, n], code points into the context.
        scores: float32 [B, n], logarithms of probabilities, NEVER where a context has fewer spans.
        no_answer: float32 [B], the same for no answer.
    """

    starts: tf.Tensor
    ends: tf.Tensor
    scores: tf.Tensor
    no_answer: tf.Tensor


def _level(scores: tf.Tensor) -> tf.Tensor:
    """Make scores [N, any] that nearly equal a row's best equal to it.

    Of equal ones the first is taken. A text that repeats itself has many, and rounding, which
    differs between batches, must not choose among them.
    """
    best = tf.reduce_max(scores, axis=1, keepdims=True)
    return tf.where(scores >= best - AS_GOOD, best, scores)


def mask_logits(logits: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
    """Return the logits, float32 [W, L, 2], NEVER where no answer may start or end.

    Args:
        logits: [W, L, 2].
        context: bool [W, L], the context's tokens; [CLS] is added, for no answer.
    """
    places = context | (tf.range(tf.shape(context)[1]) == 0)
    return tf.where(places[:, :, tf.newaxis], tf.cast(logits, tf.float32), NEVER)


def find_best_spans(
    logits: tf.Tensor, tokens: ContextTokens, count: int, longest: int
) -> BestSpans:
    """Find the `count` best spans of at most `longest` tokens among all.

    A span is scored by the softmax of its window over the context and [CLS], so that a window
    without an answer, which gives [CLS] a high score, adds no high-scoring ones; no answer is
    scored by the window that gives it the lowest score. The same span of two windows counts once.
    Source: Devlin et al. 2019, sections 4.2 and 4.3 (https://arxiv.org/abs/1810.04805).

    Args:
        logits: [W, L, 2], for start and end.
        tokens: Of the contexts.
        count: Spans of each question.
        longest: Tokens of a span.
    """
    in_context = tokens.starts >= 0
    scores = tf.nn.log_softmax(mask_logits(logits, in_context), axis=1)
    no_answer = tf.math.segment_min(scores[:, 0, 0] + scores[:, 0, 1], tokens.owner)
    scores = tf.where(in_context[:, :, tf.newaxis], scores, NEVER)

    # All pairs, not the best starts with the best ends: a span has few tokens.
    width = tf.shape(scores)[1]
    end = tf.range(width)[:, tf.newaxis] + tf.range(longest)
    ends = tf.pad(scores[:, :, 1], [[0, 0], [0, longest]], constant_values=NEVER)
    pairs = scores[:, :, 0, tf.newaxis] + tf.gather(ends, end, axis=1)
    pairs = _level(tf.reshape(pairs, [tf.shape(pairs)[0], width * longest]))
    best, pair = tf.math.top_k(pairs, tf.minimum(count, width * longest))
    start = pair // longest
    end = tf.minimum(start + pair % longest, width - 1)
    starts = tf.gather(tokens.starts, start, batch_dims=1)
    ends = tf.gather(tokens.ends, end, batch_dims=1)

    questions = tf.size(no_answer, tf.int64)

    def join_windows(values: tf.Tensor, filling: float) -> tf.Tensor:
        """Join the values of all windows to [B, any], and `count` for questions with fewer."""
        rows = tf.RaggedTensor.from_value_rowids(
            values, tf.cast(tokens.owner, tf.int64), questions, validate=False
        ).to_tensor(filling)
        shape = tf.shape(rows)
        rows = tf.reshape(rows, [shape[0], shape[1] * shape[2]])
        return tf.pad(rows, [[0, 0], [0, count]], constant_values=filling)

    best = _level(join_windows(tf.maximum(best, NEVER), NEVER))
    best, place = tf.math.top_k(best, count)
    starts = tf.gather(join_windows(starts, -1), place, batch_dims=1)
    ends = tf.gather(join_windows(ends, -1), place, batch_dims=1)

    same = (starts[:, :, tf.newaxis] == starts[:, tf.newaxis]) & (
        ends[:, :, tf.newaxis] == ends[:, tf.newaxis]
    )
    earlier = tf.range(count)[:, tf.newaxis] > tf.range(count)
    repeated = tf.reduce_any(same & earlier, axis=2)
    return BestSpans(starts, ends, tf.where(repeated, NEVER, best), no_answer)

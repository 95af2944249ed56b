"""Decoding of words' tag scores to entities, inside the graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfpipe.tasks.tag.viterbi import find_best_tags
from tfpipe.tasks.tag.words import WordPositions


def decode_entities(
    logits: tf.Tensor, words: WordPositions, types: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Decode the entities of the best legal tags.

    The score is the probability that exactly these words are the entity, with every word's softmax
    independent: the product of the probabilities of its tags and of the next word not continuing
    it.

    Args:
        logits: float32 [B, W, 1 + 2T] of O, B of the T types, I of the T types.
        words: Of the texts.
        types: The T names.

    Returns:
        entity string, start and end int32 (code points, end exclusive), score float32, all [B, E]
        with E the most entities of a text; unused places hold "" and -1.
    """
    # Strings live on the CPU, and on another device so many small steps would only wait.
    with tf.device("CPU:0"):
        likely = tf.nn.log_softmax(logits)
        tags = find_best_tags(likely, words.used)
        begins, goes_on = (tags > 0) & (tags <= len(types)), tags > len(types)
        in_entity = begins | goes_on
        kind = tf.where(goes_on, tags - len(types), tags)
        score = tf.gather(likely, tags, batch_dims=2) + _log_of_end(likely, words, kind, goes_on)

        # The words of all entities, end to end: each is between one B and the next.
        member = tf.reshape(in_entity, [-1])
        entity = tf.cumsum(tf.cast(tf.reshape(begins, [-1]), tf.int32)) - 1
        entity = tf.boolean_mask(entity, member)

        def of_members(values: tf.Tensor) -> tf.Tensor:
            return tf.boolean_mask(tf.reshape(values, [-1]), member)

        found = {
            "entity": (tf.gather(["", *types], tf.boolean_mask(kind, begins)), ""),
            "start": (tf.boolean_mask(words.start, begins), -1),
            "end": (tf.math.segment_max(of_members(words.end), entity), -1),
            "score": (tf.exp(tf.math.segment_sum(of_members(score), entity)), -1.0),
        }
        row, count = tf.where(begins)[:, 0], tf.shape(tags, tf.int64)[0]
        return {
            name: tf.RaggedTensor.from_value_rowids(values, row, count, validate=False).to_tensor(
                unused
            )
            for name, (values, unused) in found.items()
        }


def _log_of_end(
    likely: tf.Tensor, words: WordPositions, kind: tf.Tensor, goes_on: tf.Tensor
) -> tf.Tensor:
    """Return float32 [B, W]: at an entity's last word, log(1 - p) of the next continuing it."""
    types = (likely.shape[-1] - 1) // 2
    last = (kind > 0) & ~_next(goes_on) & _next(words.used)
    following = tf.concat([likely[:, 1:], likely[:, :1]], 1)
    going_on = tf.gather(following, tf.where(last, kind + types, 0), batch_dims=2)
    # A softmax can be 1 in float32, and the logarithm of nothing is no number.
    return tf.where(last, tf.math.log(tf.maximum(-tf.math.expm1(going_on), 1e-30)), 0.0)


def _next(values: tf.Tensor) -> tf.Tensor:
    """Return the values of the next place, bool [B, W]."""
    return tf.concat([values[:, 1:], tf.zeros_like(values[:, :1])], 1)

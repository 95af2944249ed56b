"""Distillation of layers: what those of a teacher compute for a batch, learnt by a smaller model.

Sources: Wang et al. 2021, section 3.1 (MiniLMv2, https://arxiv.org/abs/2012.15828), for the
relations between tokens; Jiao et al. 2020, section 3.1 (TinyBERT, https://arxiv.org/abs/1909.10351)
for the layers whose outputs are compared, here the mean over a text's tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import IntArray
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.errors import UserError
from tfpipe.model.encoder import Encoder
from tfpipe.model.packing import PackedTokens
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Batch
from tfpipe.training.objective import DELTA, ForwardPass

RELATED = ("queries", "keys", "values")
# The least number of dimensions by which a head relates tokens.
LEAST_WIDTH = 16
Values = Mapping[str, tf.Tensor]


@dataclass(frozen=True, eq=False)
class TaughtLayers:
    """A loss of the layers of a model beside those of its teacher, which runs in the same step.

    Attributes:
        student: The model that learns.
        teacher: The model that it learns from.
        ids: int32 [V], the teacher's token of each token of the student.
        states: Weight of the layers' mean outputs; 0 for off.
        relations: Weight of the relations between tokens; 0 for off.
    """

    student: TextModel
    teacher: TextModel
    ids: IntArray
    states: float
    relations: float

    def compare(self, forward: ForwardPass, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Run both models.

        Args:
            forward: The student's forward pass.
            batch: Its batch.

        Returns:
            The student's outputs float32 [B, ...], and the weighted loss of each text float32 [B].
        """
        own_encoder, encoder = _encoder_of(self.student), _encoder_of(self.teacher)
        with own_encoder.collect() as own:
            outputs = forward(batch)
        read = {name: value for name, value in batch.items() if name != DELTA}
        with encoder.collect() as taught:
            self.teacher.logits({**read, "input_ids": tf.gather(self.ids, batch["input_ids"])})
        counts = len(self.student.layers), len(self.teacher.layers)
        loss = tf.zeros_like(batch["weight"])
        if self.states:
            loss += self.states * compare_states(own, taught, *counts)
        if self.relations:
            ends = [f"layer{count - 1}" for count in counts]
            relations = compare_relations(own, taught, ends, batch["attention_mask"])
            loss += self.relations * relations
        return outputs, loss


def _encoder_of(model: TextModel) -> Encoder:
    assert model.encoder is not None
    return model.encoder


def compare_states(own: Values, taught: Values, count: int, taught_count: int) -> tf.Tensor:
    """Compute the squared distance of mean outputs, as a part of the teacher's squared length.

    Layer i of the student's n learns from layer i * m / n, rounded up, of the teacher's m, counted
    from 1.

    Args:
        own: What the student's layers compute, see Encoder.collect.
        taught: The same of the teacher.
        count: The number of the student's layers.
        taught_count: The number of the teacher's layers.

    Returns:
        float32 [B], the mean over the student's layers.
    """
    losses = []
    for number in range(count):
        place = -(-(number + 1) * taught_count // count) - 1
        expected = tf.stop_gradient(taught[f"layer{place}/mean"])
        distance = tf.reduce_sum(tf.square(own[f"layer{number}/mean"] - expected), 1)
        losses.append(distance / (tf.reduce_sum(tf.square(expected), 1) + 1e-6))
    return tf.add_n(losses) / float(count)


def compare_relations(
    own: Values, taught: Values, layers: Sequence[str], mask: tf.Tensor
) -> tf.Tensor:
    """Compute the divergence of the relations between the tokens of each text.

    The relations are the softmax of the scaled products of queries with queries, keys with keys and
    values with values, in as many heads as both models can be split into.

    Args:
        own: What the student's layers compute, see Encoder.collect.
        taught: The same of the teacher.
        layers: The layer of the student and that of the teacher.
        mask: int32 [B, L], 1 for tokens.

    Returns:
        float32 [B], summed over the three, the mean over heads and tokens.
    """
    real = tf.cast(mask, tf.float32)
    penalty = PackedTokens(mask, packed=False).penalty
    total = tf.zeros_like(real[:, 0])
    for name in RELATED:
        values = own[f"{layers[0]}/{name}"], taught[f"{layers[1]}/{name}"]
        heads = _count_heads(*(value.shape[1] * value.shape[3] for value in values))
        found, expected = (_relate(value, heads) + penalty for value in values)
        expected = tf.stop_gradient(expected)
        gaps = tf.nn.log_softmax(expected) - tf.nn.log_softmax(found)
        divergence = tf.reduce_sum(tf.nn.softmax(expected) * gaps, 3)
        total += tf.reduce_sum(tf.reduce_mean(divergence, 1) * real, 1)
    return total / tf.maximum(tf.reduce_sum(real, 1), 1.0)


def _count_heads(width: int, other: int) -> int:
    """Return the most heads of at least LEAST_WIDTH dimensions that both widths divide into."""
    shared = gcd(width, other)
    most = max(min(width, other) // LEAST_WIDTH, 1)
    return max(number for number in range(1, most + 1) if shared % number == 0)


def _relate(values: tf.Tensor, heads: int) -> tf.Tensor:
    """Return the scaled products [B, heads, L, L] of values [B, H, L, D] with themselves."""
    width = values.shape[1] * values.shape[3] // heads
    if values.shape[1] != heads:
        batch, length = tf.shape(values)[0], tf.shape(values)[2]
        rows = tf.reshape(tf.transpose(values, [0, 2, 1, 3]), [batch, length, heads, width])
        values = tf.transpose(rows, [0, 2, 1, 3])
    return tf.cast(tf.matmul(values, values, transpose_b=True), tf.float32) * width**-0.5


def find_ids(own: Tokenizer, other: Tokenizer) -> IntArray:
    """Return the token of another tokenizer for each token of one, int32 [V].

    Raises:
        UserError: The other lacks a token.
    """
    places = {piece: place for place, piece in enumerate(other.vocabulary)}
    missing = [piece for piece in own.vocabulary if piece not in places]
    if missing:
        raise UserError(
            "layers cannot be learnt from a teacher that has other tokens",
            f"{missing[0]!r} and others, {len(missing):,} of {len(own.vocabulary):,} tokens",
            "leave out --teacher-states and --teacher-relations, or train a --model with tokens of"
            " the teacher's vocabulary",
        )
    return np.array([places[piece] for piece in own.vocabulary], np.int32)

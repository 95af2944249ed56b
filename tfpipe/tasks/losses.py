"""Losses in nats and float32, one value an example."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class LossSettings:
    """Differences of a task's training loss from its plain one.

    Attributes:
        focal_gamma: Exponent of focal loss; None for cross-entropy.
        label_smoothing: Share of the target that is spread over all labels.
    """

    focal_gamma: float | None = None
    label_smoothing: float = 0.0


def cross_entropy(logits: tf.Tensor, gold: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Cross-entropy of logits [B, K] and gold int32 [B], float32 [B].

    The target is 1 - smoothing at the gold label plus smoothing / K everywhere. Source: Szegedy et
    al. 2016, section 7 (https://arxiv.org/abs/1512.00567).
    """
    logits = tf.cast(logits, tf.float32)
    plain = tf.nn.sparse_softmax_cross_entropy_with_logits(gold, logits)
    if not smoothing:
        return plain
    uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
    return (1.0 - smoothing) * plain + smoothing * uniform


def focal(logits: tf.Tensor, gold: tf.Tensor, gamma: float) -> tf.Tensor:
    """Focal loss of logits [B, K] and gold int32 [B]: (1 - p)^gamma * -log p of the gold label.

    Source: Lin et al. 2017, equation 4 (https://arxiv.org/abs/1708.02002), with softmax.
    """
    cost = cross_entropy(logits, gold)
    if not gamma:
        return cost
    # 1 - p as -expm1(log p) keeps its digits near 1, and its floor keeps the gradient of a power
    # below 1 finite where the answer is already right.
    missing = tf.maximum(-tf.math.expm1(-cost), 1e-12)
    return missing**gamma * cost


def binary_cross_entropy(logits: tf.Tensor, gold: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Binary cross-entropy of logits [B, K] and gold float32 [B, K], the mean over labels.

    The target is (1 - smoothing) * gold + smoothing / 2: each label is a choice of two.
    """
    target = gold * (1.0 - smoothing) + 0.5 * smoothing
    logits = tf.cast(logits, tf.float32)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(target, logits), axis=-1)


def binary_focal(logits: tf.Tensor, gold: tf.Tensor, gamma: float) -> tf.Tensor:
    """Binary focal loss: the mean over K labels of (1 - p)^gamma * -log p of the gold value.

    Source: Lin et al. 2017, equation 4 (https://arxiv.org/abs/1708.02002).
    """
    cost = tf.nn.sigmoid_cross_entropy_with_logits(gold, tf.cast(logits, tf.float32))
    # As in `focal`.
    missing = tf.maximum(-tf.math.expm1(-cost), 1e-12)
    return tf.reduce_mean(missing**gamma * cost if gamma else cost, axis=-1)


def symmetric_binary_divergence(logits: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """The mean over K labels of `symmetric_divergence`, of sigmoids [B, K], float32 [B]."""
    one, two = (tf.cast(values, tf.float32) for values in (logits, other))
    # For a choice of two the sum of both divergences is (p - q) * (logit p - logit q).
    apart = (tf.sigmoid(one) - tf.sigmoid(two)) * (one - two)
    return 0.5 * tf.reduce_mean(apart, axis=-1)


def symmetric_divergence(logits: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Mean of both Kullback-Leibler divergences of softmaxes of logits [B, K], float32 [B].

    Source: Liang et al. 2021, equation 2 (https://arxiv.org/abs/2106.14448).
    """
    p, q = (tf.nn.log_softmax(tf.cast(values, tf.float32)) for values in (logits, other))
    # KL(p, q) + KL(q, p), whose logarithms meet in one sum.
    return 0.5 * tf.reduce_sum((tf.exp(p) - tf.exp(q)) * (p - q), axis=-1)

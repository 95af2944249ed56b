"""Losses of vectors at length 1, in nats and float32."""

from __future__ import annotations

import tensorflow as tf

BARRED = -1e9


def ranking_losses(
    one: tf.Tensor, other: tf.Tensor, barred: tf.Tensor, scale: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Multiple negatives ranking loss of B pairs in both directions, float32 [B] each.

    It is the cross-entropy of finding the second text of a pair among those of all pairs by the
    scaled cosine, and the first one likewise. Source: Henderson et al. 2017, section 4
    (https://arxiv.org/abs/1705.00652), as MultipleNegativesSymmetricRankingLoss of
    sentence-transformers computes it.

    Args:
        one: float32 [B, H], the vectors of the first texts.
        other: float32 [B, H], those of the second ones.
        barred: bool [B, B], pairs that are no negatives of each other; not the diagonal.
        scale: Factor of the cosines: 1 / temperature.
    """
    scores = scale * tf.matmul(one, other, transpose_b=True)
    right = tf.linalg.diag_part(scores)
    scores = tf.where(barred, BARRED, scores)
    return tf.reduce_logsumexp(scores, 1) - right, tf.reduce_logsumexp(scores, 0) - right


def supervised_losses(
    vectors: tf.Tensor, positive: tf.Tensor, compared: tf.Tensor, scale: float
) -> tf.Tensor:
    """Supervised contrastive loss of B texts, float32 [B]; 0 for a text without a positive.

    Source: Khosla et al. 2020, equation 2 (https://arxiv.org/abs/2004.11362).

    Args:
        vectors: float32 [B, H].
        positive: bool [B, B], the texts that are to be near to each text.
        compared: bool [B, B], these and the texts that are to be far from it.
        scale: Factor of the cosines: 1 / temperature.
    """
    scores = scale * tf.matmul(vectors, vectors, transpose_b=True)
    total = tf.reduce_logsumexp(tf.where(compared, scores, BARRED), 1)
    each = tf.where(positive, total[:, tf.newaxis] - scores, 0.0)
    count = tf.reduce_sum(tf.cast(positive, tf.float32), 1)
    return tf.math.divide_no_nan(tf.reduce_sum(each, 1), count)


def cosent_loss(
    cosines: tf.Tensor, similarity: tf.Tensor, used: tf.Tensor, scale: float
) -> tf.Tensor:
    """CoSENT's loss of B graded pairs, a scalar: that of each two pairs in the wrong order.

    log(1 + sum of exp(scale * (cosine of j - cosine of i))) over all i more similar than j.
    Source: Su 2022 (https://kexue.fm/archives/8847), as CoSENTLoss of sentence-transformers.

    Args:
        cosines: float32 [B], of the two vectors of each pair.
        similarity: float32 [B].
        used: bool [B], the pairs that count.
        scale: Factor of the cosines: 1 / temperature.
    """
    ordered = similarity[:, tf.newaxis] > similarity
    ordered &= used[:, tf.newaxis] & used
    apart = scale * (cosines - cosines[:, tf.newaxis])
    terms = tf.where(ordered, apart, BARRED)
    return tf.reduce_logsumexp(tf.concat([[0.0], tf.reshape(terms, [-1])], 0))

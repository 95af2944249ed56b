"""Products, layer norm, gelu and dropout with few passes over memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

Gradient = Callable[..., Any]
# Gives the seed of the next random numbers of a pass, int32 or int64 [2].
Seeds = Callable[[], tf.Tensor]


@tf.custom_gradient
def project(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """Compute x [T, I] times kernel [I, O] plus bias [O], all of one dtype."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # A product sums in float32 whatever the dtype, and BiasAddGrad takes three times as long.
        ones = tf.ones([1, tf.shape(x)[0]], x.dtype)
        return (
            tf.matmul(upstream, kernel, transpose_b=True),
            tf.matmul(x, upstream, transpose_a=True),
            tf.matmul(ones, upstream)[0],
        )

    return tf.nn.bias_add(tf.matmul(x, kernel), bias), gradient


@tf.custom_gradient
def normalize(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: tf.Tensor
) -> tuple[tf.Tensor, Gradient]:
    """Compute layer norm over the last axis of [T, H]; source: Ba et al. 2016."""
    centred = x - tf.reduce_mean(x, axis=1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=1, keepdims=True)
    scale = tf.math.rsqrt(variance + epsilon)
    normal = centred * scale

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
        weighted = upstream * normal
        # Row means of upstream * gamma as products: no wide temporary.
        column = tf.expand_dims(gamma / tf.cast(tf.shape(x)[1], x.dtype), 1)
        d_x = upstream * gamma - tf.matmul(upstream, column)
        d_x = (d_x - normal * tf.matmul(weighted, column)) * scale
        return d_x, tf.reduce_sum(weighted, 0), tf.reduce_sum(upstream, 0), tf.zeros_like(epsilon)

    return normal * gamma + beta, gradient


@tf.custom_gradient
def gelu(x: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """Compute x * P(X <= x) for a standard normal X, by erf; source: Hendrycks and Gimpel 2016.

    Computed in float32; only its slope is stored for the backward pass, in the dtype of x.
    """
    wide = tf.cast(x, tf.float32)
    share = 0.5 + 0.5 * tf.math.erf(wide * math.sqrt(0.5))
    density = tf.exp(wide * wide * -0.5) * (1 / math.sqrt(2 * math.pi))
    slope = tf.cast(share + wide * density, x.dtype)
    return tf.cast(wide * share, x.dtype), lambda upstream: upstream * slope


def drop(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Set a share of the values to 0 and scale the others to keep the mean.

    Args:
        x: Values of any shape.
        rate: The share, rounded to 1 / 65536.
        seed: int32 or int64 [2]; equal seeds drop equal positions.
    """
    level = round(rate * 65536)
    count = tf.size(x)
    # 16 random bits a value: half the numbers, and no conversion to floats.
    bits = tf.random.stateless_uniform(
        [(count + 1) // 2], seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
    )
    bits = tf.reshape(tf.reshape(tf.bitcast(bits, tf.uint16), [-1])[:count], tf.shape(x))
    kept = tf.cast(bits >= tf.constant(level, tf.uint16), x.dtype)
    return x * (kept * (1 / (1 - level / 65536)))


# Those below have no custom gradient, so that TensorFlow's remapper can fuse product, bias and gelu
# to one oneDNN operation.


def served_product(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Compute the same as `project`, for serving."""
    return tf.nn.bias_add(tf.matmul(x, kernel), bias)


def plain_product(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Compute the same as `project`, by an operation that reads a kernel as it is; not fused."""
    found = tf.raw_ops.BatchMatMulV2(x=x[tf.newaxis], y=kernel)
    return tf.nn.bias_add(tf.squeeze(found, 0), bias)


def served_gelu(x: tf.Tensor) -> tf.Tensor:
    """Compute the same as `gelu` in the dtype of x; tf.nn.gelu, which uses erfc, is not fused."""
    root, one, half = (tf.constant(value, x.dtype) for value in (math.sqrt(0.5), 1.0, 0.5))
    return x * ((tf.math.erf(x * root) + one) * half)


def served_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Compute the same as `normalize`, for serving.

    It must not use squared_difference: that is fused to an operation which adds 0.001 to the
    variance whatever epsilon is, and which takes longer with few tokens.
    """
    centred = x - tf.reduce_mean(x, axis=1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=1, keepdims=True)
    return centred * tf.math.rsqrt(variance + epsilon) * gamma + beta

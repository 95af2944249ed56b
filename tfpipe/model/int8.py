"""Products of int8 weights and activations, with scales chosen on texts.

Each product's input channels are multiplied by factors that move the outliers of activations into
the weights (SmoothQuant, Xiao et al. 2023, equation 4, https://arxiv.org/abs/2211.10438), and its
activations are rounded within one bound, the weights within one for each column. Both are constants
of the graph, so that an answer does not depend on the other texts of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import FloatArray
from tfpipe.errors import UserError
from tfpipe.library_internals import quantized_product
from tfpipe.model.fused_weights import Weights

# Exponents of the activations' share in the factors (None: no factors), and parts of the largest
# activation that the bound may be: those are taken whose product has the least squared error.
SHARES = (None, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BOUNDS = (1.0, 0.85, 0.7, 0.5)
LEVELS = 127
ATTENTION_OUTPUT = "/attention_output"
# Of the activations of each product, rows that errors are measured on.
ROWS = 600
TINY = 1e-5
# The least size of a channel, of the largest one, by which factors are chosen.
LEAST = 1e-3


@dataclass(frozen=True)
class Scaling:
    """The scales of a product.

    Attributes:
        factors: float32 [I], by which its inputs are multiplied; the kernel is divided by them.
        bound: Inputs are rounded between -bound and bound.
    """

    factors: FloatArray
    bound: float


@dataclass
class Activations:
    """The inputs of products: some rows [N, I] of each batch, and the largest size of a channel."""

    rows: dict[str, list[FloatArray]] = field(default_factory=dict)
    largest: dict[str, FloatArray] = field(default_factory=dict)

    def __call__(self, name: str, rows: FloatArray) -> None:
        """Note the inputs of a product of one batch, float32 [T, I]."""
        self.rows.setdefault(name, []).append(rows[:: max(1, len(rows) // 100)])
        before = self.largest.get(name, np.float32(0))
        self.largest[name] = np.maximum(before, np.abs(rows).max(0))


def choose_scalings(
    encoder: Any, forward: Callable[[Any], tf.Tensor], batches: Iterable[Any], weights: Weights
) -> Mapping[str, Scaling]:
    """Choose the scales of all products in a model's layers.

    Args:
        encoder: The Encoder in float32 over `weights`.
        forward: Computes its output for a batch.
        batches: Inputs of texts.
        weights: The weights as the graph reads them.
    """
    seen = Activations()
    encoder.observer = lambda name, rows: seen(name, rows.numpy())
    try:
        for batch in batches:
            forward(batch)
    finally:
        encoder.observer = None
    return {
        name: choose_scaling(
            np.concatenate(seen.rows[name])[:ROWS],
            seen.largest[name],
            np.asarray(weights[f"{name}/kernel"]),
        )
        for name in seen.rows
        if name.startswith("layer")
    }


def choose_scaling(rows: FloatArray, largest: FloatArray, kernel: FloatArray) -> Scaling:
    """Choose the scales with which a product has the least squared error.

    Args:
        rows: Inputs of the product, float32 [N, I].
        largest: float32 [I], the largest size of each channel over more of them.
        kernel: float32 [I, O].
    """
    right, heaviest = rows @ kernel, np.abs(kernel).max(1)
    # A channel that these texts hardly use may be large in others.
    usual = np.maximum(largest, LEAST * largest.max())
    found: list[tuple[float, Scaling]] = []
    for share in SHARES:
        factors = np.ones_like(largest)
        if share is not None:
            weighed = np.maximum(heaviest, TINY) ** (1 - share)
            factors = (weighed / np.maximum(usual, TINY) ** share).astype(np.float32)
        scaled, inputs = kernel / factors[:, np.newaxis], rows * factors
        rounded = _round(scaled, np.abs(scaled).max(0))
        for part in BOUNDS:
            bound = float((largest * factors).max()) * part
            error = np.square(_round(inputs, bound) @ rounded - right).mean()
            found.append((float(error), Scaling(factors, bound)))
    return min(found, key=lambda one: one[0])[1]


def _round(values: FloatArray, bound: Any) -> FloatArray:
    """Round to LEVELS steps on each side of 0, within the bound of all or of each column."""
    step = np.maximum(bound, TINY) / LEVELS
    return np.clip(np.round(values / step), -LEVELS, LEVELS) * step


def quantize(weights: Weights, scalings: Mapping[str, Scaling]) -> Weights:
    """Return the weights of the graph with the scaled kernels and the word embedding in int8.

    A kernel [I, O] becomes `NAME/kernel` qint8 with `NAME/reach` float32 [O], the value of 127,
    `NAME/bound` float32 and, where the graph has to multiply by them, `NAME/factors` float32 [I].
    The word embedding becomes int8 with `words/reach` float32 [V, 1], the value of 1.
    """
    found = dict(weights)
    for name, scaling in scalings.items():
        kernel = np.asarray(weights[f"{name}/kernel"]) / scaling.factors[:, np.newaxis]
        reach = np.maximum(np.abs(kernel).max(0), TINY).astype(np.float32)
        levels = np.round(kernel / reach * LEVELS).astype(tf.qint8.as_numpy_dtype)
        found |= {f"{name}/kernel": levels, f"{name}/reach": reach}
        found |= {f"{name}/factors": scaling.factors, f"{name}/bound": np.float32(scaling.bound)}
    for name in scalings:
        if name.endswith(ATTENTION_OUTPUT):
            _move_into_values(found, name.removesuffix(ATTENTION_OUTPUT))
    table = tf.convert_to_tensor(weights["words"]).numpy()
    step = np.maximum(np.abs(table).max(1, keepdims=True), TINY).astype(np.float32) / LEVELS
    return found | {"words": tf.constant(np.round(table / step), tf.int8), "words/reach": step}


def _move_into_values(weights: Weights, layer: str) -> None:
    """Move the factors of an attention's output into the columns that give its values.

    Its inputs are sums of the values of tokens, so that the answer stays, without a multiplication.
    """
    if f"{layer}/prefix_values" in weights:
        return
    factors = weights.pop(f"{layer}{ATTENTION_OUTPUT}/factors")
    for name in (f"{layer}/projected/reach", f"{layer}/projected/bias"):
        columns = np.array(weights[name])
        columns[-len(factors) :] *= factors
        weights[name] = columns


def multiply(rows: tf.Tensor, name: str, weights: Weights, gelu: bool = False) -> tf.Tensor:
    """Compute rows float32 [T, I] times the kernel of `quantize` plus its bias, float32 [T, O].

    With `gelu`, the gelu of it.
    """
    bound = tf.convert_to_tensor(weights[f"{name}/bound"])
    if f"{name}/factors" in weights:
        rows *= weights[f"{name}/factors"]
    inputs = tf.raw_ops.QuantizeV2(
        input=rows,
        min_range=-bound,
        max_range=bound,
        T=tf.qint8,
        mode="SCALED",
    ).output
    kernel, bias, reach = (weights[f"{name}/{part}"] for part in ("kernel", "bias", "reach"))
    return quantized_product(inputs, kernel, bias, bound, reach, gelu)


def refuse_without_kernel() -> None:
    """Raise UserError where this TensorFlow has no product of int8."""
    weights: Weights = {
        "one/kernel": np.array([[1], [-1]]).astype(tf.qint8.as_numpy_dtype),
        "one/reach": np.ones(1, np.float32),
        "one/factors": np.ones(2, np.float32),
        "one/bound": np.float32(1),
        "one/bias": np.zeros(1, np.float32),
    }
    product = tf.function(lambda values: multiply(values, "one", weights, True), autograph=False)
    try:
        product(tf.constant([[1.0, 0.5]]))
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(
            "this TensorFlow has no products of int8",
            f"{type(error).__name__} of _QuantizedMatMul, an operation of oneDNN",
            "export on x86 Linux, or leave out --precision int8",
        ) from None

"""A served forward pass with products of its own for batches of few tokens.

oneDNN stores a constant kernel of float32 in one of two layouts: one for 7 to 80 rows, one for
fewer and for more (oneDNN 3 of TensorFlow 2.21, with AVX2 and AVX-512). TensorFlow keeps the layout
of the first batch and reorders every kernel again in each batch that needs the other one, which
takes longer than the products of a single text. Batches of up to FEW tokens therefore have products
that read a kernel as it is. Kernels of bfloat16 and int8 have one layout.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfpipe.model.encoder import Encoder
from tfpipe.model.operations import plain_product

FEW = 80


def served_forward(
    encoder: Encoder, compute: Callable[..., tf.Tensor], precision: str
) -> Callable[..., tf.Tensor]:
    """Return the forward pass of an export, for the graph of a function.

    Args:
        encoder: The fast graph over stored weights.
        compute: Computes an output of an encoder from a batch, such as Encoder.tokens.
        precision: Type of the products; that of float32 depends on the tokens of the batch.
    """
    if precision != "float32":
        return functools.partial(compute, encoder)
    # The copy shares the weights, also as constants of the graph.
    of_few = copy.copy(encoder)
    of_few.product = plain_product

    def forward(batch: Mapping[str, Any]) -> tf.Tensor:
        is_few = tf.reduce_sum(batch["attention_mask"]) <= FEW
        # Not tf.cond: it would hand the kernels to its branches as values that are not constant.
        sides = {name: tf.raw_ops.Switch(data=v, pred=is_few) for name, v in batch.items()}
        many = compute(encoder, {name: side.output_false for name, side in sides.items()})
        few = compute(of_few, {name: side.output_true for name, side in sides.items()})
        return tf.raw_ops.Merge(inputs=[many, few]).output

    return forward

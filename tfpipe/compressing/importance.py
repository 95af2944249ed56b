"""Which attention heads and inner units of the layers the training loss depends on most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import Float64Array, Int64Array
from tfpipe.data.replicas import compile_for
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Batch
from tfpipe.training.objective import Loss

# Examples by whose loss importance is measured; of more, as many are drawn.
MOST_EXAMPLES = 2_000


def measure_importance(
    model: TextModel, loss: Loss, drawn: tuple[Any, int], kernels: Sequence[tf.Variable], rows: int
) -> Float64Array:
    """Measure the importance of heads or inner units on training examples, without dropout.

    It is |dL/dg| by a gate g = 1 on their output: how much the loss of an example changes, to the
    first order, when they are removed. It is taken of each batch and averaged. The layer behind
    them is linear in its kernel, so that the gradient by a gate is the sum of their rows of the
    kernel times its gradient. Source: Michel et al. 2019, equation 2
    (https://arxiv.org/abs/1905.10650), of heads; of units Xia et al. 2022
    (https://arxiv.org/abs/2204.00408), who train masks.

    Args:
        model: The model.
        loss: The loss of a batch, which training minimises.
        drawn: Batches and their number of examples, see `draw_batches`.
        kernels: Of each of the N layers the kernel behind them, float32 [F * rows, H].
        rows: Rows of the kernel that belong to one of them.

    Returns:
        float64 [N, F], of the F heads or units of each layer.
    """

    def gates(batch: Batch) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(model.logits, batch)
        slopes = tape.gradient(value, kernels)
        products = tf.stack([k * slope for k, slope in zip(kernels, slopes, strict=True)])
        return tf.abs(tf.reduce_sum(tf.reshape(products, [*parts, -1]), axis=2))

    parts = (len(kernels), kernels[0].shape[0] // rows)
    batches, examples = drawn
    compiled = compile_for(batches, gates)
    total = np.zeros(parts)
    for batch in batches:
        total += compiled(batch).numpy()
    return total / examples


def choose_best(importance: Float64Array, count: int) -> list[Int64Array]:
    """Return the `count` most important ones of each layer in ascending order; of equal the first.

    Args:
        importance: float64 [N, F].
        count: Those to keep in each layer.
    """
    return [np.sort(np.argsort(-row, kind="stable")[:count]) for row in importance]

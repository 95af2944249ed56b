"""Which inner units of the feed-forward layers the training loss depends on most."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfpipe.compressing.training_batches import draw_batches
from tfpipe.data.arrays import Float64Array, Int64Array
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.replicas import compile_for
from tfpipe.model.pruned import list_outputs
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Batch
from tfpipe.training.objective import Loss

# Examples by whose loss importance is measured; of more, as many are drawn.
MOST_EXAMPLES = 2_000


def measure_importance(
    model: TextModel, loss: Loss, train: EncodedDataset, batch_size: int, seed: int
) -> Float64Array:
    """Measure the importance of inner units on training examples, without dropout.

    It is |dL/dg| by a gate g = 1 on the unit's output: how much the loss of an example changes, to
    the first order, when the unit is removed. It is taken of each batch and averaged. The layer
    behind the units is linear in its kernel, so that the gradient by a gate is the sum of a row of
    the kernel times its gradient. Source: Michel et al. 2019, equation 2
    (https://arxiv.org/abs/1905.10650), there of heads; of units Xia et al. 2022
    (https://arxiv.org/abs/2204.00408), who train masks.

    Args:
        model: The model.
        loss: The loss of a batch, which training minimises.
        train: The training examples.
        batch_size: Examples of a batch.
        seed: Of the examples, where there are more than MOST_EXAMPLES.

    Returns:
        float64 [N, F], of the F units of each of the N layers.
    """
    kernels = list_outputs(model)

    def gates(batch: Batch) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(model.logits, batch)
        slopes = tape.gradient(value, kernels)
        products = [kernel * slope for kernel, slope in zip(kernels, slopes, strict=True)]
        return tf.abs(tf.reduce_sum(tf.stack(products), axis=2))

    batches, examples = draw_batches(train, batch_size, seed, MOST_EXAMPLES)
    compiled = compile_for(batches, gates)
    total = np.zeros([len(kernels), model.config.intermediate_size])
    for batch in batches:
        total += compiled(batch).numpy()
    return total / examples


def choose_units(importance: Float64Array, count: int) -> list[Int64Array]:
    """Return the `count` most important units of each layer in ascending order; of equal the first.

    Args:
        importance: float64 [N, F].
        count: Units to keep in each layer.
    """
    return [np.sort(np.argsort(-row, kind="stable")[:count]) for row in importance]

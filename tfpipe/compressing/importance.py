"""Which layers, and which inner units of feed-forward layers, the training loss depends on most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import Float64Array, Int64Array
from tfpipe.data.batches import plan_training, read_batches
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.replicas import compile_for
from tfpipe.model.pruned import list_branches
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Batch
from tfpipe.training.objective import Loss

# Examples by whose loss importance is measured; of more, as many are drawn.
MOST_EXAMPLES = 2_000


@dataclass(frozen=True)
class Importance:
    """How much the loss of an example changes with a part, to the first order.

    Attributes:
        layers: float64 [N], of each layer.
        units: float64 [N, F], of each inner unit of each layer's feed-forward part.
    """

    layers: Float64Array
    units: Float64Array

    def best_layers(self, count: int) -> list[int]:
        """Return the most important layers, in ascending order."""
        return _best(self.layers, count).tolist()

    def best_units(self, layers: Sequence[int], count: int) -> list[Int64Array]:
        """Return the most important units of some layers, each in ascending order."""
        return [_best(self.units[layer], count) for layer in layers]


def _best(values: Float64Array, count: int) -> Int64Array:
    # Of equal ones the first.
    return np.sort(np.argsort(-values, kind="stable")[:count])


def measure_importance(
    model: TextModel, loss: Loss, train: EncodedDataset, batch_size: int, seed: int
) -> Importance:
    """Measure importance on training examples, without dropout.

    The importance of a part is |dL/dg| by a gate g = 1 on its output: the change of the loss, to
    the first order, when the part is removed. It is taken of each batch and averaged. Of a layer
    the gate is on both residual branches. Source: Michel et al. 2019, equation 2
    (https://arxiv.org/abs/1905.10650), there of heads; as a mask over units and layers Xia et al.
    2022 (https://arxiv.org/abs/2204.00408).

    Args:
        model: The model.
        loss: The loss of a batch, which training minimises.
        train: The training examples.
        batch_size: Examples of a batch.
        seed: Of the examples, where there are more than MOST_EXAMPLES.
    """
    branches = list_branches(model)
    variables = [[*one.attention, *one.feed_forward] for one in branches]

    def gates(batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            value = loss(model.logits, batch)
        gradients = tape.gradient(value, variables)
        layers, units = [], []
        for of_layer, slopes in zip(variables, gradients, strict=True):
            products = [w * slope for w, slope in zip(of_layer, slopes, strict=True)]
            layers.append(tf.add_n([tf.reduce_sum(product) for product in products]))
            # The rows of the kernel of the feed-forward part are its inner units.
            units.append(tf.reduce_sum(products[2], axis=1))
        return tf.abs(tf.stack(layers)), tf.abs(tf.stack(units))

    lengths = train.encoded.lengths
    of_groups = lengths.reshape(train.groups, train.together).max(axis=1)
    plan = plan_training(of_groups, batch_size, 1, 1, [seed]).of_inputs(lengths, train.together)
    steps = min(len(plan), -(-MOST_EXAMPLES // batch_size))
    batches = read_batches(train.encoded, plan, tf.distribute.get_strategy(), train.targets)
    compiled = compile_for(batches, gates)
    found = [[value.numpy() for value in compiled(batch)] for batch in batches.take(steps)]
    examples = sum(plan.examples(step) for step in range(steps))
    layers, units = (np.stack(values).sum(0, np.float64) for values in zip(*found, strict=True))
    return Importance(layers / examples, units / examples)

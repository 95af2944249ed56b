"""A smaller model from some layers, and some inner units of the feed-forward layers, of a model.

Attention heads cannot be pruned: stock TFBert derives the width of its attention from
`hidden_size`, which must be `num_attention_heads` times the size of a head, and does not implement
PyTorch's `pruned_heads`. A folder with fewer heads would be read by none of its classes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import Int64Array
from tfpipe.model import pretrained
from tfpipe.model.text_model import LAYER, TextModel

# The axis of the inner units in the variables that have one, by the end of their names.
_INNER = {
    "/intermediate/dense/kernel:0": 1,
    "/intermediate/dense/bias:0": 0,
    "/output/dense/kernel:0": 0,
}
_OF_ATTENTION = "/attention/output/dense/kernel:0"


def list_outputs(model: TextModel) -> list[tf.Variable]:
    """List the kernels behind the inner units, float32 [F, H] of each layer, the lowest first."""
    return [layer.bert_output.dense.kernel for layer in model.layers]


def prune(model: TextModel, layers: Sequence[int], units: Sequence[Int64Array]) -> TextModel:
    """Return a new model of some layers of a model, with some of their inner units.

    Args:
        model: The model; it has no adapter.
        layers: The N layers to keep, counted from 0, in ascending order.
        units: Of each of these the K units to keep, int64 [K] in ascending order, counted from 0.
    """
    assert model.adapter is None and len(layers) == len(units) > 0
    config = copy.deepcopy(model.config)
    config.num_hidden_layers, config.intermediate_size = len(layers), len(units[0])
    smaller = pretrained.build(config, model.tokenizer, model.label_names, model.head)
    assign_parts(smaller, model, layers, units)
    return replace(
        smaller, precision=model.precision, origin=f"{model.origin}; pruned", fresh=model.fresh
    )


def assign_parts(
    smaller: TextModel, model: TextModel, layers: Sequence[int], units: Sequence[Int64Array]
) -> None:
    """Give a model of these sizes, which `prune` made, the values of other layers or units."""
    values = {_without_model(weight.name): weight for weight in model.weights}
    for weight in smaller.weights:
        weight.assign(_select(_without_model(weight.name), values, layers, units))


def _select(
    name: str,
    values: Mapping[str, tf.Variable],
    layers: Sequence[int],
    units: Sequence[Int64Array],
) -> np.ndarray:
    """Return the part of the model's values for a variable of the smaller model by its name."""
    found = LAYER.search(name)
    if not found:
        return values[name].numpy()
    number = int(found.group(1))
    start, end = found.span(1)
    value = values[f"{name[:start]}{layers[number]}{name[end:]}"].numpy()
    if name.endswith(_OF_ATTENTION):
        return value
    axis = next((axis for end_of, axis in _INNER.items() if name.endswith(end_of)), None)
    return value if axis is None else value.take(units[number], axis=axis)


def _without_model(name: str) -> str:
    # Keras adds a number to the model's own name, the first part.
    return "/" + name.split("/", 1)[1]

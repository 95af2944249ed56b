"""A smaller model from some layers, attention heads and inner units of a model.

Stock TFBert derives the width of a head from `hidden_size` and the number of heads, and does not
implement PyTorch's `pruned_heads`. Of N heads each is therefore `hidden_size / N` wide, with zeros
behind the columns that it had: stock TFBert computes the same with them, and the fast graph leaves
them out, as `head_width` in config.json says (see `fused_weights.used_width`).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import Int64Array
from tfpipe.model import pretrained
from tfpipe.model.fused_weights import used_width
from tfpipe.model.text_model import LAYER, TextModel

# The axis of the inner units in the variables that have one, by the end of their names.
_INNER = {
    "/intermediate/dense/kernel:0": 1,
    "/intermediate/dense/bias:0": 0,
    "/output/dense/kernel:0": 0,
}
_OF_ATTENTION = "/attention/output/dense/kernel:0"
# The variables whose last axis has the columns of the heads.
_BY_HEAD = re.compile(r"/self/(query|key|value)/(kernel|bias):0$")


def list_outputs(model: TextModel) -> list[tf.Variable]:
    """List the kernels behind the inner units, float32 [F, H] of each layer, the lowest first."""
    return [layer.bert_output.dense.kernel for layer in model.layers]


def list_attention_outputs(model: TextModel) -> list[tf.Variable]:
    """List the kernels behind the heads, float32 [H, H] of each layer, the lowest first."""
    return [layer.attention.dense_output.dense.kernel for layer in model.layers]


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


def prune_heads(model: TextModel, heads: Sequence[Int64Array]) -> TextModel:
    """Return a new model with some attention heads of a model.

    Args:
        model: The model; it has no adapter.
        heads: Of each layer the N heads to keep, int64 [N] in ascending order, counted from 0; N
            divides the model's hidden size.
    """
    config, before = copy.deepcopy(model.config), model.config
    count, width = len(heads[0]), used_width(before)
    full, whole = (before.hidden_size // number for number in (count, before.num_attention_heads))
    assert model.adapter is None and before.hidden_size == count * full
    config.num_attention_heads, config.head_width = count, width
    smaller = pretrained.build(config, model.tokenizer, model.label_names, model.head)
    values = {_without_model(weight.name): weight.numpy() for weight in model.weights}
    for weight in smaller.weights:
        name = _without_model(weight.name)
        value, layer = values[name], LAYER.search(name)
        if layer and (_BY_HEAD.search(name) or name.endswith(_OF_ATTENTION)):
            kept = heads[int(layer.group(1))]
            axis = 0 if name.endswith(_OF_ATTENTION) else value.ndim - 1
            value = _widen_heads(value, axis, whole, kept, (width, full))
            if "/query/" in name:
                # Stock TFBert divides scores by the root of a head's width.
                value *= (full / whole) ** 0.5
        weight.assign(value)
    return replace(
        smaller, precision=model.precision, origin=f"{model.origin}; pruned", fresh=model.fresh
    )


def _widen_heads(
    value: np.ndarray, axis: int, whole: int, kept: Int64Array, widths: tuple[int, int]
) -> np.ndarray:
    """Take some heads along an axis, each with zeros behind its used columns.

    Args:
        value: The values of all heads.
        axis: The axis.
        whole: Columns of a head on it.
        kept: The heads to take, int64 [N].
        widths: The used columns of a head, and those with zeros behind them.
    """
    moved = np.moveaxis(value, axis, -1)
    moved = moved.reshape(*moved.shape[:-1], -1, whole)[..., kept, : widths[0]]
    behind = [(0, 0)] * (moved.ndim - 1) + [(0, widths[1] - widths[0])]
    moved = np.pad(moved, behind)
    return np.moveaxis(moved.reshape(*moved.shape[:-2], -1), -1, axis)

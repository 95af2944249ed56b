"""The weights of a TFBert as the fast graph reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

Weights = dict[str, Any]
# From the name of a kernel and the kernel, float32 [in, out], to the kernel that is used.
KernelTransform: TypeAlias = Callable[[str, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class LowRank:
    """A change beside a kernel: rows x become (x W + x down up) * factor + bias.

    Attributes:
        down: float32 [in, r].
        up: float32 [r, out].
        factor: float32 [out]; None for 1.
    """

    down: Any
    up: Any
    factor: Any = None


# From the name of a kernel to its change; None for none.
KernelChange: TypeAlias = Callable[[str], LowRank | None]
# A kernel, its bias, its change.
Part: TypeAlias = tuple[Any, Any, LowRank | None]
TABLES = ("words", "types", "positions")
PARTS = ("query", "key", "value")
# Bytes; the file of a graph is limited to 2 GiB.
LARGEST_CONSTANTS = 2**30


def used_width(config: Any) -> int:
    """Return the used columns of an attention head: all, or the first `head_width` of a pruned one.

    The others are zeros, for the folder to be one of stock TFBert: the fast graph leaves them out.
    """
    return getattr(config, "head_width", None) or config.hidden_size // config.num_attention_heads


def lay_out(
    bert: Any,
    dtype: tf.DType,
    head: Any = None,
    transform: KernelTransform | None = None,
    change: KernelChange | None = None,
) -> Weights:
    """Read the weights of a TFBert by name, in the products' dtype, as the fast graph uses them.

    The kernels of queries, keys and values are concatenated; the last layer has a separate query,
    because the pooler needs only that of first tokens. Norms, pooler and head are float32; tables
    are TFBert's own variables. Within a function the variables are read again at every call.

    Args:
        bert: A transformers TFBert model, built.
        dtype: Type of the matrix products.
        head: The Keras Dense of the output layer; None for a model without one.
        transform: Applied to every kernel first: a low-rank update, a mask, ... It takes the
            kernel's name (`layer0/query`, `layer0/key`, `layer0/value`,
            `layer0/attention_output`, `layer0/intermediate`, `layer0/output`, ..., `pooler`,
            `head`) and the kernel, float32 [in, out], and returns one of the same shape.
        change: Gives changes that are computed beside the kernels, for training: the gradient by a
            kernel itself is then not needed.
    """
    main, config = bert.bert, bert.config
    tables, layers = main.embeddings, main.encoder.layer
    scale = (config.hidden_size // config.num_attention_heads) ** -0.5

    def read(name: str, dense: Any) -> Part:
        """Read one kernel with its bias and change, for training and for exports."""
        kernel = dense.kernel if transform is None else transform(name, dense.kernel)
        return _use(name, (kernel, dense.bias, change(name) if change else None), config)

    weights: Weights = {
        "words": tables.weight,
        "types": tables.token_type_embeddings,
        "positions": tables.position_embeddings,
    }
    weights |= _norm("embeddings", tables.LayerNorm)
    for number, layer in enumerate(layers):
        name, last = f"layer{number}", number == len(layers) - 1
        inside, inner = layer.attention.self_attention, f"{name}/intermediate"
        parts = {part: read(f"{name}/{part}", getattr(inside, part)) for part in PARTS}
        weights |= _fuse_attention(name, parts, scale, last, dtype)
        for part, output in (
            (f"{name}/attention_output", layer.attention.dense_output),
            (f"{name}/output", layer.bert_output),
        ):
            weights |= _concatenate(part, [read(part, output.dense)], dtype)
            weights |= _norm(part, output.LayerNorm)
        weights |= _concatenate(inner, [read(inner, layer.intermediate.dense)], dtype)
    # A model whose head reads every token has no pooler.
    ends = {"pooler": main.pooler and main.pooler.dense, "head": head}
    for part, dense in ends.items():
        if dense is not None:
            weights |= _concatenate(part, [read(part, dense)], tf.float32)
    return weights


def _use(name: str, part: Part, config: Any) -> Part:
    """Leave out of a kernel, by its name, what pruned heads do not use."""
    target = name.rpartition("/")[2]
    if used_width(config) == config.hidden_size // config.num_attention_heads:
        return part
    if target in PARTS:
        return _use_columns(part, config)
    return _use_rows(part, config) if target == "attention_output" else part


def _use_columns(part: Part, config: Any) -> Part:
    """Leave out the columns of a query, key or value that pruned heads do not use."""
    heads, width = config.num_attention_heads, used_width(config)

    def used(values: Any) -> tf.Tensor:
        before = values.shape[:-1]
        return tf.reshape(tf.reshape(values, [*before, heads, -1])[..., :width], [*before, -1])

    kernel, bias, change = part
    if change is not None:
        factor = None if change.factor is None else used(change.factor)
        change = LowRank(change.down, used(change.up), factor)
    return used(kernel), used(bias), change


def _use_rows(part: Part, config: Any) -> Part:
    """Leave out the rows of an attention output that belong to those columns."""
    heads, width = config.num_attention_heads, used_width(config)

    def used(values: Any) -> tf.Tensor:
        columns = values.shape[-1]
        return tf.reshape(tf.reshape(values, [heads, -1, columns])[:, :width], [-1, columns])

    kernel, bias, change = part
    if change is not None:
        change = LowRank(used(change.down), change.up, change.factor)
    return used(kernel), bias, change


def _fuse_attention(
    name: str, parts: Mapping[str, Part], scale: float, last: bool, dtype: tf.DType
) -> Weights:
    """Concatenate query, key and value of a layer; the query of the last one stays separate."""
    kernel, bias, change = parts["query"]
    if change is not None:
        change = LowRank(change.down, change.up * scale, change.factor)
    # The divisor of the scores is applied to the query's weights, where it costs least and keeps
    # float16 products small.
    query = (kernel * scale, bias * scale, change)
    others = [parts["key"], parts["value"]]
    if not last:
        return _concatenate(f"{name}/projected", [query, *others], dtype)
    weights = _concatenate(f"{name}/query", [query], dtype)
    return weights | _concatenate(f"{name}/projected", others, dtype)


class FrozenWeights(tf.Module):
    """Constant copies of the weights for an export.

    Tables are variables in the products' dtype. The other weights are constants of the graph,
    because oneDNN reorders a constant kernel once rather than at every call. They are in one
    function, so that signatures share them on disk.
    """

    def __init__(self, weights: Weights, dtype: tf.DType):
        """Copy the weights of `lay_out`, made with the same dtype."""
        super().__init__()
        self.dtype = dtype
        values = {name: np.asarray(weights[name]) for name in weights if name not in TABLES}
        held = {name: _as_stored(weights[name], dtype) for name in TABLES}
        self._constants = None
        if sum(value.nbytes for value in values.values()) <= LARGEST_CONSTANTS:

            @tf.function(input_signature=[], autograph=False)
            def constants() -> Weights:
                return {name: tf.constant(value) for name, value in values.items()}

            # A concrete function: saving would trace a tf.function again.
            self._constants = constants.get_concrete_function()
        else:
            held |= values
        self._held = {name: tf.Variable(v, trainable=False, name=name) for name, v in held.items()}

    def __call__(self) -> Weights:
        """Return the weights for the graph that is being built."""
        return {**self._held, **(self._constants() if self._constants else {})}


def once_per_graph(read: Callable[[], Weights]) -> Callable[[], Weights]:
    """Return `read` such that several passes of one graph share the constants."""
    last: tuple[Any, Weights] = (None, {})

    def shared() -> Weights:
        nonlocal last
        if tf.executing_eagerly():
            return read()
        graph = tf.compat.v1.get_default_graph()
        if last[0] is not graph:
            last = (graph, read())
        return last[1]

    return shared


def _as_stored(table: Any, dtype: tf.DType) -> tf.Tensor:
    """Return a table in the products' type; one of int8 stays."""
    values = tf.convert_to_tensor(table)
    return tf.cast(values, dtype) if values.dtype.is_floating else values


def _concatenate(name: str, parts: Sequence[Part], dtype: tf.DType) -> Weights:
    kernels = [tf.cast(kernel, dtype) for kernel, _, _ in parts]
    biases = [tf.cast(bias, dtype) for _, bias, _ in parts]
    weights = {f"{name}/kernel": tf.concat(kernels, 1), f"{name}/bias": tf.concat(biases, 0)}
    changes = {f"{name}/{key}": value for key, value in _join_changes(parts).items()}
    return weights | {key: tf.cast(value, dtype) for key, value in changes.items()}


def _join_changes(parts: Sequence[Part]) -> Weights:
    """Join the changes of dense layers side by side to one of them all; {} for none."""
    widths = [bias.shape[0] for _, bias, _ in parts]
    downs, ups, factors = [], [], []
    for number, (_, _, change) in enumerate(parts):
        if change is not None:
            beside = [sum(widths[:number]), sum(widths[number + 1 :])]
            downs.append(tf.convert_to_tensor(change.down))
            ups.append(tf.pad(change.up, [[0, 0], beside]))
        own = change.factor if change else None
        factors.append(tf.ones([widths[number]]) if own is None else own)
    if not downs:
        return {}
    joined = {"down": tf.concat(downs, 1), "up": tf.concat(ups, 0)}
    if any(change is not None and change.factor is not None for _, _, change in parts):
        joined["factor"] = tf.concat(factors, 0)
    return joined


def _norm(name: str, norm: Any) -> Weights:
    return {
        f"{name}/gamma": tf.convert_to_tensor(norm.gamma),
        f"{name}/beta": tf.convert_to_tensor(norm.beta),
    }

"""The weights of a TFBert as the fast graph reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

Weights = dict[str, Any]
# From the name of a kernel and the kernel, float32 [in, out], to the kernel that is used.
KernelTransform: TypeAlias = Callable[[str, tf.Tensor], tf.Tensor]
TABLES = ("words", "types", "positions")
# Bytes; the file of a graph is limited to 2 GiB.
LARGEST_CONSTANTS = 2**30


def lay_out(
    bert: Any, dtype: tf.DType, head: Any = None, transform: KernelTransform | None = None
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
    """
    main, config = bert.bert, bert.config
    tables, layers = main.embeddings, main.encoder.layer
    scale = (config.hidden_size // config.num_attention_heads) ** -0.5

    def read(name: str, dense: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Read one kernel and its bias, for training and for exports."""
        kernel = dense.kernel if transform is None else transform(name, dense.kernel)
        return kernel, dense.bias

    weights: Weights = {
        "words": tables.weight,
        "types": tables.token_type_embeddings,
        "positions": tables.position_embeddings,
    }
    weights |= _norm("embeddings", tables.LayerNorm)
    for number, layer in enumerate(layers):
        attention, name = layer.attention.self_attention, f"layer{number}"
        kernel, bias = read(f"{name}/query", attention.query)
        # The divisor of the scores is applied to the query's weights, where it costs least and
        # keeps float16 products small.
        query = (kernel * scale, bias * scale)
        others = [read(f"{name}/{part}", getattr(attention, part)) for part in ("key", "value")]
        last = number == len(layers) - 1
        if last:
            weights |= _concatenate(f"{name}/query", [query], dtype)
        weights |= _concatenate(f"{name}/projected", others if last else [query, *others], dtype)
        for part, output in (
            (f"{name}/attention_output", layer.attention.dense_output),
            (f"{name}/output", layer.bert_output),
        ):
            weights |= _concatenate(part, [read(part, output.dense)], dtype)
            weights |= _norm(part, output.LayerNorm)
        inner = f"{name}/intermediate"
        weights |= _concatenate(inner, [read(inner, layer.intermediate.dense)], dtype)
    # A model whose head reads every token has no pooler.
    ends = {"pooler": main.pooler and main.pooler.dense, "head": head}
    for part, dense in ends.items():
        if dense is not None:
            weights |= _concatenate(part, [read(part, dense)], tf.float32)
    return weights


class FrozenWeights(tf.Module):
    """Constant copies of the weights for an export.

    Tables are variables in the products' dtype. The other weights are constants of the graph,
    because oneDNN reorders a constant kernel once rather than at every call. They are in one
    function, so that signatures share them on disk.
    """

    def __init__(self, weights: Weights, dtype: tf.DType):
        """Copy the weights of `lay_out`, made with the same dtype."""
        super().__init__()
        values = {name: weights[name].numpy() for name in weights if name not in TABLES}
        held = {name: tf.cast(weights[name], dtype) for name in TABLES}
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


def _concatenate(name: str, parts: list[tuple[Any, Any]], dtype: tf.DType) -> Weights:
    kernels = [tf.cast(kernel, dtype) for kernel, _ in parts]
    biases = [tf.cast(bias, dtype) for _, bias in parts]
    return {f"{name}/kernel": tf.concat(kernels, 1), f"{name}/bias": tf.concat(biases, 0)}


def _norm(name: str, norm: Any) -> Weights:
    return {
        f"{name}/gamma": tf.convert_to_tensor(norm.gamma),
        f"{name}/beta": tf.convert_to_tensor(norm.beta),
    }

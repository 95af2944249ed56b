"""The weights of a TFBert as the fast graph reads them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Weights = dict[str, Any]
TABLES = ("words", "types", "positions")
# Bytes; a graph's file has room for 2 GiB.
MOST_CONSTANT = 2**30


def lay_out(bert: Any, dtype: tf.DType) -> Weights:
    """Kernels and biases by name, in the products' dtype, queries, keys and values side by side.

    The last layer has its queries apart, because the pooler asks for those of first tokens alone.
    Norms, pooler and head are float32; tables are TFBert's own. Within a function it reads the
    variables anew at every call.
    """
    main, config = bert.bert, bert.config
    tables, layers = main.embeddings, main.encoder.layer
    scale = (config.hidden_size // config.num_attention_heads) ** -0.5
    weights: Weights = {
        "words": tables.weight,
        "types": tables.token_type_embeddings,
        "positions": tables.position_embeddings,
    }
    weights |= _norm("embedded", tables.LayerNorm)
    for number, layer in enumerate(layers):
        attention, name = layer.attention.self_attention, f"layer{number}"
        # The scores' divisor goes into the query's weights, where it costs least and keeps
        # float16 products small.
        query = (attention.query.kernel * scale, attention.query.bias * scale)
        others = [(part.kernel, part.bias) for part in (attention.key, attention.value)]
        alone = number == len(layers) - 1
        if alone:
            weights |= _beside(f"{name}/query", [query], dtype)
        weights |= _beside(f"{name}/mixed", others if alone else [query, *others], dtype)
        for part, output in (
            ("attended", layer.attention.dense_output),
            ("output", layer.bert_output),
        ):
            weights |= _beside(f"{name}/{part}", [(output.dense.kernel, output.dense.bias)], dtype)
            weights |= _norm(f"{name}/{part}", output.LayerNorm)
        inner = layer.intermediate.dense
        weights |= _beside(f"{name}/inner", [(inner.kernel, inner.bias)], dtype)
    # A head that reads every token has no pooler below it.
    ends = [] if main.pooler is None else [("pooler", main.pooler.dense)]
    head = bert.qa_outputs if hasattr(bert, "qa_outputs") else bert.classifier
    for part, dense in (*ends, ("head", head)):
        weights |= _beside(part, [(dense.kernel, dense.bias)], tf.float32)
    return weights


class Stored(tf.Module):
    """Copies that no training changes: what an export holds.

    Tables are variables, in the products' dtype, too. The others are constants of the graph, for
    oneDNN lays out a constant kernel once rather than at every call. They lie in one function, so
    that signatures share them on disk.
    """

    def __init__(self, weights: Weights, dtype: tf.DType):
        super().__init__()
        values = {name: weights[name].numpy() for name in weights if name not in TABLES}
        held = {name: tf.cast(weights[name], dtype) for name in TABLES}
        self._constants = None
        if sum(value.nbytes for value in values.values()) <= MOST_CONSTANT:

            @tf.function(input_signature=[])
            def constants() -> Weights:
                return {name: tf.constant(value) for name, value in values.items()}

            # The one graph of it: saving would build another of a function.
            self._constants = constants.get_concrete_function()
        else:
            held |= values
        self._held = {name: tf.Variable(v, trainable=False, name=name) for name, v in held.items()}

    def __call__(self) -> Weights:
        """The weights, for the graph that is being built."""
        return {**self._held, **(self._constants() if self._constants else {})}


def _beside(name: str, parts: list[tuple[Any, Any]], dtype: tf.DType) -> Weights:
    kernels = [tf.cast(kernel, dtype) for kernel, _ in parts]
    biases = [tf.cast(bias, dtype) for _, bias in parts]
    return {f"{name}/kernel": tf.concat(kernels, 1), f"{name}/bias": tf.concat(biases, 0)}


def _norm(name: str, norm: Any) -> Weights:
    return {
        f"{name}/gamma": tf.convert_to_tensor(norm.gamma),
        f"{name}/beta": tf.convert_to_tensor(norm.beta),
    }

"""The fast graph: what stock TFBert computes from the same variables, laid out for speed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfpipe.model.operations import drop, gelu, normalize, project
from tfpipe.model.places import Places

Seeds = Callable[[], tf.Tensor]
ACTIVATIONS = {
    "gelu": tf.nn.gelu,
    "gelu_new": functools.partial(tf.nn.gelu, approximate=True),
    "relu": tf.nn.relu,
    "silu": tf.nn.silu,
    "swish": tf.nn.silu,
    "tanh": tf.tanh,
}


class UnsupportedBert(ValueError):
    """The configuration asks for something that only stock TFBert computes."""


def refuse_unsupported(config: Any) -> None:
    """Raise UnsupportedBert when the fast graph would not equal stock TFBert."""
    if config.hidden_act not in ACTIVATIONS:
        raise UnsupportedBert(f"hidden_act {config.hidden_act!r}, not one of {[*ACTIVATIONS]}")
    kind = getattr(config, "position_embedding_type", "absolute")
    if kind != "absolute":
        raise UnsupportedBert(f"position_embedding_type {kind!r}, not 'absolute'")
    if config.is_decoder or config.add_cross_attention:
        raise UnsupportedBert("a decoder, not an encoder")


class Encoder:
    """A TFBert's variables in a graph of 2-D activations [tokens, hidden].

    Products run in `dtype`; layer norm, softmax, the residual stream, the pooler and the head are
    float32. With `packed` the dense products leave out padding. `seeds` gives each dropout of a
    pass its seed, int32 or int64 [2]; without it they come from TensorFlow's global generator.
    """

    def __init__(self, bert: Any, dtype: tf.DType = tf.float32, packed: bool = False):
        """bert: a transformers TFBert model, built; raises UnsupportedBert."""
        refuse_unsupported(bert.config)
        self.dtype, self.packed = tf.as_dtype(dtype), packed
        self._config, self._bert, self._main = bert.config, bert, bert.bert
        self._activation = ACTIVATIONS[bert.config.hidden_act]

    def tokens(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """The last layer's output, float32 [B, L, H]; any value at padding.

        batch: input_ids, token_type_ids, attention_mask int32 [B, L].
        """
        places, rows = self._run(batch, Dropout(training, seeds), first_only=False)
        return places.spread(rows)

    def pooled(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """What the pooler makes of the first token, float32 [B, H]."""
        return self._pool(batch, Dropout(training, seeds))

    def logits(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """The classification head's output, float32 [B, K]."""
        dropout = Dropout(training, seeds)
        rate = self._config.classifier_dropout
        rate = self._config.hidden_dropout_prob if rate is None else rate
        head = self._bert.classifier
        return _dense(dropout(self._pool(batch, dropout), rate), head)

    def _pool(self, batch: dict[str, Any], dropout: Dropout) -> tf.Tensor:
        _, rows = self._run(batch, dropout, first_only=True)
        pooler = self._main.pooler.dense
        return tf.tanh(_dense(rows, pooler))

    def _run(
        self, batch: dict[str, Any], dropout: Dropout, first_only: bool
    ) -> tuple[Places, tf.Tensor]:
        places = Places(batch["attention_mask"], self.packed)
        rows = self._embed(batch, places, dropout)
        layers = self._main.encoder.layer
        for layer in layers:
            # The pooler reads nothing but the first token: the last layer computes no other.
            alone = first_only and layer is layers[-1]
            mixed = self._attend(layer.attention.self_attention, rows, places, dropout, alone)
            if alone:
                rows = places.first(rows)
            rows = self._add(layer.attention.dense_output, mixed, rows, dropout)
            inner = _dense(self._cast(rows), layer.intermediate.dense)
            inner = self._activate(inner, dropout.training)
            rows = self._add(layer.bert_output, inner, rows, dropout)
        if first_only and not layers:
            rows = places.first(rows)
        return places, rows

    def _embed(self, batch: dict[str, Any], places: Places, dropout: Dropout) -> tf.Tensor:
        tables = self._main.embeddings
        ids = places.pack(tf.reshape(batch["input_ids"], [-1]))
        types = places.pack(tf.reshape(batch["token_type_ids"], [-1]))
        rows = tf.gather(tables.weight, ids) + tf.gather(tables.token_type_embeddings, types)
        rows = places.add_positions(rows, tf.convert_to_tensor(tables.position_embeddings))
        return dropout(self._norm(tables.LayerNorm, rows), self._config.hidden_dropout_prob)

    def _attend(
        self, attention: Any, rows: tf.Tensor, places: Places, dropout: Dropout, first_only: bool
    ) -> tf.Tensor:
        config = self._config
        heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        scale = size**-0.5
        query, key, value = attention.query, attention.key, attention.value
        # The scores' divisor goes into the query's weights, where it costs least and keeps
        # float16 products small.
        kernels = [query.kernel * scale, key.kernel, value.kernel]
        biases = [query.bias * scale, key.bias, value.bias]
        kernels, biases = [*map(self._cast, kernels)], [*map(self._cast, biases)]
        rows = self._cast(rows)
        if first_only:
            queries = project(places.first(rows), kernels.pop(0), biases.pop(0))
            queries = tf.reshape(queries, [-1, heads, 1, size])
        count = len(kernels)
        wide = project(rows, tf.concat(kernels, 1), tf.concat(biases, 0))
        wide = tf.reshape(places.spread(wide), [places.count, places.length, count, heads, size])
        split = tf.unstack(tf.transpose(wide, [2, 0, 3, 1, 4]), count)
        if not first_only:
            queries = split.pop(0)
        keys, values = split
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        weights = tf.nn.softmax(scores + places.penalty)
        weights = dropout(weights, config.attention_probs_dropout_prob)
        mixed = tf.matmul(self._cast(weights), values)
        if first_only:
            return tf.reshape(mixed, [-1, heads * size])
        mixed = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, heads * size])
        return places.pack(mixed)

    def _add(self, output: Any, inner: tf.Tensor, rows: tf.Tensor, dropout: Dropout) -> tf.Tensor:
        change = _dense(inner, output.dense)
        change = dropout(tf.cast(change, tf.float32), self._config.hidden_dropout_prob)
        return self._norm(output.LayerNorm, rows + change)

    def _norm(self, norm: Any, rows: tf.Tensor) -> tf.Tensor:
        gamma, beta = tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)
        return normalize(rows, gamma, beta, tf.constant(self._config.layer_norm_eps))

    def _activate(self, rows: tf.Tensor, training: bool) -> tf.Tensor:
        # In training the one that keeps its slope; else the one that TensorFlow's remapper fuses
        # into the product before it.
        exact = training and self._activation is tf.nn.gelu
        return gelu(rows) if exact else self._activation(rows)

    def _cast(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.cast(rows, self.dtype)


def _dense(rows: tf.Tensor, layer: Any) -> tf.Tensor:
    return project(rows, tf.cast(layer.kernel, rows.dtype), tf.cast(layer.bias, rows.dtype))


class Dropout:
    """Drops in training, every call by a seed of its own."""

    def __init__(self, training: bool, seeds: Seeds | None):
        self.training, self._seeds = training, seeds or _any_seed

    def __call__(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        return drop(x, rate, self._seeds()) if self.training and rate else x


def _any_seed() -> tf.Tensor:
    return tf.random.uniform([2], tf.int32.min, tf.int32.max, tf.int32)

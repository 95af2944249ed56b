"""The fast graph: a forward pass of BERT that equals stock TFBert on the same variables."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from tfpipe.model import int8
from tfpipe.model.adapters import Adapter
from tfpipe.model.adapters.mixed_rows import MixedRows
from tfpipe.model.fused_weights import (
    FrozenWeights,
    Weights,
    lay_out,
    once_per_graph,
    used_width,
)
from tfpipe.model.mixout import Mixout
from tfpipe.model.operations import (
    Seeds,
    drop,
    gelu,
    normalize,
    project,
    served_gelu,
    served_norm,
    served_product,
)
from tfpipe.model.packing import PackedTokens

ACTIVATIONS = {
    "gelu": served_gelu,
    "gelu_new": functools.partial(tf.nn.gelu, approximate=True),
    "relu": tf.nn.relu,
    "silu": tf.nn.silu,
    "swish": tf.nn.silu,
    "tanh": tf.tanh,
}


# What the pooler reads: the first token, as in BERT, or the mean of all tokens, as in
# sentence-transformers' models; `pooling` in config.json.
FIRST, MEAN = "first", "mean"


class UnsupportedBert(ValueError):
    """Raised for a configuration that only stock TFBert computes."""


def pooling_of(config: Any) -> str:
    """Return FIRST or MEAN, what the pooler of a BertConfig reads."""
    return getattr(config, "pooling", None) or FIRST


def refuse_unsupported(config: Any) -> None:
    """Raise UnsupportedBert for a configuration that the fast graph does not compute."""
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

    A batch is input_ids, token_type_ids, attention_mask int32 [B, L]. It may also hold
    `embedding_delta` float32 [B, L, H], which is added to the word embeddings: for methods that
    need the gradient by the embeddings, such as adversarial training; and `adapter` int32 [B], of
    `stored` weights of several adapters the one of each text.

    Attributes:
        mixout: Changes the kernels in training; None for none.
        observer: Called with the name and the input rows of each dense layer; None for none.
        product: Computes a dense layer of stored weights from rows, kernel and bias.
    """

    mixout: Mixout | None = None
    observer: Callable[[str, tf.Tensor], None] | None = None
    product: Callable[..., tf.Tensor] = staticmethod(served_product)

    def __init__(
        self,
        bert: Any,
        dtype: tf.DType = tf.float32,
        packed: bool = False,
        stored: FrozenWeights | None = None,
        head: Any = None,
        adapter: Adapter | None = None,
    ):
        """Lay out the graph.

        Args:
            bert: A transformers TFBert model, built.
            dtype: Type of the matrix products.
            packed: Whether they leave out padding.
            stored: Weights laid out before, in place of the model's variables.
            head: The Keras Dense of the output layer; None for none, or with `stored`.
            adapter: Changes kernels; its change is computed beside them. None with `stored`.

        Raises:
            UnsupportedBert: Only stock TFBert computes this configuration.
        """
        refuse_unsupported(bert.config)
        self.dtype, self.packed, self._stored = tf.as_dtype(dtype), packed, stored
        self._read_stored = once_per_graph(stored) if stored is not None else None
        self._config, self._bert = bert.config, bert
        self._head, self._adapter = head, adapter
        self._activation = ACTIVATIONS[bert.config.hidden_act]
        self._collected: dict[str, tf.Tensor] | None = None

    @contextmanager
    def collect(self) -> Iterator[dict[str, tf.Tensor]]:
        """Collect what the layers compute, for all tokens, in the pass within the block.

        Yields:
            By the names of layers, `layer0`, ...: `layer0/queries` (before they are scaled),
            `layer0/keys` and `layer0/values` [B, heads, L, D] in the products' dtype, and
            `layer0/mean` float32 [B, H], the mean output of the text's tokens. Empty at first.
        """
        self._collected = {}
        try:
            yield self._collected
        finally:
            self._collected = None

    def tokens(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """Compute the last layer's output, float32 [B, L, H]; any value at padding."""
        current = self._begin(batch, training, seeds)
        return current.places.spread(self._run(batch, current))

    def pooled(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """Compute the pooler's output, float32 [B, H]: of the first token, or of the mean."""
        return self._pool(batch, self._begin(batch, training, seeds))

    def logits(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """Compute the output of a sequence classification head, float32 [B, K]."""
        current = self._begin(batch, training, seeds)
        rate = self._config.classifier_dropout
        rate = self._config.hidden_dropout_prob if rate is None else rate
        pooled = current.dropout(self._pool(batch, current), rate)
        return self._dense(pooled, "head", current.of_texts())

    def embeddings(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """Compute the first token's or the mean vector at length 1, float32 [B, H]."""
        rows = self._pool_rows(batch, self._begin(batch, training, seeds))
        return tf.math.l2_normalize(rows, axis=1)

    def token_logits(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """Compute a token classification head's output, float32 [B, L, K]; any value at padding."""
        rate = self._config.classifier_dropout
        rate = self._config.hidden_dropout_prob if rate is None else rate
        return self._compute_token_logits(batch, rate, training, seeds)

    def span_logits(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """Compute a question answering head's output, float32 [B, L, 2]: first and last token."""
        return self._compute_token_logits(batch, 0.0, training, seeds)

    def masked_logits(
        self, batch: dict[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """Compute a masked language model's output at the masked tokens, float32 [M, V].

        M are the `masked_places` int32 [B, P] of the batch that are not negative, row by row. The
        output layer is the word embedding, transposed; source: Devlin et al. 2019, section 3.1.
        """
        current, epsilon = self._begin(batch, training, seeds), self._config.layer_norm_eps
        tokens = current.places.spread(self._run(batch, current))
        at = tf.where(batch["masked_places"] >= 0)
        place = tf.cast(tf.gather_nd(batch["masked_places"], at), tf.int64)
        rows = tf.gather_nd(tokens, tf.stack([at[:, 0], place], 1))
        end = self._bert.mlm.predictions
        kernel, bias, gamma, beta = (
            tf.convert_to_tensor(variable)
            for layer in (end.transform.dense, end.transform.LayerNorm)
            for variable in layer.weights
        )
        rows = self._activate(project(rows, kernel, bias), training)
        rows = self._cast(normalize(rows, gamma, beta, tf.constant(epsilon)))
        words = self._cast(tf.convert_to_tensor(current.weights["words"]))
        found = tf.cast(tf.matmul(rows, words, transpose_b=True), tf.float32)
        return tf.nn.bias_add(found, tf.convert_to_tensor(end.bias))

    def _compute_token_logits(
        self, batch: dict[str, Any], rate: float, training: bool, seeds: Seeds | None
    ) -> tf.Tensor:
        current = self._begin(batch, training, seeds)
        rows = current.dropout(self._run(batch, current), rate)
        return current.places.spread(self._dense(rows, "head", current))

    def _begin(self, batch: dict[str, Any], training: bool, seeds: Seeds | None) -> Pass:
        if self._read_stored is not None:
            weights = self._read_stored()
        elif self._adapter is not None:
            weights = self._adapter.lay_out(self._bert, self.dtype, self._head)
        else:
            mixed = (
                self.mixout.transform(seeds or _random_seed) if training and self.mixout else None
            )
            weights = lay_out(self._bert, self.dtype, self._head, mixed)
        places = PackedTokens(batch["attention_mask"], self.packed)
        adapters = MixedRows.of_tokens(batch["adapter"], places) if "adapter" in batch else None
        return Pass(weights, places, Dropout(training, seeds), adapters)

    @property
    def stored(self) -> FrozenWeights | None:
        """The copies of the weights that the graph reads; None where it reads the variables."""
        return self._stored

    def _pool(self, batch: dict[str, Any], current: Pass) -> tf.Tensor:
        return tf.tanh(self._dense(self._pool_rows(batch, current), "pooler", current.of_texts()))

    def _pool_rows(self, batch: dict[str, Any], current: Pass) -> tf.Tensor:
        """The last layer's rows [B, H] that a head for whole texts reads."""
        if pooling_of(self._config) == MEAN:
            return current.places.mean(self._run(batch, current))
        return self._run(batch, current, first_only=True)

    def _run(self, batch: dict[str, Any], current: Pass, first_only: bool = False) -> tf.Tensor:
        """The last layer's rows: of all tokens [T, H], or of the first ones [B, H]."""
        rows = self._embed(batch, current)
        layers = [f"layer{number}" for number in range(self._config.num_hidden_layers)]
        for layer in layers:
            # The pooler reads only the first token: the last layer computes no other.
            last = first_only and layer is layers[-1] and self._collected is None
            mixed = self._attend(layer, rows, current, last)
            if last:
                rows, current = current.places.first(rows), current.of_texts()
            rows = self._add(f"{layer}/attention_output", mixed, rows, current)
            inner = self._activated(rows, f"{layer}/intermediate", current)
            rows = self._add(f"{layer}/output", inner, rows, current)
            if self._collected is not None:
                self._collected[f"{layer}/mean"] = current.places.mean(rows)
        whole = not layers or self._collected is not None
        return current.places.first(rows) if first_only and whole else rows

    def _embed(self, batch: dict[str, Any], current: Pass) -> tf.Tensor:
        places, weights = current.places, current.weights
        ids = places.pack(tf.reshape(batch["input_ids"], [-1]))
        types = places.pack(tf.reshape(batch["token_type_ids"], [-1]))
        rows = _look_up(weights["words"], ids)
        if "words/reach" in weights:
            rows *= tf.gather(weights["words/reach"], ids)
        rows += _look_up(weights["types"], types)
        if "embedding_delta" in batch:
            delta = batch["embedding_delta"]
            rows += places.pack(tf.reshape(delta, [-1, self._config.hidden_size]))
        positions = tf.cast(tf.convert_to_tensor(weights["positions"]), tf.float32)
        rows = places.add_positions(rows, positions)
        rows = self._norm("embeddings", rows, current)
        return current.dropout(rows, self._config.hidden_dropout_prob)

    def _attend(self, layer: str, rows: tf.Tensor, current: Pass, first_only: bool) -> tf.Tensor:
        config, places = self._config, current.places
        heads, size = config.num_attention_heads, used_width(config)
        rows = self._cast(rows)
        separate: list[tf.Tensor] = []
        if f"{layer}/query/kernel" in current.weights:
            query = places.first(rows) if first_only else rows
            own = current.of_texts() if first_only else current
            query = self._dense(query, f"{layer}/query", own)
            if first_only:
                separate = [tf.reshape(query, [places.count, heads, 1, size])]
            else:
                separate = places.by_head(query, 1, heads)
        mixed = self._dense(rows, f"{layer}/projected", current)
        queries, keys, values = separate + places.by_head(mixed, 3 - len(separate), heads)
        if self._collected is not None:
            unscaled = queries * (config.hidden_size // heads) ** 0.5
            found = {"queries": unscaled, "keys": keys, "values": values}
            self._collected |= {f"{layer}/{name}": value for name, value in found.items()}
        penalty = places.penalty
        if f"{layer}/prefix_keys" in current.weights:
            keys = self._precede(keys, f"{layer}/prefix_keys", current)
            values = self._precede(values, f"{layer}/prefix_values", current)
            further = tf.shape(keys)[2] - places.length
            penalty = tf.pad(penalty, [[0, 0], [0, 0], [0, 0], [further, 0]])
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        shares = tf.nn.softmax(scores + penalty)
        shares = current.dropout(shares, config.attention_probs_dropout_prob)
        mixed = tf.matmul(self._cast(shares), values)
        if first_only:
            return tf.reshape(mixed, [-1, heads * size])
        return places.by_token(mixed)

    def _add(self, name: str, inner: tf.Tensor, rows: tf.Tensor, current: Pass) -> tf.Tensor:
        change = tf.cast(self._dense(inner, name, current), tf.float32)
        change = current.dropout(change, self._config.hidden_dropout_prob)
        if f"{name}/bottleneck_down/kernel" in current.weights:
            inner = self._activated(change, f"{name}/bottleneck_down", current)
            change += tf.cast(self._dense(inner, f"{name}/bottleneck_up", current), tf.float32)
        return self._norm(name, rows + change, current)

    def _precede(self, values: tf.Tensor, name: str, current: Pass) -> tf.Tensor:
        """Put the rows [P, H] of a prefix before keys or values [B, heads, L, D]."""
        _, heads, _, size = values.shape
        prefix = tf.convert_to_tensor(current.weights[name])
        whole = tf.reshape(prefix, [1, -1, heads, prefix.shape[1] // heads])
        split = tf.transpose(whole[..., :size], [0, 2, 1, 3])
        shape = [current.places.count, heads, tf.shape(prefix)[0], size]
        return tf.concat([tf.broadcast_to(split, shape), values], axis=2)

    def _norm(self, name: str, rows: tf.Tensor, current: Pass) -> tf.Tensor:
        gamma, beta = (
            tf.convert_to_tensor(current.weights[f"{name}/{n}"]) for n in ("gamma", "beta")
        )
        if current.adapters is not None:
            beta = current.adapters.own(beta, 1)
        if self._stored is not None:
            return served_norm(rows, gamma, beta, self._config.layer_norm_eps)
        return normalize(rows, gamma, beta, tf.constant(self._config.layer_norm_eps))

    def _activated(self, rows: tf.Tensor, name: str, current: Pass) -> tf.Tensor:
        """A dense layer with the activation behind it, of rows float32."""
        if f"{name}/reach" in current.weights and self._activation is served_gelu:
            return int8.multiply(rows, name, current.weights, gelu=True)
        inner = self._dense(self._cast(rows), name, current)
        return self._activate(inner, current.dropout.training)

    def _activate(self, rows: tf.Tensor, training: bool) -> tf.Tensor:
        # In training the one that stores its slope for the backward pass.
        exact = training and self._activation is served_gelu
        return gelu(rows) if exact else self._activation(rows)

    def _cast(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.cast(rows, self.dtype)

    def _dense(self, rows: tf.Tensor, name: str, current: Pass) -> tf.Tensor:
        weights, dropout = current.weights, current.dropout
        if self.observer is not None:
            self.observer(name, rows)
        if current.adapters is not None:
            return current.adapters.dense(rows, name, weights, self.product)
        if f"{name}/reach" in weights:
            return int8.multiply(rows, name, weights)
        kernel, bias = (tf.convert_to_tensor(weights[f"{name}/{n}"]) for n in ("kernel", "bias"))
        found = (project if dropout.training else self.product)(rows, kernel, bias)
        if f"{name}/down" not in weights:
            return found
        assert self._adapter is not None
        low = tf.matmul(dropout(rows, self._adapter.settings.dropout), weights[f"{name}/down"])
        found += tf.matmul(low, weights[f"{name}/up"])
        factor = weights.get(f"{name}/factor")
        return found if factor is None else found * factor + bias * (1.0 - factor)


def _look_up(table: Any, rows: tf.Tensor) -> tf.Tensor:
    # From the variable itself, so that its gradient has only the rows that were read.
    return tf.cast(tf.gather(table, rows), tf.float32)


@dataclass(frozen=True)
class Pass:
    """What the operations of one forward pass share.

    Attributes:
        weights: As `lay_out` lays them out; some with a value for each adapter, with `adapters`.
        places: Where the tokens of the texts are.
        dropout: Dropout of the pass.
        adapters: The adapter of each row; None where all rows have the same weights.
    """

    weights: Weights
    places: PackedTokens
    dropout: Dropout
    adapters: MixedRows | None = None

    def of_texts(self) -> Pass:
        """Return the pass for rows of which each text has one."""
        return replace(self, adapters=self.adapters and self.adapters.of_texts())


class Dropout:
    """Dropout during training, with a new seed for every call."""

    def __init__(self, training: bool, seeds: Seeds | None):
        """Configure the dropout of a pass; `seeds` None for TensorFlow's global generator."""
        self.training, self._seeds = training, seeds or _random_seed

    def __call__(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        """Drop a share of the values; returns x itself outside of training."""
        return drop(x, rate, self._seeds()) if self.training and rate else x


def _random_seed() -> tf.Tensor:
    return tf.random.uniform([2], tf.int32.min, tf.int32.max, tf.int32)

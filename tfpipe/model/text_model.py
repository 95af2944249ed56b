"""A BERT with a task's head, its tokenizer and its label names."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.model import int8
from tfpipe.model.adapters import ADAPTERS, Adapter, AdapterSettings
from tfpipe.model.adapters.targets import name_of_kernel
from tfpipe.model.encoder import MEAN, Encoder, UnsupportedBert
from tfpipe.model.fused_weights import FrozenWeights, Weights, lay_out
from tfpipe.model.head import Head
from tfpipe.model.mixout import Mixout
from tfpipe.model.operations import Seeds

# transformers' names of variables.
LAYER = re.compile(r"/encoder/layer_\._(\d+)/")


def count_values(variables: Sequence[tf.Variable]) -> int:
    """Return the number of values in variables."""
    return sum(variable.shape.num_elements() for variable in variables)


class _Variables(tf.Module):
    """Variables of different owners as one object of a checkpoint."""

    def __init__(self, variables: Sequence[tf.Variable]):
        super().__init__()
        self.all = list(variables)


@dataclass(frozen=True)
class TextModel:
    """The weights, forward pass and layer structure of one BERT with one head.

    Other packages do not use `bert`, the transformers TFBert model, but the members below.

    Attributes:
        bert: The transformers TFBert model, built.
        tokenizer: The tokenizer of training, evaluation and export.
        label_names: Names of the head's columns, in order.
        precision: Dtype of the matrix products of the fast graph.
        packed: Whether the fast graph leaves padding out of its dense products.
        head: The output layer.
        adapter: What is trained in place of the BERT, and changes it; None without one.
        mixout: Mixes pretrained weights into the kernels in training; None for none.
        scalings: Of products in int8, by the names of `lay_out`; None for a model without.
        fresh: `pooler` and `head` where the checkpoint did not give them.
        origin: Where the weights come from, for the log.
    """

    bert: Any
    tokenizer: Tokenizer
    label_names: Sequence[str]
    precision: str = "float32"
    packed: bool = False
    head: Head = Head()
    adapter: Adapter | None = None
    mixout: Mixout | None = None
    scalings: Mapping[str, int8.Scaling] | None = None
    fresh: Sequence[str] = ()
    origin: str = ""

    # ---- weights
    @property
    def config(self) -> Any:
        """The transformers BertConfig."""
        return self.bert.config

    @property
    def backbone(self) -> Any:
        """The Keras layer of the BERT below the head: embeddings, encoder, pooler."""
        return self.bert.bert

    @property
    def weights(self) -> Sequence[tf.Variable]:
        """All variables."""
        return self.bert.weights

    @property
    def trainable_variables(self) -> Sequence[tf.Variable]:
        """The variables that training changes."""
        if self.adapter is None:
            return self.bert.trainable_variables
        found = [*self.adapter.trained(self.backbone), *self.new_variables]
        # Biases of a new pooler are in both.
        return list({id(variable): variable for variable in found}.values())

    @property
    def new_variables(self) -> Sequence[tf.Variable]:
        """The head's variables, and the pooler's where the checkpoint has none."""
        parts = [self._dense] if self._dense is not None else []
        if "pooler" in self.fresh and self.backbone.pooler is not None:
            parts.append(self.backbone.pooler.dense)
        return [variable for part in parts for variable in part.weights]

    @property
    def trackable(self) -> Any:
        """The object that a tf.train.Checkpoint saves: all that training changes."""
        if self.adapter is None:
            return self.bert
        return _Variables([*self.trainable_variables, *self.adapter.state])

    def merged(self, variable: tf.Variable) -> np.ndarray:
        """Return the value of a variable of the BERT with the adapter's change in it."""
        name = name_of_kernel(variable.name) if self.adapter else None
        value = variable.read_value()
        return (self.adapter.merge(name, value) if self.adapter and name else value).numpy()

    @property
    def has_stock_graph(self) -> bool:
        """Whether transformers' own TFBert computes the model, once an adapter is merged."""
        return self.adapter is None or self.adapter.mergeable

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return self.bert.count_params()

    @property
    def trainable_parameters(self) -> int:
        """Number of parameters that training changes."""
        return count_values(self.trainable_variables)

    @property
    def columns(self) -> int:
        """Number of the head's columns: of the labels, or of a vector."""
        return self.config.hidden_size if self._dense is None else len(self.label_names)

    # ---- structure
    @property
    def layers(self) -> Sequence[Any]:
        """The transformer layers, the lowest first."""
        return self.backbone.encoder.layer

    def depth_of(self, name: str) -> int:
        """Return the depth of a variable in the model.

        Args:
            name: The name of the variable.

        Returns:
            0 for embeddings, 1 to N for the N layers, the lowest first, N + 1 for pooler, head
            and all others.
        """
        if layer := LAYER.search(name):
            return 1 + int(layer.group(1))
        return 0 if "/embeddings/" in name else 1 + len(self.layers)

    def dropout_layers(self) -> Iterator[Any]:
        """Yield the Keras dropout layers, in an order that is equal for equal architectures."""
        return (m for m in self.bert.submodules if isinstance(m, tf_keras.layers.Dropout))

    def freeze(self, layers: int, embeddings: bool) -> None:
        """Exclude the lowest `layers` layers, and the embeddings, from training.

        Freezing layers also freezes the embeddings: their gradient would pass through those layers.
        """
        for layer in self.layers[:layers]:
            layer.trainable = False
        if layers or embeddings:
            self.backbone.embeddings.trainable = False

    def train_only(self, encoder: bool) -> None:
        """Train either the encoder or the output layer; the pooler stays as it is."""
        for layer in [self.backbone.embeddings, *self.layers]:
            layer.trainable = encoder
        self.backbone.pooler.trainable = False
        self._dense.trainable = not encoder

    def set_dropout(self, hidden: float | None, attention: float | None) -> None:
        """Set dropout rates, in the Keras layers and in `config`; None leaves a rate as it is."""
        if hidden is not None:
            self.config.hidden_dropout_prob = hidden
            self.config.classifier_dropout = hidden
        if attention is not None:
            self.config.attention_probs_dropout_prob = attention
        in_attention = {id(layer.attention.self_attention.dropout) for layer in self.layers}
        for layer in self.dropout_layers():
            rate = attention if id(layer) in in_attention else hidden
            layer.rate = layer.rate if rate is None else rate

    def with_adapter(self, method: str, settings: AdapterSettings) -> TextModel:
        """Return the model with a new adapter; call it in the strategy's scope.

        Args:
            method: A key of ADAPTERS.
            settings: Its settings.

        Raises:
            UserError: The adapter does not fit the model.
        """
        return replace(self, adapter=ADAPTERS[method](settings, self.bert))

    def with_mixout(self, share: float) -> TextModel:
        """Return the model with mixout of its weights as they are; call it in the scope."""
        return replace(self, mixout=Mixout(self.bert, share))

    # ---- forward pass
    @functools.cached_property
    def encoder(self) -> Encoder | None:
        """The fast graph over the model's variables; None where only stock TFBert computes it."""
        try:
            encoder = Encoder(
                self.bert, self.precision, self.packed, head=self._dense, adapter=self.adapter
            )
        except UnsupportedBert:
            return None
        encoder.mixout = self.mixout
        return encoder

    def frozen_encoder(self, dtype: tf.DType) -> Encoder:
        """The fast graph, without padding in its products, over copies of the weights.

        Args:
            dtype: Type of the copies and of the matrix products.

        Raises:
            UnsupportedBert: Only stock TFBert computes this configuration.
        """
        return self.over_stored(FrozenWeights(self.weights_of_pass(dtype, merged=True), dtype))

    def with_int8_scales(self, batches: Iterable[Mapping[str, Any]]) -> TextModel:
        """Return the model with the scales of products in int8, chosen on texts.

        Args:
            batches: Inputs of texts, as `logits` takes them.

        Raises:
            UnsupportedBert: Only stock TFBert computes this configuration.
            UserError: This TensorFlow has no products of int8.
        """
        int8.refuse_without_kernel()
        weights = self.weights_of_pass(tf.float32, merged=True)
        encoder = self.over_stored(FrozenWeights(weights, tf.float32))
        forward = self.head.of_encoder(encoder)
        return replace(self, scalings=int8.choose_scalings(encoder, forward, batches, weights))

    def served_encoder(self, precision: str) -> Encoder:
        """The fast graph of an export, over copies of the weights.

        Args:
            precision: A floating dtype, or `int8` for a model with scales.

        Raises:
            UnsupportedBert: Only stock TFBert computes this configuration.
        """
        if precision != "int8":
            return self.frozen_encoder(tf.as_dtype(precision))
        assert self.scalings is not None
        weights = int8.quantize(self.weights_of_pass(tf.float32, merged=True), self.scalings)
        return self.over_stored(FrozenWeights(weights, tf.float32))

    def over_stored(self, stored: FrozenWeights) -> Encoder:
        """The fast graph, without padding in its products, over stored weights of this layout."""
        return Encoder(self.bert, stored.dtype, packed=True, stored=stored)

    def weights_of_pass(self, dtype: tf.DType, merged: bool) -> Weights:
        """Return the weights as the fast graph reads them, the adapter's change merged or beside.

        Args:
            dtype: Type of the matrix products.
            merged: Whether changes of kernels are merged into them.
        """
        if self.adapter is None:
            return lay_out(self.bert, dtype, self._dense)
        return self.adapter.lay_out(self.bert, dtype, self._dense, merged)

    def logits(
        self, batch: Mapping[str, Any], training: bool = False, seeds: Seeds | None = None
    ) -> tf.Tensor:
        """Compute the head's output.

        Args:
            batch: input_ids, token_type_ids, attention_mask int32 [B, L]; of the fast graph also
                `embedding_delta`, see Encoder.
            training: Whether dropout is applied.
            seeds: Seeds of the dropout; only the fast graph uses them.

        Returns:
            float32 [B, K], or [B, L, K] of a head with an output for each token; K: `columns`.
        """
        if self.encoder is not None:
            return self.head.of_encoder(self.encoder)(batch, training, seeds)
        return self.stock_logits(batch, training)

    def stock_logits(self, batch: Mapping[str, Any], training: bool = False) -> tf.Tensor:
        """Compute the head's output with transformers' own TFBert."""
        mean = self.head.pooling == MEAN
        output = self.bert(
            input_ids=batch["input_ids"],
            token_type_ids=batch["token_type_ids"],
            attention_mask=batch["attention_mask"],
            output_hidden_states=mean,
            training=training,
        )
        if not mean:
            return self.head.of_stock(output)
        # transformers' classes read the first token only; their pooler is given the mean as one.
        weights = tf.cast(batch["attention_mask"], tf.float32)[:, :, tf.newaxis]
        sums = tf.reduce_sum(output.hidden_states[-1] * weights, 1, keepdims=True)
        mean_rows = sums / tf.maximum(tf.reduce_sum(weights, 1, keepdims=True), 1.0)
        if self._dense is None:
            return tf.math.l2_normalize(mean_rows[:, 0], axis=1)
        pooled = self.backbone.pooler(mean_rows)
        return self._dense(self.bert.dropout(pooled, training=training))

    @property
    def _dense(self) -> Any:
        return self.head.dense(self.bert)

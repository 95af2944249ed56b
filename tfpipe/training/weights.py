"""Which weights learn, how much is dropped, and a moving average of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras

from tfpipe.config import TrainConfig
from tfpipe.errors import UserError


def prepare_weights(bert: Any, config: TrainConfig) -> None:
    """Freeze layers and set dropout of a TFBert as configured; raises UserError.

    The dropout rates are stored in bert.config, too, for those who build a graph from it.
    """
    layers = bert.bert.encoder.layer
    if config.freeze_layers > len(layers):
        raise UserError(
            "there are fewer layers than are to be frozen",
            f"--freeze-layers {config.freeze_layers}, the model has {len(layers)}",
            f"give a number up to {len(layers)}",
        )
    for layer in layers[: config.freeze_layers]:
        layer.trainable = False
    # What lies below a frozen layer could learn only by passing through it.
    if config.freeze_layers or config.freeze_embeddings:
        bert.bert.embeddings.trainable = False
    if config.hidden_dropout is not None:
        bert.config.hidden_dropout_prob = config.hidden_dropout
        bert.config.classifier_dropout = config.hidden_dropout
    if config.attention_dropout is not None:
        bert.config.attention_probs_dropout_prob = config.attention_dropout
    in_attention = {id(layer.attention.self_attention.dropout) for layer in layers}
    for module in bert.submodules:
        if isinstance(module, tf_keras.layers.Dropout):
            attention = id(module) in in_attention
            rate = config.attention_dropout if attention else config.hidden_dropout
            module.rate = module.rate if rate is None else rate


class AveragedWeights(tf.Module):
    """An exponential moving average of variables: average = d * average + (1 - d) * value.

    d is the least of `decay` and (1 + t) / (10 + t) after t updates, so that the first weights are
    soon forgotten. Source: Polyak and Juditsky 1992; the rising decay is that of
    tf.train.ExponentialMovingAverage. Make it in the strategy's scope, after weights are loaded:
    it starts as they are. Holds one copy of the variables; put it in the checkpoint.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float):
        super().__init__(name="averaged_weights")
        self._decay = decay
        self._extended = tf.distribute.get_strategy().extended
        self._variables = tuple(variables)
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False, name="updates")
        self.averages = [
            tf.Variable(v.read_value(), trainable=False, name="average") for v in variables
        ]

    def update(self) -> None:
        """Take in the values of a step; to be called outside of replicas."""
        updates = tf.cast(self.updates, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + updates) / (10.0 + updates))

        def move(average: tf.Variable, value: tf.Tensor) -> tf.Operation:
            return average.assign_sub((1.0 - decay) * (average - value))

        for average, variable in zip(self.averages, self._variables, strict=True):
            self._extended.update(average, move, args=(variable,))
        self.updates.assign_add(1)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the model has the averages for its weights.

        One variable is exchanged at a time, so that no further copy of the model is held. Do not
        train or save a state inside.
        """
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for average, variable in zip(self.averages, self._variables, strict=True):
            # A numpy copy: the variable's own buffer is written next.
            value = variable.numpy().copy()
            variable.assign(average.read_value())
            average.assign(value)

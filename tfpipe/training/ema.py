"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf


class ExponentialMovingAverage(tf.Module):
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

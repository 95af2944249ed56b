"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf


class ExponentialMovingAverage(tf.Module):
    """An exponential moving average of variables: average = d * average + (1 - d) * value.

    d is the smaller of `decay` and (1 + t) / (10 + t) after t updates, so that the initial weights
    soon lose their influence. Source: Polyak and Juditsky 1992; the rising decay is that of
    tf.train.ExponentialMovingAverage. Create it in the strategy's scope after the weights are
    loaded, and save it in the checkpoint.

    Attributes:
        averages: The averages, in the order of the variables.
        updates: int64, the number of updates.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float):
        """Start the averages at the values of the variables.

        Args:
            variables: The variables to average.
            decay: The decay of an update, below 1.
        """
        super().__init__(name="averaged_weights")
        self._decay = decay
        self._extended = tf.distribute.get_strategy().extended
        self._variables = tuple(variables)
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False, name="updates")
        self.averages = [
            tf.Variable(v.read_value(), trainable=False, name="average") for v in variables
        ]

    def update(self) -> None:
        """Update the averages after a step; to be called in cross-replica context."""
        updates = tf.cast(self.updates, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + updates) / (10.0 + updates))

        def move(average: tf.Variable, value: tf.Tensor) -> tf.Operation:
            return average.assign_sub((1.0 - decay) * (average - value))

        for average, variable in zip(self.averages, self._variables, strict=True):
            self._extended.update(average, move, args=(variable,))
        self.updates.assign_add(1)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Exchange weights and averages within the block.

        One variable is exchanged at a time, so that no further copy of the model is needed. Do not
        train or save a checkpoint inside.
        """
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for average, variable in zip(self.averages, self._variables, strict=True):
            # A copy: the variable's own buffer is overwritten next.
            value = variable.numpy().copy()
            variable.assign(average.read_value())
            average.assign(value)

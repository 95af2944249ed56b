"""Dropout seeds that depend only on run seed, step, replica and part of the batch."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.library_internals import replace_dropout
from tfpipe.model.text_model import TextModel


class DropoutSeeds:
    """Seeds of the dropout of one layer, so that a resumed run drops the same values.

    Nothing has to be stored for it: Philox (Salmon et al. 2011) generates the numbers of each seed
    independently.
    """

    def __init__(self, seed: int, layer: int, step: tf.Variable):
        """Create the seeds of a layer.

        Args:
            seed: The seed of the run.
            layer: The number of the layer, different for each.
            step: An integer variable, the steps taken.
        """
        self._seed, self._layer, self._step = seed, layer, step
        self._calls: weakref.WeakKeyDictionary[tf.Graph, Counter] = weakref.WeakKeyDictionary()

    @property
    def calls(self) -> int:
        """Calls of this replica in the graph that is being built; set it to repeat seeds."""
        return self._counter()[_replica_number()]

    @calls.setter
    def calls(self, count: int) -> None:
        self._counter()[_replica_number()] = count

    def _counter(self) -> Counter:
        return self._calls.setdefault(tf.compat.v1.get_default_graph(), Counter())

    def next(self) -> tf.Tensor:
        """Return the next seed, int64 [2]: different for each call in a step and each replica."""
        replica = _replica()
        # A graph is traced replica by replica and part by part: its n-th call is the n-th call of
        # every graph. Eager calls are not training steps.
        call = 0
        if not tf.executing_eagerly():
            call = self.calls
            self.calls = call + 1
        state = np.random.SeedSequence((self._seed, self._layer, call)).generate_state(1, np.uint64)
        base = int(state[0] >> np.uint64(1))
        return tf.stack([base ^ tf.cast(replica, tf.int64), tf.cast(self._step, tf.int64)])

    def dropout(
        self, inputs: tf.Tensor, rate: float, noise_shape: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Apply dropout; replaces the method of a Keras layer's random generator."""
        return tf.nn.experimental.stateless_dropout(
            inputs, rate=rate, seed=self.next(), noise_shape=noise_shape
        )


class ModelSeeds:
    """Seeds of the dropout of a whole model; called, the next one of the fast graph, int64 [2]."""

    def __init__(self, fast: DropoutSeeds, layers: Sequence[DropoutSeeds]):
        """Join the seeds of the fast graph and those of the Keras layers."""
        self._fast, self._all = fast, [fast, *layers]

    def __call__(self) -> tf.Tensor:
        """Return the next seed of the fast graph."""
        return self._fast.next()

    @property
    def calls(self) -> Sequence[int]:
        """Calls so far in the graph that is being built; set it to drop the same values again."""
        return [seeds.calls for seeds in self._all]

    @calls.setter
    def calls(self, counts: Sequence[int]) -> None:
        for seeds, count in zip(self._all, counts, strict=True):
            seeds.calls = count


def _replica() -> Any:
    """The number of this replica, an int or a tensor."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context else 0


def _replica_number() -> int:
    """The number of the replica that is being traced; 0 where one trace is of all."""
    replica = _replica()
    return replica if isinstance(replica, int) else 0


def seed_dropout(model: TextModel, seed: int, step: tf.Variable) -> ModelSeeds:
    """Derive the dropout of a model from the seed; call it before the training step is traced.

    Args:
        model: The model, whose Keras dropout layers are changed.
        seed: The seed of the run.
        step: An integer variable, the steps taken.

    Returns:
        The seeds of its dropout.
    """
    layers = []
    for number, layer in enumerate(model.dropout_layers(), start=1):
        # The layer's own generator is stateful: its state is not in the checkpoint, and its order
        # depends on how often the graph was built.
        layers.append(DropoutSeeds(seed, number, step))
        replace_dropout(layer, layers[-1].dropout)
    return ModelSeeds(DropoutSeeds(seed, 0, step), layers)

"""Dropout that is a function of the seed, the step, the replica and the part of the batch."""

from __future__ import annotations

import weakref
from collections import Counter

import numpy as np
import tensorflow as tf

from tfpipe.model.encoder import Seeds
from tfpipe.model.text_model import TextModel


class DropoutSeeds:
    """Seeds for dropout, so that a resumed run drops what the whole run would have.

    seed: of the run; layer: a number, other layers have others; step: integer variable, the steps
    taken. Nothing has to be stored for it: Philox (Salmon et al. 2011) turns every seed into its
    own numbers.
    """

    def __init__(self, seed: int, layer: int, step: tf.Variable):
        self._seed, self._layer, self._step = seed, layer, step
        self._calls: weakref.WeakKeyDictionary[tf.Graph, Counter] = weakref.WeakKeyDictionary()

    def next(self) -> tf.Tensor:
        """int64 [2], another one for every call within a step and for every replica."""
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        # A graph is traced replica by replica and part by part: its n-th call is the n-th call of
        # every graph. Eager calls are nobody's training step.
        call = 0
        if not tf.executing_eagerly():
            calls = self._calls.setdefault(tf.compat.v1.get_default_graph(), Counter())
            name = replica if isinstance(replica, int) else 0
            call, calls[name] = calls[name], calls[name] + 1
        state = np.random.SeedSequence((self._seed, self._layer, call)).generate_state(1, np.uint64)
        base = int(state[0] >> np.uint64(1))
        return tf.stack([base ^ tf.cast(replica, tf.int64), tf.cast(self._step, tf.int64)])

    def dropout(
        self, inputs: tf.Tensor, rate: float, noise_shape: tf.Tensor | None = None
    ) -> tf.Tensor:
        """What a Keras dropout layer asks its random generator for."""
        return tf.nn.experimental.stateless_dropout(
            inputs, rate=rate, seed=self.next(), noise_shape=noise_shape
        )


def seed_dropout(model: TextModel, seed: int, step: tf.Variable) -> Seeds:
    """Let the dropout of a model follow the seed; returns what its fast graph draws from.

    Must come before the training step is traced.
    """
    for number, layer in enumerate(model.dropout_layers(), start=1):
        # The layer's own generator is stateful: its state is nowhere to be saved, and its order
        # depends on how often the graph was built.
        layer._random_generator.dropout = DropoutSeeds(seed, number, step).dropout
    return DropoutSeeds(seed, 0, step).next

"""Dropout is a function of seed, step, replica and part."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfpipe.model.presets import make_tiny
from tfpipe.training.dropout_seeds import DropoutSeeds, seed_dropout
from tfpipe.training.strategy import make_strategy


def seeds(strategy: tf.distribute.Strategy, step: int, seed: int = 1, layer: int = 0) -> list:
    """The seeds of two parts on every replica, out of a graph built for it."""
    made = DropoutSeeds(seed, layer, tf.Variable(step, dtype=tf.int64))

    @tf.function
    def parts() -> tuple:
        def replica() -> tf.Tensor:
            return tf.stack([made.next(), made.next()])

        return strategy.experimental_local_results(strategy.run(replica))

    return [tuple(row) for values in parts() for row in values.numpy()]


def test_equal_where_all_is_equal_and_different_otherwise() -> None:
    strategy, _ = make_strategy("mirrored", 2)
    first = seeds(strategy, step=7)
    assert first == seeds(strategy, step=7)
    others = [seeds(strategy, 8), seeds(strategy, 7, seed=2), seeds(strategy, 7, layer=1)]
    every = [row for rows in [first, *others] for row in rows]
    assert len(set(every)) == len(every) == 16


@pytest.mark.parametrize("fast", [True, False])
def test_a_model_drops_the_same_after_a_restart(fast: bool) -> None:
    batch = {name: tf.ones([2, 6], tf.int32) for name in ("input_ids", "attention_mask")}
    batch["token_type_ids"] = tf.zeros([2, 6], tf.int32)
    tf_keras.utils.set_random_seed(1)
    model = make_tiny(["a", "b"], ["some words", "and more words"])
    step = tf.Variable(0, dtype=tf.int64)
    if not fast:
        # What only stock TFBert computes.
        model.bert.config.hidden_act = "mish"
    assert (model.encoder is not None) == fast
    seeds = seed_dropout(model, 1, step)

    def outputs() -> list[np.ndarray]:
        call = tf.function(lambda: model.logits(batch, True, seeds))
        values = []
        for number in (3, 4):
            step.assign(number)
            values.append(call().numpy())
        return values

    third, fourth = outputs()
    # A graph built anew has dropped nothing before.
    again, _ = outputs()
    np.testing.assert_array_equal(third, again)
    assert (third != fourth).any()
    seeds = seed_dropout(model, 2, step)
    assert (outputs()[0] != third).any()


def test_the_share_that_is_dropped() -> None:
    made = DropoutSeeds(1, 0, tf.Variable(5, dtype=tf.int64))
    kept = made.dropout(tf.ones([1000, 100]), 0.1).numpy()
    assert abs((kept == 0).mean() - 0.1) < 0.005
    np.testing.assert_allclose(kept[kept > 0], 1 / 0.9, rtol=1e-6)

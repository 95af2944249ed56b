"""A loss that compares the examples of a step: equal on one replica, on two, and in parts."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.support.labelled import make_examples
from tfpipe.data.batches import plan_training, read_batches
from tfpipe.data.examples import Examples
from tfpipe.data.replicas import compile_for
from tfpipe.model.presets import make_tiny
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.embed.task import Embed
from tfpipe.training.dropout_seeds import seed_dropout
from tfpipe.training.objective import WholeBatchLoss
from tfpipe.training.strategy import make_strategy
from tfpipe.training.train_step import TrainStep

TASK = Embed()
WORDS = ["card", "shoe", "lamp", "phone", "house", "train", "red", "blue", "where", "is"]


@functools.cache
def strategy_of(name: str) -> tf.distribute.Strategy:
    """One strategy a process, see test_train_step."""
    return make_strategy(name, 0)[0]


def make_data(kind: str, rows: int = 22) -> Examples:
    random = np.random.default_rng(3)
    texts = [" ".join(random.choice(WORDS, random.integers(2, 7))) for _ in range(2 * rows)]
    if kind == "labels":
        return make_examples(texts[:rows], [*map(str, random.integers(0, 4, rows))])
    grades = [f"{grade}.5" for grade in random.integers(0, 5, rows)] if kind == "graded" else None
    return make_examples(texts[:rows], grades, texts[rows:])


def train(kind: str, strategy_name: str, parts: int, dropout: float = 0.0) -> np.ndarray:
    """All weights, in one row, after two epochs of batches of 8 by gradient descent."""
    examples, strategy = make_data(kind), strategy_of(strategy_name)
    tf_keras.utils.set_random_seed(7)
    with strategy.scope():
        model = make_tiny((), WORDS, dropout, replace(TASK.head, pooling="mean"))
        sgd = tf_keras.optimizers.legacy.SGD(0.05)
    labelled = TASK.label(examples, model.tokenizer, 12)
    lengths, together = labelled.encoded.lengths, labelled.together
    of_groups = lengths.reshape(-1, together).max(axis=1)
    replicas = strategy.num_replicas_in_sync
    seeds = seed_dropout(model, 1, sgd.iterations) if dropout else None
    step = TrainStep(
        *(strategy, model, sgd, WholeBatchLoss(TASK)), parts=parts, together=together, seeds=seeds
    )
    compiled = None
    for epoch in range(2):
        # 22 examples in batches of 8: the last has empty places.
        plan = plan_training(of_groups, 8, replicas, parts, (1, epoch))
        plan = plan.of_inputs(lengths, together)
        assert sum(map(plan.examples, range(len(plan)))) == len(examples)
        batches = read_batches(labelled.encoded, plan, strategy, labelled.targets)
        compiled = compiled or compile_for(batches, step)
        for batch in batches:
            assert float(compiled(batch)["loss"]) > 0
    return np.concatenate([weight.numpy().ravel() for weight in model.weights])


@pytest.mark.parametrize(
    ("kind", "strategy", "parts"),
    [
        ("pairs", "mirrored", 1),
        pytest.param("pairs", "mirrored", 2, marks=pytest.mark.slow),
        pytest.param("pairs", "one_device", 4, marks=pytest.mark.slow),
        pytest.param("graded", "mirrored", 2, marks=pytest.mark.slow),
        pytest.param("labels", "mirrored", 2, marks=pytest.mark.slow),
        pytest.param("graded", "one_device", 2, marks=pytest.mark.slow),
    ],
)
def test_replicas_and_parts_are_one_batch(kind: str, strategy: str, parts: int) -> None:
    found, expected = train(kind, strategy, parts), whole(kind)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@functools.cache
def whole(kind: str) -> np.ndarray:
    return train(kind, "one_device", 1)


def test_parts_drop_the_same_in_both_passes() -> None:
    """The gradient is that of one pass over all parts that drops as the cached one does."""
    examples = make_data("pairs", 8)
    model = make_tiny((), WORDS, 0.4, replace(TASK.head, pooling="mean"))
    labelled = TASK.label(examples, model.tokenizer, 12)
    plan = plan_training(labelled.encoded.lengths[::2], 8, 1, 2, (1, 0))
    plan = plan.of_inputs(labelled.encoded.lengths, 2)
    strategy = tf.distribute.get_strategy()
    batch = next(iter(read_batches(labelled.encoded, plan, strategy, labelled.targets)))
    seeds = seed_dropout(model, 1, tf.Variable(5, dtype=tf.int64))
    loss = WholeBatchLoss(TASK)
    step = TrainStep(strategy, model, None, loss, parts=2, together=2, seeds=seeds)
    gradients = tf.function(lambda: _dense(step._sum_parts(batch)[0]))()
    expected = tf.function(lambda: _at_once(step, model, batch))()
    for one, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def _at_once(step: TrainStep, model: TextModel, batch: Any) -> list[tf.Tensor]:
    parts = [{name: tf.split(value, 2)[i] for name, value in batch.items()} for i in range(2)]
    with tf.GradientTape() as tape:
        outputs = tf.concat([step._forward(part) for part in parts], 0)
        loss = tf.reduce_sum(TASK.loss(outputs, batch) * batch["weight"])
    return _dense(tape.gradient(loss, model.trainable_variables))


def _dense(gradients: list[Any]) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(gradient) for gradient in gradients]

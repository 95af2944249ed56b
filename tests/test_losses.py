"""Every loss against its formula in numpy, and its gradient against differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.losses import LossSettings, cross_entropy, focal, symmetric_divergence
from tfpipe.training.losses import RDropLoss, make_loss
from tfpipe.training.objective import TaskLoss

RANDOM = np.random.default_rng(3)
LOGITS = RANDOM.normal(size=(7, 5), scale=3)
OTHER = RANDOM.normal(size=(7, 5), scale=3)
GOLD = RANDOM.integers(0, 5, 7).astype(np.int32)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def check_gradient(loss: Callable[[tf.Tensor], tf.Tensor]) -> None:
    """The gradient of the summed loss against central differences, in float32."""
    point = tf.constant(LOGITS, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(point)
        total = tf.reduce_sum(loss(point))
    found = tape.gradient(total, point).numpy()
    for row, column in [(0, 0), (3, 4), (6, 2), (int(GOLD[1] == 0), int(GOLD[1]))]:
        nudge = np.zeros_like(LOGITS)
        nudge[row, column] = 1e-2
        up, down = (
            loss(tf.constant(LOGITS + sign * nudge, tf.float32)).numpy()[row] for sign in (1, -1)
        )
        assert found[row, column] == pytest.approx((up - down) / 2e-2, abs=2e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_cross_entropy_with_smoothing(smoothing: float) -> None:
    target = np.full((7, 5), smoothing / 5)
    target[np.arange(7), GOLD] += 1 - smoothing
    expected = -(target * log_softmax(LOGITS)).sum(axis=1)
    found = cross_entropy(tf.constant(LOGITS, tf.float32), tf.constant(GOLD), smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    check_gradient(lambda logits: cross_entropy(logits, tf.constant(GOLD), smoothing))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal(gamma: float) -> None:
    log_p = log_softmax(LOGITS)[np.arange(7), GOLD]
    expected = (1 - np.exp(log_p)) ** gamma * -log_p
    found = focal(tf.constant(LOGITS, tf.float32), tf.constant(GOLD), gamma)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    check_gradient(lambda logits: focal(logits, tf.constant(GOLD), gamma))


def test_focal_stays_finite_where_the_answer_is_sure() -> None:
    logits = tf.Variable([[200.0, 0.0], [0.0, 200.0]])
    for gamma in (0.5, 1.0, 2.0):
        with tf.GradientTape() as tape:
            loss = focal(logits, tf.constant([0, 0]), gamma)
        assert np.isfinite(loss).all() and np.isfinite(tape.gradient(loss, logits)).all()
        np.testing.assert_allclose(loss, [0, 200])


def test_symmetric_divergence() -> None:
    p, q = log_softmax(LOGITS), log_softmax(OTHER)
    forward = (np.exp(p) * (p - q)).sum(axis=1)
    backward = (np.exp(q) * (q - p)).sum(axis=1)
    one, other = tf.constant(LOGITS, tf.float32), tf.constant(OTHER, tf.float32)
    found = symmetric_divergence(one, other)
    np.testing.assert_allclose(found, (forward + backward) / 2, rtol=1e-4)
    np.testing.assert_allclose(symmetric_divergence(other, one), found, rtol=1e-5)
    np.testing.assert_array_equal(symmetric_divergence(one, one), 0)
    check_gradient(lambda logits: symmetric_divergence(logits, other))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_losses_of_small_types_are_float32(dtype: tf.DType) -> None:
    logits, gold = tf.cast(LOGITS, dtype), tf.constant(GOLD)
    for loss in (
        cross_entropy(logits, gold, 0.1),
        focal(logits, gold, 2.0),
        symmetric_divergence(logits, tf.cast(OTHER, dtype)),
    ):
        assert loss.dtype == tf.float32 and np.isfinite(loss).all()


def test_the_objective_reaches_the_task() -> None:
    task = Classify(list("abcde"))
    logits, gold = tf.constant(LOGITS, tf.float32), tf.constant(GOLD)
    batch = {"label": gold, "weight": tf.ones(len(GOLD))}

    def trained(config: TrainConfig) -> np.ndarray:
        loss = make_loss(config, task)
        assert isinstance(loss, TaskLoss)
        np.testing.assert_allclose(
            loss(lambda _: logits, batch),
            tf.reduce_sum(task.training_loss(logits, batch, loss.settings)),
            rtol=1e-6,
        )
        return task.training_loss(logits, batch, loss.settings).numpy()

    plain = task.loss(logits, batch)
    np.testing.assert_array_equal(trained(TrainConfig()), plain)
    np.testing.assert_array_equal(
        trained(TrainConfig(loss="focal", focal_gamma=3.0)), focal(logits, gold, 3.0)
    )
    np.testing.assert_array_equal(
        trained(TrainConfig(label_smoothing=0.2)), cross_entropy(logits, gold, 0.2)
    )
    r_drop = make_loss(TrainConfig(r_drop=0.5, label_smoothing=0.1), task)
    assert r_drop == RDropLoss(task, LossSettings(label_smoothing=0.1), 0.5)


def test_class_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    gold = np.array([0, 0, 0, 1, 1, 2], np.int32)
    weights = Classify(["a", "b", "c"]).balanced_weights({"label": gold})
    np.testing.assert_allclose(weights, compute_sample_weight("balanced", gold), rtol=1e-6)
    assert weights.dtype == np.float32

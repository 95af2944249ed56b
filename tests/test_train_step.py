"""One step means the same on one replica, on two, and in parts."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.support.data import write_messages
from tfpipe.config import TrainConfig
from tfpipe.data.batches import plan_training, read_batches
from tfpipe.data.encoded import encode
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples
from tfpipe.data.replicas import compile_for
from tfpipe.model.presets import make_tiny
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.losses import LossSettings
from tfpipe.training.defaults import default_epochs, default_rate
from tfpipe.training.ema import ExponentialMovingAverage
from tfpipe.training.losses import RDropLoss
from tfpipe.training.objective import TaskLoss
from tfpipe.training.optimizer import make_optimizer
from tfpipe.training.precision import LossScale
from tfpipe.training.schedules import LinearWarmupDecay
from tfpipe.training.strategy import make_strategy
from tfpipe.training.train_step import TrainStep
from tfpipe.training_run import configure_layers

STEPS = 20


@functools.cache
def strategy_of(name: str) -> tf.distribute.Strategy:
    """One strategy a process: a second MirroredStrategy would number its collectives from the
    start again, and meet those of the first, of other shapes."""
    return make_strategy(name, 0)[0]


def train_steps(
    folder: Path, strategy_name: str, parts: int, weight: float = 3.0, compiles: bool = True
) -> np.ndarray:
    """All weights, in one row, after 20 steps without dropout; the first label weighs more."""
    examples = read_examples(write_messages(folder / "messages.tsv", rows=150), Columns())
    task = Classify.from_labels(examples.labels or [])
    gold = task.gold(examples)
    weights = np.where(gold == 0, weight, 1.0)
    strategy = strategy_of(strategy_name)
    tf_keras.utils.set_random_seed(7)
    with strategy.scope():
        model = make_tiny(task.label_names, examples.texts, dropout=0.0)
        optimizer = make_optimizer(LinearWarmupDecay(1e-4, 2, STEPS), 0.01, model)
    encoded = encode(examples, model.tokenizer, 16)
    # 150 rows in batches of 15: no batch divides evenly over 2 replicas or 4 parts.
    plans = [
        plan_training(encoded.lengths, 15, strategy.num_replicas_in_sync, parts, (1, epoch))
        for epoch in range(2)
    ]
    step = TrainStep(strategy, model, optimizer, TaskLoss(task), parts=parts)
    compiled = None if compiles else step
    for plan in plans:
        batches = read_batches(encoded, plan, strategy, {"label": gold}, weights)
        compiled = compiled or compile_for(batches, step)
        for batch in batches:
            results = compiled(batch)
            assert np.isfinite(results["loss"]) and results["gradient_norm"] > 0
    assert int(optimizer.iterations.numpy()) == STEPS
    # A bias on the keys shifts all scores of a query alike: its gradient is zero but for rounding,
    # and Adam would blow the rounding up.
    kept = [weight for weight in model.bert.weights if "key/bias" not in weight.name]
    return np.concatenate([weight.numpy().ravel() for weight in kept])


@pytest.fixture(scope="module")
def one_replica(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return train_steps(tmp_path_factory.mktemp("one"), "one_device", 1)


# Whole runs are held against each other in test_equality.py.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "parts"), [("mirrored", 1), ("one_device", 2), ("one_device", 4)]
)
def test_replicas_and_parts_give_equal_weights(
    one_replica: np.ndarray, tmp_path: Path, strategy: str, parts: int
) -> None:
    found = train_steps(tmp_path, strategy, parts)
    np.testing.assert_allclose(found, one_replica, atol=1e-5)


@pytest.mark.slow
def test_weights_of_examples_count(one_replica: np.ndarray, tmp_path: Path) -> None:
    unweighted = train_steps(tmp_path, "one_device", 1, weight=1.0, compiles=False)
    assert np.abs(unweighted - one_replica).max() > 1e-4


def test_default_rate_falls_with_width() -> None:
    assert default_rate(768) == pytest.approx(5e-5) and default_rate(384) == 3e-4
    # Between two widths on a line of logarithms.
    assert default_rate(543) == pytest.approx((3e-4 * 5e-5) ** 0.5, rel=2e-3)
    assert default_rate(384, "multilingual") == 1e-4 and default_rate(384, "starter") == 3e-4
    assert default_rate(384, "starter", "lora") == 1.5e-3
    assert default_rate(1024) < default_rate(768) < default_rate(384) < default_rate(64) <= 3e-3


def test_small_files_get_more_epochs() -> None:
    assert [default_epochs(steps) for steps in (1, 59, 100, 5000)] == [10, 7, 4, 4]


# ---- one step against the gradient of the mean loss -----------------------------------------

TASK = Classify(["a", "b", "c"])
UNEVEN = [5.0, 0.5, 3.0, 0.0, 0.0, 0.0, 0.25, 1.0, 9.0, 0.0, 2.0, 1.0]


def make_model(dropout: float = 0.0) -> TextModel:
    tf_keras.utils.set_random_seed(11)
    return make_tiny(TASK.label_names, ["some words and more"], dropout=dropout)


def make_batch(weights: list[float]) -> dict[str, tf.Tensor]:
    random = np.random.default_rng(2)
    shape = (len(weights), 6)
    lengths = random.integers(2, 7, len(weights))
    return {
        "input_ids": tf.constant(random.integers(0, 8, shape), tf.int32),
        "token_type_ids": tf.zeros(shape, tf.int32),
        "attention_mask": tf.sequence_mask(lengths, 6, tf.int32),
        "label": tf.constant(random.integers(0, 3, len(weights)), tf.int32),
        "weight": tf.constant(weights),
    }


def one_step(model: TextModel, batch: Any, loss: Any = TaskLoss(TASK), **more: Any):  # noqa: B008
    """Loss, gradient norm, and the step's gradient: what SGD at a rate of 1 took away."""
    before = [v.numpy() for v in model.bert.trainable_variables]
    strategy = tf.distribute.get_strategy()
    sgd = tf_keras.optimizers.legacy.SGD(1.0)
    step = TrainStep(strategy, model, sgd, loss, **({"clip_norm": 1e9} | more))
    results = step(batch)
    after = [v.numpy() for v in model.bert.trainable_variables]
    moved = [old - new for old, new in zip(before, after, strict=True)]
    return float(results["loss"]), float(results["gradient_norm"]), moved


def mean_gradient(model: TextModel, batch: Any, l2: float = 0.0) -> tuple[float, list[np.ndarray]]:
    """The weighted mean loss, and its gradient with the penalty's, taken at once."""
    variables = model.bert.trainable_variables
    with tf.GradientTape() as tape:
        losses = TASK.loss(model.logits(batch), batch)
        loss = tf.reduce_sum(losses * batch["weight"]) / tf.reduce_sum(batch["weight"])
        names = ("kernel", "embeddings/weight", "embeddings/embeddings")
        squares = [
            tf.nn.l2_loss(v)
            for v in variables
            if any(name in v.name.replace("word_embeddings", "embeddings") for name in names)
        ]
        target = loss + l2 * tf.add_n(squares)
    return float(loss), [tf.convert_to_tensor(g).numpy() for g in tape.gradient(target, variables)]


@pytest.mark.parametrize("parts", [1, 3, 4])
def test_uneven_weights_are_divided_by_once(parts: int) -> None:
    # In four parts one of them weighs nothing at all: a mean of means would be far off.
    batch = make_batch(UNEVEN)
    expected_loss, expected = mean_gradient(make_model(), batch)
    loss, norm, found = one_step(make_model(), batch, parts=parts)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in expected)), rel=1e-4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("parts", [1, 4])
def test_clipped_once_by_the_norm_of_the_whole(parts: int) -> None:
    batch = make_batch(UNEVEN)
    _, expected = mean_gradient(make_model(), batch)
    _, norm, found = one_step(make_model(), batch, parts=parts, clip_norm=0.01)
    assert norm > 0.1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other * 0.01 / norm, atol=1e-7)


@pytest.mark.parametrize("parts", [1, 3])
def test_l2_is_in_the_gradient_and_not_in_the_loss(parts: int) -> None:
    batch = make_batch(UNEVEN)
    expected_loss, expected = mean_gradient(make_model(), batch, l2=0.3)
    loss, norm, found = one_step(make_model(), batch, parts=parts, l2=0.3)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in expected)), rel=1e-4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_r_drop_without_dropout_is_the_plain_loss() -> None:
    batch = make_batch(UNEVEN)
    plain = one_step(make_model(), batch)
    for parts in (1, 3):
        twice = one_step(make_model(), batch, RDropLoss(TASK, LossSettings(), 5.0), parts=parts)
        assert twice[:2] == pytest.approx(plain[:2], rel=1e-4)
        for one, other in zip(twice[2], plain[2], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_r_drop_weighs_the_divergence_of_two_passes() -> None:
    batch = make_batch(UNEVEN)
    losses = []
    for weight in (1e-9, 1.0, 2.0):
        # Equal seeds and equal graphs: equal dropout.
        losses.append(one_step(make_model(0.3), batch, RDropLoss(TASK, LossSettings(), weight))[0])
    assert losses[1] > losses[0] + 1e-3
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-2)


def test_focal_and_smoothing_reach_the_gradient() -> None:
    batch = make_batch(UNEVEN)
    plain = one_step(make_model(), batch)[0]
    weight = batch["weight"]
    logits = make_model().logits(batch)
    for settings in (LossSettings(focal_gamma=2.0), LossSettings(label_smoothing=0.3)):
        expected = tf.reduce_sum(TASK.training_loss(logits, batch, settings) * weight)
        found = one_step(make_model(), batch, TaskLoss(TASK, settings), parts=3)[0]
        assert found == pytest.approx(float(expected / tf.reduce_sum(weight)), rel=1e-5)
        assert abs(found - plain) > 1e-3


def test_frozen_layers_stay_to_the_bit() -> None:
    model = make_model()
    configure_layers(model, TrainConfig(freeze_layers=1))
    before = {v.name: v.numpy() for v in model.bert.weights}
    one_step(model, make_batch(UNEVEN))
    for variable in model.bert.weights:
        same = (variable.numpy() == before[variable.name]).all()
        frozen = "embeddings" in variable.name or "layer_._0" in variable.name
        # The last layer's key bias has a gradient of zero but for rounding.
        assert same == frozen or "key/bias" in variable.name, variable.name


# ---- loss scale and averages ----------------------------------------------------------------


def test_a_loss_scale_changes_no_bit_and_skips_what_overflows() -> None:
    batch = make_batch(UNEVEN)
    plain = one_step(make_model(), batch, clip_norm=0.5)
    scale = LossScale(start=2.0**15, patience=2)
    scaled = one_step(make_model(), batch, clip_norm=0.5, loss_scale=scale)
    assert scaled[:2] == plain[:2]
    for one, other in zip(scaled[2], plain[2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert float(scale.value) == 2.0**15 and int(scale.good_steps) == 1
    one_step(make_model(), batch, loss_scale=scale)
    assert float(scale.value) == 2.0**16 and int(scale.good_steps) == 0

    scale = LossScale(start=2.0**126)
    model = make_model()
    average = ExponentialMovingAverage(model.bert.trainable_variables, 0.5)
    loss, norm, moved = one_step(model, batch, loss_scale=scale, average=average)
    assert np.isfinite(loss) and not np.isfinite(norm)
    assert all((change == 0).all() for change in moved) and int(average.updates) == 0
    assert float(scale.value) == 2.0**125 and int(scale.good_steps) == 0


@pytest.mark.parametrize("name", [pytest.param("one_device", marks=pytest.mark.slow), "mirrored"])
def test_scale_and_average_under_a_strategy(name: str) -> None:
    strategy = strategy_of(name)
    with strategy.scope():
        model = make_model()
        # Pooler and head are enough, and soon compiled.
        configure_layers(model, TrainConfig(freeze_layers=2))
        optimizer = make_optimizer(LinearWarmupDecay(1e-2, 1, 10), 0.01, model)
        scale = LossScale(start=2.0**64)
        variables = model.bert.trainable_variables
        average = ExponentialMovingAverage(variables, 0.9)
    step = tf.function(
        TrainStep(strategy, model, optimizer, TaskLoss(TASK), loss_scale=scale, average=average)
    )
    # The end of a tuned iterator waits for its tuning thread, up to a minute.
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = tf.data.Dataset.from_tensors(make_batch(UNEVEN)).repeat(24).with_options(options)
    data = strategy.distribute_datasets_from_function(lambda context: batches)
    head = next(v for v in variables if "classifier/kernel" in v.name)
    place = [v is head for v in variables].index(True)
    expected = head.numpy()
    for _, batch in zip(range(12), data, strict=False):
        results = step(batch)
        taken = int(average.updates.numpy())
        if np.isfinite(results["gradient_norm"]):
            decay = min(0.9, taken / (9 + taken))
            expected = decay * expected + (1 - decay) * head.numpy()
    assert 0 < taken < 12 and int(optimizer.iterations.numpy()) == taken
    assert float(scale.value.numpy()) == 2.0 ** (64 - (12 - taken))
    np.testing.assert_allclose(average.averages[place].numpy(), expected, atol=1e-6)

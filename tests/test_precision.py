"""bfloat16 and float16: what stays float32, masks that hide padding, a scale that is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfpipe.errors import UserError
from tfpipe.model.presets import make_tiny
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.classify.task import Classify
from tfpipe.training.objective import TaskLoss
from tfpipe.training.optimizer import make_optimizer
from tfpipe.training.precision import LossScale, choose_precision
from tfpipe.training.schedules import LinearWarmupDecay
from tfpipe.training.train_step import TrainStep

TEXTS = ["one two three four", "five six seven eight"]


def make_model(precision: str) -> TextModel:
    tf_keras.utils.set_random_seed(3)
    return replace(make_tiny(["a", "b"], TEXTS, dropout=0.0), precision=precision)


def make_batch(width: int) -> dict[str, tf.Tensor]:
    """Two inputs of five tokens, padded to `width`."""
    ids = np.zeros((2, width), np.int32)
    ids[:, :5] = [[2, 5, 6, 7, 3], [2, 8, 9, 10, 3]]
    return {
        "input_ids": tf.constant(ids),
        "token_type_ids": tf.zeros_like(ids),
        "attention_mask": tf.sequence_mask([5, 5], width, tf.int32),
        "label": tf.constant([0, 1]),
        "weight": tf.ones(2),
    }


def types_of(model: TextModel, kind: str) -> list[tf.DType]:
    """What the operations of a kind give, in the graph of a forward pass."""
    graph = tf.function(lambda: model.logits(make_batch(5))).get_concrete_function().graph
    return [op.outputs[0].dtype for op in graph.get_operations() if op.type == kind]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_small_types_compute_and_float32_is_kept_where_it_matters(precision: str) -> None:
    model = make_model(precision)
    assert {weight.dtype for weight in model.bert.weights} == {tf.float32}
    products, sums = types_of(model, "MatMul"), types_of(model, "Softmax")
    # Pooler and head are the two products that stay.
    assert products.count(tf.float32) == 2 and products.count(precision) == len(products) - 2 > 4
    assert set(sums) == set(types_of(model, "Rsqrt")) == {tf.float32}
    logits = model.logits(make_batch(5))
    assert logits.dtype == tf.float32
    exact = make_model("float32").logits(make_batch(5))
    difference = np.abs(logits - exact).max()
    assert 0 < difference < (0.05 if precision == "bfloat16" else 0.005)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_padding_says_nothing(precision: str) -> None:
    """The mask's -10,000 is within the range of every type, and far below every score."""
    model = make_model(precision)
    short, long = (model.logits(make_batch(width)) for width in (5, 64))
    assert np.isfinite(long).all()
    atol = {"float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}[precision]
    np.testing.assert_allclose(long, short, atol=atol)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_training_learns(precision: str) -> None:
    model = make_model(precision)
    optimizer = make_optimizer(LinearWarmupDecay(3e-3, 1, 30), 0.01, model)
    scale = LossScale() if precision == "float16" else None
    strategy = tf.distribute.get_strategy()
    task = Classify(["a", "b"])
    step = tf.function(TrainStep(strategy, model, optimizer, TaskLoss(task), loss_scale=scale))
    losses = [float(step(make_batch(8))["loss"]) for _ in range(10)]
    assert losses[-1] < 0.5 * losses[0]
    assert all(np.isfinite(weight.numpy()).all() for weight in model.bert.weights)


def test_the_scale_is_kept_in_a_checkpoint(tmp_path: Path) -> None:
    scale = LossScale()
    for finite in (False, True, True, False, True):
        scale.update(tf.constant(finite))
    path = tf.train.Checkpoint(scale=scale).save(str(tmp_path / "state"))
    other = LossScale()
    tf.train.Checkpoint(scale=other).restore(path).assert_consumed()
    assert float(other.value) == 2.0**13 and int(other.good_steps) == 1


def test_the_scale_has_bounds() -> None:
    low, high = LossScale(start=1.0), LossScale(start=2.0**24, patience=1)
    low.update(tf.constant(False))
    high.update(tf.constant(True))
    assert float(low.value) == 1.0 and float(high.value) == 2.0**24


def test_auto_takes_what_the_processor_has() -> None:
    model = make_model("float32")
    features = Path("/proc/cpuinfo")
    has = features.is_file() and "avx512_bf16" in features.read_text(encoding="utf-8")
    if not tf.config.list_physical_devices("GPU"):
        assert choose_precision("auto", model) == ("bfloat16" if has else "float32")
    assert choose_precision("float16", model) == "float16"


def test_a_model_that_only_stock_computes_stays_float32() -> None:
    model = make_model("float32")
    model.bert.config.hidden_act = "mish"
    assert choose_precision("auto", model) == "float32"
    with pytest.raises(UserError, match="--precision bfloat16"):
        choose_precision("bfloat16", model)

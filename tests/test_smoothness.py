"""`--smoothness` and `--mixout`: what they compute in a step, and that a resumed run repeats it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs import tiny_config
from tests.test_train_step import TASK, UNEVEN, make_batch, make_model, one_step
from tfpipe.config import TrainConfig, build
from tfpipe.errors import Interrupted, UserError
from tfpipe.tasks.losses import LossSettings
from tfpipe.tasks.regress.task import Regress
from tfpipe.train import train
from tfpipe.training.losses import RDropLoss, SmoothLoss, make_loss
from tfpipe.training.objective import DELTA

WIDTH = 64
LOSS = SmoothLoss(TASK, LossSettings(), 1.0, 0.5, WIDTH)


def seeds() -> Any:
    numbers = itertools.count()
    return lambda: tf.constant([next(numbers), 5], tf.int32)


def test_the_move_changes_the_output_more_than_others_do() -> None:
    model, batch = make_model(), make_batch([1.0] * 6)
    plain = model.logits(batch)
    move = LOSS._find_move(model.logits, batch, plain)
    norms = tf.norm(move, axis=[1, 2]).numpy()
    np.testing.assert_allclose(norms, 0.5, rtol=1e-5)

    def change(delta: tf.Tensor) -> np.ndarray:
        return TASK.divergence(model.logits(batch | {DELTA: delta}), plain, batch).numpy()

    found = change(move)
    for seed in range(3):
        other = tf.random.stateless_normal(move.shape, [seed, 1])
        other *= tf.cast(batch["attention_mask"], tf.float32)[:, :, tf.newaxis]
        assert np.all(found > 2 * change(0.5 * other / tf.norm(other, axis=[1, 2], keepdims=True)))


def test_its_weight_and_its_gradient() -> None:
    batch = make_batch(UNEVEN)
    plain = one_step(make_model(), batch)
    losses = [one_step(make_model(), batch, replace(LOSS, strength=s))[0] for s in (0.0, 1.0, 2.0)]
    assert losses[0] == pytest.approx(plain[0], rel=1e-6) and losses[1] > losses[0] * 1.001
    assert losses[2] - losses[0] == pytest.approx(2 * (losses[1] - losses[0]), rel=1e-4)
    strong = replace(LOSS, strength=5.0)
    whole, parts = (one_step(make_model(), batch, strong, parts=number) for number in (1, 3))
    assert parts[0] == pytest.approx(whole[0], rel=1e-5)
    apart = 0.0
    for one, other, without in zip(parts[2], whole[2], plain[2], strict=True):
        np.testing.assert_allclose(one, other, atol=5e-6)
        apart = max(apart, float(np.abs(other - without).max()))
    assert apart > 1e-4


def test_of_numbers_it_is_the_squared_difference() -> None:
    task, one, other = Regress(1.0, 2.0), tf.constant([[1.0], [3.0]]), tf.constant([[1.5], [1.0]])
    np.testing.assert_allclose(task.divergence(one, other, {}), [0.25, 4.0])


def test_the_settings_reach_the_loss() -> None:
    config = build(TrainConfig, {"smoothness": 2.0, "adversarial_norm": 0.3})
    assert make_loss(config, TASK, WIDTH) == replace(LOSS, strength=2.0, norm=0.3)
    assert isinstance(make_loss(TrainConfig(r_drop=1.0), TASK), RDropLoss)


def test_mixout_gives_pretrained_weights_and_keeps_the_mean() -> None:
    model = make_model().with_mixout(0.7)
    assert model.mixout is not None
    (dense,) = [v for v in model.weights if "layer_._0/intermediate/dense/kernel" in v.name]
    before = dense.numpy()
    dense.assign_add(tf.ones_like(dense))
    mix, trained = model.mixout.transform(seeds()), dense.numpy()
    found = mix("layer0/intermediate", dense).numpy()
    drawn = np.isclose(found, before, atol=1e-5)
    assert drawn.mean() == pytest.approx(0.7, abs=0.02)
    np.testing.assert_allclose(found[~drawn], ((trained - 0.7 * before) / 0.3)[~drawn], rtol=1e-4)
    many = np.mean([mix("layer0/intermediate", dense).numpy() for _ in range(200)], 0)
    assert np.abs(many - trained).mean() < 0.1
    # The head is new: it has no pretrained weights.
    assert mix("head", dense) is dense


def test_mixout_is_of_training_alone_and_of_changed_weights() -> None:
    batch = make_batch([1.0] * 6)
    model = make_model().with_mixout(0.5)
    plain = make_model().logits(batch).numpy()
    np.testing.assert_allclose(model.logits(batch, True, seeds()), plain, atol=1e-5)
    for variable in model.trainable_variables:
        variable.assign(variable * 1.5)
    evaluated = model.logits(batch).numpy()
    np.testing.assert_array_equal(replace(model, mixout=None).logits(batch), evaluated)
    assert np.abs(model.logits(batch, True, seeds()).numpy() - evaluated).max() > 1e-3


def test_a_resumed_run_is_bit_equal(tmp_path: Path) -> None:
    values: dict[str, Any] = {"smoothness": 1.0, "mixout": 0.5, "epochs": 2, "adversarial": "fgm"}
    whole = train(tiny_config(tmp_path, **values))
    stopped = tiny_config(tmp_path, **values, output=str(tmp_path / "again"), stop_after=1)
    with pytest.raises(Interrupted):
        train(stopped)
    again = train(TrainConfig(resume=True, output=stopped.output))
    name = "model/model.safetensors"
    assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"smoothness": 1.0, "r_drop": 1.0}, "--r-drop and --smoothness exclude each other"),
        ({"mixout": 0.5, "adapter": "lora"}, "--mixout and --adapter exclude each other"),
        ({"mixout": 0.5, "few_shot": True}, "--mixout and --few-shot exclude each other"),
        ({"mixout": 1.0}, "--mixout is out of range"),
        ({"smoothness": -1.0}, "--smoothness is out of range"),
        ({"task": "embed", "smoothness": 1.0}, "--task embed has no --smoothness"),
    ],
)
def test_settings_that_are_refused(values: dict[str, object], wrong: str) -> None:
    with pytest.raises(UserError) as raised:
        build(TrainConfig, values)
    assert raised.value.wrong.startswith(wrong)

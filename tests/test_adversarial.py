"""Adversarial training: what its rule computes, on replicas, in parts and with a loss scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.test_train_step import TASK, UNEVEN, make_batch, make_model, one_step
from tfpipe.config import TrainConfig, build
from tfpipe.errors import UserError
from tfpipe.training.adversarial import Adversarial, make_rule
from tfpipe.training.objective import DELTA, Differentiable, TaskLoss, backpropagate

WIDTH = 64


def dense(gradients: Sequence[Any]) -> list[np.ndarray]:
    return [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def rule_of(**values: object) -> Any:
    return make_rule(build(TrainConfig, values), WIDTH)


def loss_of(model: Any, scale: float | None = None) -> Differentiable:
    factor = None if scale is None else tf.constant(scale)
    return Differentiable(lambda part: TaskLoss(TASK)(model.logits, part), factor)


def test_fgm_is_the_mean_of_two_gradients() -> None:
    model, batch = make_model(), make_batch(UNEVEN)
    loss, variables = loss_of(model), model.trainable_variables
    delta = tf.zeros([*batch["input_ids"].shape, WIDTH])
    value, (slope, *plain) = loss.gradients(batch | {DELTA: delta}, [delta, *variables])
    norms = tf.norm(slope, axis=[1, 2], keepdims=True)
    moved = tf.math.divide_no_nan(0.7 * slope, norms)
    higher, attacked = loss.gradients(batch | {DELTA: moved}, variables)
    assert float(higher) > float(value)
    rule = rule_of(adversarial="fgm", adversarial_norm=0.7)
    for scale in (None, 1024.0):
        found, gradients = rule(loss_of(model, scale), batch, variables)
        assert float(found) == pytest.approx(float(value), rel=1e-6)
        for one, first, second in zip(*map(dense, (gradients, plain, attacked)), strict=True):
            np.testing.assert_allclose(one / (scale or 1.0), (first + second) / 2, atol=2e-6)


@pytest.mark.parametrize("method", ["pgd", "freelb"])
def test_moves_stay_within_the_norm_and_raise_the_loss(method: str) -> None:
    model, batch = make_model(), make_batch([1.0] * 6)
    seen: list[tf.Tensor] = []

    def function(part: Any) -> tf.Tensor:
        seen.append(part[DELTA])
        return TaskLoss(TASK)(model.logits, part)

    rule = rule_of(adversarial=method, adversarial_steps=4, adversarial_norm=0.5)
    rule(Differentiable(function), batch, model.trainable_variables)
    assert len(seen) == (5 if method == "pgd" else 4)
    norms = [tf.norm(delta, axis=[1, 2]).numpy() for delta in seen]
    assert not norms[0].any() and all((norm <= 0.5 + 1e-6).all() for norm in norms)
    assert np.all(norms[-1] > 0.3)
    losses = [float(TaskLoss(TASK)(model.logits, batch | {DELTA: delta})) for delta in seen]
    assert losses[-1] > losses[0] * 1.01
    assert sum(rule.shares) == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["fgm", "pgd", "freelb"])
def test_parts_give_the_step_of_the_whole_batch(method: str) -> None:
    batch = make_batch(UNEVEN)
    rule = rule_of(adversarial=method)
    whole = one_step(make_model(), batch, rule=rule)
    parts = one_step(make_model(), batch, rule=rule, parts=3)
    plain = one_step(make_model(), batch)
    assert parts[0] == pytest.approx(whole[0], rel=1e-5)
    assert whole[0] == pytest.approx(plain[0], rel=1e-5)
    apart = 0.0
    for one, other, without in zip(parts[2], whole[2], plain[2], strict=True):
        np.testing.assert_allclose(one, other, atol=5e-6)
        apart = max(apart, float(np.abs(other - without).max()))
    assert apart > 1e-4


def test_an_empty_place_of_a_batch_stays() -> None:
    model, batch = make_model(), make_batch([1.0, 0.0, 1.0, 0.0])
    rule = replace(rule_of(adversarial="pgd"), norm=1.0)
    assert isinstance(rule, Adversarial)
    found, gradients = rule(loss_of(model), batch, model.trainable_variables)
    assert np.isfinite(float(found)) and all(np.isfinite(one).all() for one in dense(gradients))


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"adversarial_steps": 5}, "--adversarial-steps has no effect without --adversarial pgd"),
        (
            {"adversarial": "fgm", "adversarial_steps": 5},
            "--adversarial-steps has no effect without --adversarial pgd",
        ),
        ({"adversarial_norm": 2.0}, "--adversarial-norm has no effect without"),
        ({"adversarial": "fgsm"}, "--adversarial"),
        ({"task": "embed", "adversarial": "fgm"}, "--task embed has no --adversarial"),
    ],
)
def test_settings_that_are_refused(values: dict[str, object], wrong: str) -> None:
    with pytest.raises(UserError) as raised:
        build(TrainConfig, values)
    assert wrong in raised.value.wrong
    assert rule_of() is backpropagate

"""The seams of the training step: methods that bring a loss or a gradient rule and change no step.

Each method here is written as an extension would write it, in this file alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.test_train_step import TASK, UNEVEN, make_batch, make_model, one_step
from tfpipe.data.batches import plan_training, read_batches
from tfpipe.data.encoded import encode
from tfpipe.data.examples import Columns, Examples
from tfpipe.model.presets import make_tiny
from tfpipe.tasks.task import Batch
from tfpipe.training.gradients import Gradient
from tfpipe.training.objective import Differentiable, ForwardPass, TaskLoss


@dataclass(frozen=True)
class FastGradientMethod:
    """Adversarial training. Source: Miyato et al. 2017 (https://arxiv.org/abs/1605.07725)."""

    epsilon: float
    hidden: int = 64

    def __call__(
        self, loss: Differentiable, batch: Batch, variables: Sequence[tf.Variable]
    ) -> tuple[tf.Tensor, list[Gradient]]:
        shape = tf.concat([tf.shape(batch["input_ids"]), [self.hidden]], 0)
        delta = tf.zeros(shape)
        value, found = loss.gradients(batch | {"embedding_delta": delta}, [delta, *variables])
        slope, *plain = found
        delta = self.epsilon * tf.math.l2_normalize(slope, axis=[1, 2])
        _, attacked = loss.gradients(batch | {"embedding_delta": delta}, variables)
        dense = (map(tf.convert_to_tensor, gradients) for gradients in (plain, attacked))
        return value, [one + other for one, other in zip(*dense, strict=True)]


def clip_examples(
    loss: Differentiable, batch: Batch, variables: Sequence[tf.Variable]
) -> tuple[tf.Tensor, list[Gradient]]:
    """Clip the gradient of every example to a norm of 0.1, as differential privacy asks."""
    values, sums = [], [tf.zeros_like(variable) for variable in variables]
    for row in range(batch["weight"].shape[0]):
        one = {name: column[row : row + 1] for name, column in batch.items()}
        value, gradients = loss.gradients(one, variables)
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense) / (1.0 if loss.scale is None else loss.scale)
        factor = tf.minimum(1.0, 0.1 / (norm + 1e-12))
        sums = [total + factor * gradient for total, gradient in zip(sums, dense, strict=True)]
        values.append(value)
    return tf.add_n(values), sums


@dataclass(frozen=True)
class Distillation:
    """The student's divergence from a teacher, whose logits are the column `teacher`."""

    temperature: float

    def __call__(self, forward: ForwardPass, batch: Batch) -> tf.Tensor:
        wanted = tf.nn.softmax(batch["teacher"] / self.temperature)
        found = tf.nn.log_softmax(forward(batch) / self.temperature)
        cost = -tf.reduce_sum(wanted * found, axis=-1) * self.temperature**2
        return tf.reduce_sum(cost * batch["weight"])


def contrast(forward: ForwardPass, batch: Batch) -> tf.Tensor:
    """A loss of the whole batch: two dropout passes of a text are each other's nearest."""
    one, two = (tf.math.l2_normalize(forward(batch), axis=-1) for _ in range(2))
    nearest = tf.range(tf.shape(one)[0])
    similar = tf.matmul(one, two, transpose_b=True) / 0.05
    cost = tf.nn.sparse_softmax_cross_entropy_with_logits(nearest, similar)
    return tf.reduce_sum(cost * batch["weight"])


def norm_of(gradients: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(sum((gradient**2).sum() for gradient in gradients)))


@pytest.mark.parametrize("parts", [1, 3])
def test_adversarial_training_is_a_gradient_rule(parts: int) -> None:
    batch = make_batch(UNEVEN)
    plain = one_step(make_model(), batch)
    # Without a perturbation the second pass repeats the first.
    twice = one_step(make_model(), batch, parts=parts, rule=FastGradientMethod(0.0))
    assert twice[0] == pytest.approx(plain[0], rel=1e-5)
    for one, other in zip(twice[2], plain[2], strict=True):
        np.testing.assert_allclose(one, 2 * other, atol=2e-6)
    attacked = one_step(make_model(), batch, parts=parts, rule=FastGradientMethod(0.5))
    assert norm_of(np.subtract(a, b) for a, b in zip(attacked[2], twice[2], strict=True)) > 1e-3


def test_the_perturbation_found_raises_the_loss() -> None:
    model, batch = make_model(), make_batch(UNEVEN)
    loss = Differentiable(lambda part: TaskLoss(TASK)(model.logits, part))
    delta = tf.zeros([*batch["input_ids"].shape, 64])
    before, (slope,) = loss.gradients(batch | {"embedding_delta": delta}, [delta])
    after = loss.function(batch | {"embedding_delta": 0.5 * tf.math.l2_normalize(slope, [1, 2])})
    assert float(before) == pytest.approx(float(loss.function(batch)), rel=1e-6)
    assert float(after) > float(before) * 1.01
    # Packed, without padding in the products, it is the same function.
    packed = replace(model, packed=True)
    again = TaskLoss(TASK)(packed.logits, batch | {"embedding_delta": delta + 0.1})
    here = loss.function(batch | {"embedding_delta": delta + 0.1})
    assert float(again) == pytest.approx(float(here), rel=1e-5)


def test_clipping_by_example_is_a_gradient_rule() -> None:
    batch = make_batch([1.0] * 4)
    _, _, moved = one_step(make_model(), batch, rule=clip_examples)
    alone = [
        one_step(make_model(), {n: c[row : row + 1] for n, c in batch.items()}, clip_norm=0.1)[2]
        for row in range(4)
    ]
    for variable, found in enumerate(moved):
        expected = sum(gradients[variable] for gradients in alone) / 4
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_distillation_is_a_loss_with_a_column_of_its_own() -> None:
    texts = [f"word{i} and more" for i in range(12)]
    examples = Examples(texts, None, ["a"] * 12, "texts.tsv", Columns())
    student, teacher = (make_tiny(TASK.label_names, texts, dropout=0.0) for _ in range(2))
    encoded = encode(examples, student.tokenizer, 8)
    logits = teacher.logits(student.tokenizer(texts, max_length=8)).numpy()
    strategy = tf.distribute.get_strategy()
    plan = plan_training(encoded.lengths, 4, 1, 1, (1, 0))
    (batch, *_) = read_batches(encoded, plan, strategy, {"teacher": logits})
    rows = plan.rows[0, 0]
    np.testing.assert_array_equal(batch["teacher"], logits[rows])
    loss, norm, _ = one_step(student, batch, Distillation(2.0))
    shares = tf.nn.softmax(logits[rows] / 2)
    entropy = -4 * float(tf.reduce_mean(tf.reduce_sum(shares * tf.math.log(shares), -1)))
    assert loss > entropy > 0 and norm > 0
    same, still, _ = one_step(teacher, batch, Distillation(2.0))
    assert same == pytest.approx(entropy, rel=1e-4) and still < 1e-3


def test_a_loss_of_the_whole_batch() -> None:
    batch: Any = make_batch([1.0] * 8)
    loss, norm, _ = one_step(make_model(0.1), batch, contrast)
    assert np.isfinite(loss) and norm > 0

"""Adversarial training: the gradient is also taken where the word embeddings are moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.tasks.task import Batch
from tfpipe.training.gradients import Gradient, add, multiply
from tfpipe.training.objective import DELTA, Differentiable, GradientRule, backpropagate

# The steps of a method together are this many times its norm, so that the bound is reached even
# where they do not go in one direction.
REACH = 1.5


@dataclass(frozen=True)
class Adversarial:
    """The mean gradient of passes in which the embeddings of each text are moved further.

    The first pass moves nothing. After each pass the texts move along the gradient of the loss by
    their word embeddings, normalised over a text, and stay within `norm` of their place. The
    variables of the model are not changed, so that the rule is the same under replicas, in parts
    of a batch and after a resumption.

    Attributes:
        norm: The largest Euclidean norm of the change of a text, over its tokens and dimensions.
        step: The length of one move.
        shares: The share of each pass in the gradient; they sum up to 1.
        width: Dimensions of an embedding.
    """

    norm: float
    step: float
    shares: Sequence[float]
    width: int

    def __call__(
        self, loss: Differentiable, batch: Batch, variables: Sequence[tf.Variable]
    ) -> tuple[tf.Tensor, list[Gradient]]:
        """Compute the gradient; the reported loss is that of the first pass."""
        delta = tf.zeros([*tf.unstack(tf.shape(batch["input_ids"])), self.width])
        values: list[tf.Tensor] = []
        gradients: list[Gradient] = []
        for number, share in enumerate(self.shares, start=1):
            moves = number < len(self.shares)
            sources = [*(variables if share else ()), *([delta] if moves else ())]
            value, found = loss.gradients({**batch, DELTA: delta}, sources)
            values.append(value)
            if moves:
                delta = self._move(delta, found.pop())
            if share:
                scaled = [multiply(gradient, share) for gradient in found]
                gradients = [*map(add, gradients, scaled)] if gradients else scaled
        return values[0], gradients

    def _move(self, delta: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
        moved = delta + self.step * slope / norms(slope)
        return tf.stop_gradient(moved * tf.minimum(1.0, self.norm / norms(moved)))


def norms(values: tf.Tensor) -> tf.Tensor:
    """Norm of each text's values [B, L, H], float32 [B, 1, 1]; of zeros a tiny number."""
    return tf.maximum(tf.norm(values, axis=[1, 2], keepdims=True), 1e-12)


def make_rule(config: TrainConfig, width: int) -> GradientRule:
    """Make the configured gradient rule.

    `fgm` moves once (Miyato et al. 2017, https://arxiv.org/abs/1605.07725), `pgd` several times
    and takes the first and the last pass (Madry et al. 2018, https://arxiv.org/abs/1706.06083),
    `freelb` takes the mean of all passes (Zhu et al. 2020, https://arxiv.org/abs/1909.11764, here
    without a random start).

    Args:
        config: The configuration.
        width: Dimensions of an embedding.
    """
    if config.adversarial is None:
        return backpropagate
    steps, norm = config.adversarial_steps, config.adversarial_norm
    if config.adversarial == "freelb":
        return Adversarial(norm, REACH * norm / steps, [1 / steps] * steps, width)
    if config.adversarial == "fgm":
        return Adversarial(norm, norm, [0.5, 0.5], width)
    return Adversarial(norm, REACH * norm / steps, [0.5, *[0.0] * (steps - 1), 0.5], width)

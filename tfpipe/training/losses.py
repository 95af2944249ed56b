"""The configured loss, and losses that compare the outputs of several passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.tasks import TASKS
from tfpipe.tasks.losses import LossSettings
from tfpipe.tasks.task import Batch, Task
from tfpipe.training.adversarial import norms
from tfpipe.training.layer_distillation import TaughtLayers
from tfpipe.training.objective import DELTA, ForwardPass, Loss, TaskLoss, WholeBatchLoss

# A column of a batch: the outputs of the teacher, [B, ...].
TEACHER = "teacher"
# Of SmoothLoss: the longest input, and the norm of the first move as a part of the largest one.
POSITIONS, FIRST_MOVE = 512, 0.1


@dataclass(frozen=True)
class RDropLoss:
    """The mean loss of two dropout passes, plus `strength` times their divergence.

    The authors' own code halves the sum of both losses, too, so that the scale is that of a plain
    step. Source: Liang et al. 2021 (https://arxiv.org/abs/2106.14448).
    """

    task: Task
    settings: LossSettings
    strength: float

    def __call__(self, forward: ForwardPass, batch: Batch) -> tf.Tensor:
        """Compute the loss from one forward pass over the batch repeated twice."""
        twice = {name: tf.concat([value, value], 0) for name, value in batch.items()}
        logits = forward(twice)
        losses = self.task.training_loss(logits, twice, self.settings)
        one, other = tf.split(logits, 2)
        divergence = self.task.divergence(one, other, batch) * batch["weight"]
        mean = 0.5 * tf.reduce_sum(losses * twice["weight"])
        return mean + self.strength * tf.reduce_sum(divergence)


@dataclass(frozen=True)
class SmoothLoss:
    """The task's loss plus `strength` times the change of the output by a move of the embeddings.

    The word embeddings of each text are moved by `norm` in the direction in which the output
    changes most: that of the gradient of the divergence at a small move, which is the same for all
    texts, so that replicas, parts and a resumed run compute the same. It takes three forward passes
    and two backward passes.

    Source: Jiang et al. 2020, equation 2 (SMART, https://arxiv.org/abs/1911.03437), without its
    Bregman proximal steps; the direction is found as in Miyato et al. 2018, algorithm 1
    (https://arxiv.org/abs/1704.03976).

    Attributes:
        task: The task.
        settings: Settings of its loss.
        strength: The weight of the divergence.
        norm: The Euclidean norm of the move of a text, over its tokens and dimensions.
        width: Dimensions of an embedding.
    """

    task: Task
    settings: LossSettings
    strength: float
    norm: float
    width: int

    def __call__(self, forward: ForwardPass, batch: Batch) -> tf.Tensor:
        """Compute the weighted sum of the losses and of the divergences."""
        outputs = forward(batch)
        losses = self.task.training_loss(outputs, batch, self.settings)
        move = self._find_move(forward, batch, tf.stop_gradient(outputs))
        divergence = self.task.divergence(forward(_moved(batch, move)), outputs, batch)
        return tf.reduce_sum((losses + self.strength * divergence) * batch["weight"])

    def _find_move(self, forward: ForwardPass, batch: Batch, outputs: tf.Tensor) -> tf.Tensor:
        """Return the move of the embeddings, float32 [B, L, H], without a gradient."""
        mask = tf.cast(batch["attention_mask"], tf.float32)[:, :, tf.newaxis]
        noise = np.random.default_rng(0).standard_normal((POSITIONS, self.width), np.float32)
        start = tf.constant(noise)[: tf.shape(mask)[1]] * mask
        start *= FIRST_MOVE * self.norm / norms(start)
        with tf.GradientTape() as tape:
            tape.watch(start)
            found = self.task.divergence(forward(_moved(batch, start)), outputs, batch)
            total = tf.reduce_sum(found)
        slope = tape.gradient(total, start)
        return tf.stop_gradient(self.norm * slope / norms(slope))


def _moved(batch: Batch, move: tf.Tensor) -> Batch:
    """Return the batch with its embeddings moved further, where a rule has moved them already."""
    return {**batch, DELTA: batch[DELTA] + move if DELTA in batch else move}


@dataclass(frozen=True)
class DistillLoss:
    """The mean of the task's loss and of the divergence from a teacher's outputs.

    Both outputs are divided by the temperature, and the divergence is multiplied by its square, so
    that its gradient keeps its size. Source: Hinton et al. 2015, section 2
    (https://arxiv.org/abs/1503.02531), with the task's symmetric divergence.

    Attributes:
        task: The task.
        settings: Settings of its loss.
        share: The share of the divergence.
        temperature: By which outputs are divided.
        layers: Adds a loss of what the layers compute; None for the outputs alone.
    """

    task: Task
    settings: LossSettings
    share: float
    temperature: float
    layers: TaughtLayers | None = None

    def __call__(self, forward: ForwardPass, batch: Batch) -> tf.Tensor:
        """Compute the weighted sum; the batch has the column TEACHER."""
        if self.layers is None:
            outputs, further = forward(batch), tf.constant(0.0)
        else:
            outputs, further = self.layers.compare(forward, batch)
        taught = tf.cast(batch[TEACHER], tf.float32)
        if taught.shape.rank == 3:
            # Of tokens: as many as the longest text of the data has.
            taught = taught[:, : tf.shape(outputs)[1]]
            missing = tf.shape(outputs)[1] - tf.shape(taught)[1]
            taught = tf.pad(taught, [[0, 0], [0, missing], [0, 0]])
        factor = 1.0 / self.temperature
        divergence = self.task.divergence(factor * outputs, factor * taught, batch) / factor**2
        losses = self.task.training_loss(outputs, batch, self.settings)
        mixed = (1.0 - self.share) * losses + self.share * divergence + further
        return tf.reduce_sum(mixed * batch["weight"])


def make_loss(
    config: TrainConfig, task: Task, width: int = 0, layers: TaughtLayers | None = None
) -> Loss:
    """Make the configured loss.

    Args:
        config: The configuration.
        task: The task.
        width: Dimensions of an embedding, for `smoothness`.
        layers: The layers of `teacher` that are learnt; None for none.
    """
    gamma = config.focal_gamma if config.loss == "focal" else None
    settings = LossSettings(gamma, config.label_smoothing)
    if config.r_drop:
        return RDropLoss(task, settings, config.r_drop)
    if config.smoothness:
        return SmoothLoss(task, settings, config.smoothness, config.adversarial_norm, width)
    if config.teacher:
        shares = (config.teacher_share, config.teacher_temperature)
        return DistillLoss(task, settings, *shares, layers)
    of_batch = TASKS[task.name].compares_examples
    return WholeBatchLoss(task, settings) if of_batch else TaskLoss(task, settings)

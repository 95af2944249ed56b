"""One training step, on every replica of a strategy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfpipe.data.replicas import needs_few_widths
from tfpipe.model.checkpoint import Classifier
from tfpipe.model.encoder import Seeds
from tfpipe.tasks.losses import Objective
from tfpipe.tasks.task import Task
from tfpipe.training.gradients import Gradient, add, merge, multiply
from tfpipe.training.optimizer import is_decayed
from tfpipe.training.precision import LossScale
from tfpipe.training.weights import AveragedWeights

Batch = dict[str, tf.Tensor]


def make_train_step(
    strategy: tf.distribute.Strategy,
    classifier: Classifier,
    task: Task,
    optimizer: Any,
    clip_norm: float,
    parts: int,
    objective: Objective | None = None,
    loss_scale: LossScale | None = None,
    average: AveragedWeights | None = None,
    seeds: Seeds | None = None,
) -> Callable[[Batch], dict[str, tf.Tensor]]:
    """A step over a batch of every replica, to be compiled; returns loss and gradient_norm.

    The gradient is that of the mean loss over the whole batch, whatever the number of replicas
    and parts: sums are added up over parts and replicas, divided once by the summed weights,
    clipped once by their global norm, applied once. The loss does not count the L2 penalty, the
    gradient does. With a loss scale, a step whose gradient is not finite changes no weight, and
    tells so by its gradient_norm.
    """
    variables = classifier.bert.trainable_variables
    objective = objective or Objective()
    decayed = [is_decayed(variable.name) for variable in variables]

    def sum_losses(part: Batch) -> tf.Tensor:
        if not objective.r_drop:
            logits = classifier.logits(part, True, seeds)
            losses = task.training_loss(logits, part["gold"], objective)
            return tf.reduce_sum(losses * part["weight"])
        # Both dropout passes in one: the batch comes twice. The halved sum of both losses keeps
        # the scale of a plain step; the authors' own code does so, too.
        twice = {name: tf.concat([value, value], 0) for name, value in part.items()}
        logits = classifier.logits(twice, True, seeds)
        losses = task.training_loss(logits, twice["gold"], objective)
        one, other = tf.split(logits, 2)
        apart = task.divergence(one, other, part["gold"]) * part["weight"]
        return 0.5 * tf.reduce_sum(losses * twice["weight"]) + objective.r_drop * tf.reduce_sum(
            apart
        )

    def find_gradients(batch: Batch) -> tuple[list[Gradient], tf.Tensor, tf.Tensor]:
        """Clipped gradients of this replica's copy, their norm before that, and the loss."""
        loss = tf.constant(0.0)
        lift = 1.0 if loss_scale is None else loss_scale.value.read_value()
        gradients: list[Gradient] = []
        for part in _split(batch, parts):
            # One part after the other, for the sake of the memory that parts are made to save.
            with tf.control_dependencies(gradients):
                part = {name: tf.identity(value) for name, value in part.items()}
            with tf.GradientTape() as tape:
                part_loss = sum_losses(part)
                target = part_loss if loss_scale is None else part_loss * lift
            new = tape.gradient(target, variables)
            if needs_few_widths(strategy):
                # Slices of a batch have a number of rows that a compiled program cannot know.
                new = [*map(tf.convert_to_tensor, new)]
            gradients = [*map(add, gradients, new)] if gradients else new
            loss += part_loss
        context = tf.distribute.get_replica_context()
        weight = tf.reduce_sum(batch["weight"])
        loss, weight = context.all_reduce(tf.distribute.ReduceOp.SUM, [loss, weight])
        if strategy.num_replicas_in_sync > 1:
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients = [merge(gradient) for gradient in gradients]
        total = weight * lift
        if objective.l2:
            gradients = [
                tf.convert_to_tensor(gradient) + (objective.l2 * total) * variable
                if penalised
                else gradient
                for gradient, variable, penalised in zip(gradients, variables, decayed, strict=True)
            ]
        norm = tf.linalg.global_norm(gradients) / total
        # Dividing and clipping are one factor, so that the gradients are passed over once.
        scale = tf.minimum(1.0, clip_norm / (norm + 1e-12)) / total
        return [multiply(gradient, scale) for gradient in gradients], norm, loss / weight

    def apply(gradients: list[Gradient]) -> None:
        # Keras refuses False here; there is one replica in a step, so nothing is added up twice.
        servers = isinstance(strategy, tf.distribute.ParameterServerStrategy)
        optimizer.apply_gradients(
            zip(gradients, variables, strict=True), experimental_aggregate_gradients=servers
        )

    def train_step(batch: Batch) -> dict[str, tf.Tensor]:
        gradients, norms, losses = strategy.run(find_gradients, args=(batch,))
        # Every replica holds the reduced values.
        norm, loss = (strategy.experimental_local_results(v)[0] for v in (norms, losses))
        if loss_scale is None:
            change_weights(gradients)
        else:
            finite = tf.math.is_finite(norm)
            tf.cond(finite, lambda: change_weights(gradients), lambda: 0)
            loss_scale.update(finite)
        return {"loss": loss, "gradient_norm": norm}

    def change_weights(gradients: Any) -> int:
        strategy.run(apply, args=(gradients,))
        if average is not None:
            average.update()
        return 0

    return train_step


def _split(batch: Batch, parts: int) -> list[Batch]:
    if parts == 1:
        return [batch]
    pieces = {name: tf.split(value, parts) for name, value in batch.items()}
    return [{name: piece[i] for name, piece in pieces.items()} for i in range(parts)]

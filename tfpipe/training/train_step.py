"""One training step, on every replica of a strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfpipe.data.replicas import needs_few_widths
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Batch
from tfpipe.training.dropout_seeds import ModelSeeds
from tfpipe.training.ema import ExponentialMovingAverage
from tfpipe.training.gradients import Gradient, add, merge, multiply
from tfpipe.training.objective import (
    INPUTS,
    Differentiable,
    GradientRule,
    Loss,
    WholeBatchLoss,
    backpropagate,
)
from tfpipe.training.optimizer import is_decayed
from tfpipe.training.precision import LossScale


# Compared by identity: tf.function hashes what it compiles.
@dataclass(frozen=True, eq=False)
class TrainStep:
    """A step over a batch of every replica, to be compiled.

    The gradient is that of the mean loss over the whole batch, whatever the number of replicas
    and parts: sums are added up over parts and replicas, divided once by the summed weights,
    clipped once by their global norm, applied once. The reported loss does not count the L2
    penalty, the gradient does.

    Attributes:
        strategy: The strategy whose replicas take the step.
        model: The model to train.
        optimizer: A tf_keras optimizer.
        loss: The loss of a batch.
        rule: Computes the gradient of a batch.
        clip_norm: The largest global norm of the gradient.
        l2: Strength of the penalty on the weights.
        parts: Parts that a replica's batch is split into and computed one after the other.
        loss_scale: The loss scale of float16; with one, a step whose gradient is not finite
            changes no weight.
        average: A moving average of the weights to update.
        seeds: Seeds of the dropout.
        together: Rows of a batch that follow each other and are of one example.
    """

    strategy: tf.distribute.Strategy
    model: TextModel
    optimizer: Any
    loss: Loss
    rule: GradientRule = backpropagate
    clip_norm: float = 1.0
    l2: float = 0.0
    parts: int = 1
    loss_scale: LossScale | None = None
    average: ExponentialMovingAverage | None = None
    seeds: ModelSeeds | None = None
    together: int = 1

    def __call__(self, batch: Any) -> dict[str, tf.Tensor]:
        """Take the step; returns `loss` and `gradient_norm`, float32."""
        gradients, norms, losses = self.strategy.run(self._find_gradients, args=(batch,))
        # Every replica holds the reduced values.
        norm, loss = (self.strategy.experimental_local_results(v)[0] for v in (norms, losses))
        if self.loss_scale is None:
            self._change_weights(gradients)
        else:
            finite = tf.math.is_finite(norm)
            tf.cond(finite, lambda: self._change_weights(gradients), lambda: 0)
            self.loss_scale.update(finite)
        return {"loss": loss, "gradient_norm": norm}

    def _find_gradients(self, batch: Batch) -> tuple[list[Gradient], tf.Tensor, tf.Tensor]:
        """Compute clipped gradients of the whole batch, their norm before clipping, and loss."""
        gradients, loss = self._sum_parts(batch)
        context = tf.distribute.get_replica_context()
        weight = tf.reduce_sum(batch["weight"])
        loss, weight = context.all_reduce(tf.distribute.ReduceOp.SUM, [loss, weight])
        if self.strategy.num_replicas_in_sync > 1:
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients = [merge(gradient) for gradient in gradients]
        total = weight if self.loss_scale is None else weight * self.loss_scale.value.read_value()
        gradients = self._add_penalties(gradients, total)
        norm = tf.linalg.global_norm(gradients) / total
        # Dividing and clipping are one factor, so that the gradients are passed over once.
        scale = tf.minimum(1.0, self.clip_norm / (norm + 1e-12)) / total
        return [multiply(gradient, scale) for gradient in gradients], norm, loss / weight

    def _sum_parts(self, batch: Batch) -> tuple[list[Gradient], tf.Tensor]:
        """Sum gradients and loss of this replica over the parts of its batch."""
        scale = None if self.loss_scale is None else self.loss_scale.value.read_value()
        objective = Differentiable(lambda part: self.loss(self._forward, part), scale)
        variables = self.model.trainable_variables
        total = tf.constant(0.0)
        gradients: list[Gradient] = []
        if self.parts > 1 and isinstance(self.loss, WholeBatchLoss):
            batch = {**batch, **self.loss.cache(self._compute_outputs(batch), batch)}
        for part in _split(batch, self.parts):
            ordered = _order(part, gradients)
            loss, new = self.rule(objective, ordered, variables)
            if needs_few_widths(self.strategy):
                # The number of rows in a batch's slices is not static, as XLA needs it.
                new = [*map(tf.convert_to_tensor, new)]
            gradients = [*map(add, gradients, new)] if gradients else new
            total += loss
        return gradients, total

    def _compute_outputs(self, batch: Batch) -> tf.Tensor:
        """Compute the head's output for this replica's batch in parts, without gradient."""
        outputs: list[tf.Tensor] = []
        calls = self.seeds.calls if self.seeds else ()
        for part in _split(batch, self.parts):
            outputs.append(tf.stop_gradient(self._forward(_order(part, outputs))))
        if self.seeds:
            # The outputs are computed again with a gradient, and are to be the same.
            self.seeds.calls = calls
        return tf.concat(outputs, 0)

    def _forward(self, batch: Batch) -> tf.Tensor:
        if self.together == 1:
            return self.model.logits(batch, True, self.seeds)
        # Each place of a group is padded to its own longest: questions are shorter than answers.
        outputs = []
        for place in range(self.together):
            rows = {name: value[place :: self.together] for name, value in batch.items()}
            narrow = rows if needs_few_widths(self.strategy) else _narrow(rows)
            outputs.append(self.model.logits(narrow, True, self.seeds))
        shape = tf.concat([[-1], tf.shape(outputs[0])[1:]], 0)
        return tf.reshape(tf.stack(outputs, 1), shape)

    def _add_penalties(self, gradients: Sequence[Gradient], total: tf.Tensor) -> list[Gradient]:
        """Add the gradients of penalties, `total` times, as the gradients are sums."""
        return [
            gradient if penalty is None else tf.convert_to_tensor(gradient) + total * penalty
            for gradient, penalty in zip(
                gradients, map(self._penalty_gradient, self.model.trainable_variables), strict=True
            )
        ]

    def _penalty_gradient(self, variable: tf.Variable) -> tf.Tensor | None:
        """The gradient of the L2 penalty and of the adapter's own; None where there is neither."""
        adapter = self.model.adapter
        own = adapter.penalty_gradient(variable) if adapter else None
        if not (self.l2 and is_decayed(variable.name)):
            return own
        return self.l2 * variable if own is None else self.l2 * variable + own

    def _change_weights(self, gradients: Any) -> int:
        self.strategy.run(self._apply, args=(gradients,))
        adapter = self.model.adapter
        if adapter is not None:
            # Every replica holds the same; those of the adapter are the first.
            own = gradients[: len(adapter.trained(self.model.backbone))]
            adapter.after_step([self.strategy.experimental_local_results(g)[0] for g in own])
        if self.average is not None:
            self.average.update()
        return 0

    def _apply(self, gradients: list[Gradient]) -> None:
        # Keras refuses False here; there is one replica in a step, so nothing is added up twice.
        servers = isinstance(self.strategy, tf.distribute.ParameterServerStrategy)
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(
            zip(gradients, variables, strict=True), experimental_aggregate_gradients=servers
        )


def _split(batch: Batch, parts: int) -> list[Batch]:
    if parts == 1:
        return [batch]
    pieces = {name: tf.split(value, parts) for name, value in batch.items()}
    return [{name: piece[i] for name, piece in pieces.items()} for i in range(parts)]


def _order(part: Batch, before: Sequence[Gradient]) -> dict[str, tf.Tensor]:
    """Let a part be computed after the one before: the purpose of parts is to save memory."""
    with tf.control_dependencies(before):
        return {name: tf.identity(value) for name, value in part.items()}


def _narrow(batch: Batch) -> Batch:
    """Cut off the columns of tokens that are padding in all rows."""
    width = tf.reduce_max(tf.reduce_sum(batch["attention_mask"], 1))
    return {name: value[:, :width] if name in INPUTS else value for name, value in batch.items()}

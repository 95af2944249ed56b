"""What training minimizes: the task's loss of a batch, and rules that compute its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf

from tfpipe.tasks.losses import LossSettings
from tfpipe.tasks.task import Batch, Task
from tfpipe.training.gradients import Gradient

# From a batch to the head's output float32 [B, ...], with the dropout of training.
ForwardPass = Callable[[Batch], tf.Tensor]


class Loss(Protocol):
    """The loss of a batch. It may run the forward pass several times, on changed batches."""

    def __call__(self, forward: ForwardPass, batch: Batch) -> tf.Tensor:
        """Compute the loss.

        Args:
            forward: The model's forward pass.
            batch: Inputs, the task's targets and `weight` float32 [B], 0 for an empty place.

        Returns:
            float32, the sum over the batch of each example's loss times its weight; the step
            divides by the sum of all weights.
        """


@dataclass(frozen=True)
class TaskLoss:
    """The task's own training loss."""

    task: Task
    settings: LossSettings = LossSettings()

    def __call__(self, forward: ForwardPass, batch: Batch) -> tf.Tensor:
        """Compute the weighted sum of the task's losses."""
        losses = self.task.training_loss(forward(batch), batch, self.settings)
        return tf.reduce_sum(losses * batch["weight"])


# Columns of a batch that the model reads, the others are about its examples.
DELTA = "embedding_delta"
INPUTS = ("input_ids", "token_type_ids", "attention_mask", DELTA)
# Columns of a part of a batch: its losses, and their gradient by the outputs.
LOSS, GRADIENT = "loss", "loss_gradient"


@dataclass(frozen=True)
class WholeBatchLoss:
    """The task's own training loss, where that of an example depends on the others of its step.

    It is computed over the outputs of all replicas and parts, each of which then takes its gradient
    from that by its own outputs: the step is that of one replica with the whole batch. For parts
    the outputs are computed twice (GradCache). Source: Gao et al. 2021, section 3.3
    (https://arxiv.org/abs/2101.06983).
    """

    task: Task
    settings: LossSettings = LossSettings()

    def __call__(self, forward: ForwardPass, batch: Batch) -> tf.Tensor:
        """Compute the weighted sum of a batch's losses, or of a part's with the cached columns."""
        outputs = forward(batch)
        known = batch if GRADIENT in batch else self.cache(outputs, batch)
        surrogate = tf.reduce_sum(outputs * known[GRADIENT])
        # Its gradient is that of the losses; its value is theirs, too.
        return tf.reduce_sum(known[LOSS]) + surrogate - tf.stop_gradient(surrogate)

    def cache(self, outputs: tf.Tensor, batch: Batch) -> dict[str, tf.Tensor]:
        """Compute the weighted losses of this replica's examples, and their gradient by `outputs`.

        Args:
            outputs: float32 [B, ...], for all of the replica's batch.
            batch: That batch.

        Returns:
            LOSS float32 [B], and GRADIENT float32 [B, ...] of the losses of all replicas.
        """
        columns = {name: value for name, value in batch.items() if name not in INPUTS}
        context = tf.distribute.get_replica_context()
        found = tf.stop_gradient(outputs)
        if context.num_replicas_in_sync > 1:
            found, columns = tf.nest.map_structure(_gather, (found, columns))
        with tf.GradientTape() as tape:
            tape.watch(found)
            losses = self.task.training_loss(found, columns, self.settings) * columns["weight"]
            total = tf.reduce_sum(losses)
        count = tf.shape(outputs)[0]
        first = context.replica_id_in_sync_group * count
        own = slice(first, first + count)
        return {LOSS: losses[own], GRADIENT: tape.gradient(total, found)[own]}


def _gather(value: tf.Tensor) -> tf.Tensor:
    """Concatenate the values [B, ...] of all replicas.

    A sum over zeros does it under every strategy; all_gather fails in a worker of one CPU.
    """
    context = tf.distribute.get_replica_context()
    replicas, shape = context.num_replicas_in_sync, tf.shape(value)
    own = tf.range(replicas) == context.replica_id_in_sync_group
    own = tf.reshape(own, [replicas, *[1] * value.shape.rank])
    placed = tf.where(own, value, tf.zeros([], value.dtype))
    whole = tf.reshape(placed, tf.concat([[replicas * shape[0]], shape[1:]], 0))
    return context.all_reduce(tf.distribute.ReduceOp.SUM, whole)


@dataclass(frozen=True)
class Differentiable:
    """A loss as a function of the batch only, with its gradients.

    Attributes:
        function: From a batch to the loss, float32.
        scale: The loss scale of float16 training, by which gradients are multiplied; None for 1.
    """

    function: Callable[[Batch], tf.Tensor]
    scale: tf.Tensor | None = None

    def gradients(
        self, batch: Batch, sources: Sequence[Any]
    ) -> tuple[tf.Tensor, list[Gradient | None]]:
        """Run one forward and one backward pass.

        Args:
            batch: The input of the loss.
            sources: Variables, or tensors that `batch` holds.

        Returns:
            The loss, and its gradients by `sources` times `scale`.
        """
        with tf.GradientTape() as tape:
            for source in sources:
                if not isinstance(source, tf.Variable):
                    tape.watch(source)
            loss = self.function(batch)
            target = loss if self.scale is None else loss * self.scale
        return loss, tape.gradient(target, sources)


class GradientRule(Protocol):
    """A rule that computes the gradient of a batch; it may run several passes."""

    def __call__(
        self, loss: Differentiable, batch: Batch, variables: Sequence[tf.Variable]
    ) -> tuple[tf.Tensor, list[Gradient]]:
        """Compute the gradient.

        Args:
            loss: The loss of a batch.
            batch: The batch of one replica, or a part of it.
            variables: The trainable variables.

        Returns:
            The loss to report, float32, and for every variable the gradient of the summed loss
            times `loss.scale`. The step adds both up over parts and replicas.
        """


def backpropagate(
    loss: Differentiable, batch: Batch, variables: Sequence[tf.Variable]
) -> tuple[tf.Tensor, list[Gradient]]:
    """Take the plain gradient: one forward and one backward pass."""
    value, gradients = loss.gradients(batch, variables)
    return value, gradients

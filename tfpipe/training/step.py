"""One training step, on every replica of a strategy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfpipe.model.checkpoint import Classifier
from tfpipe.tasks.classify import Classify

Batch = dict[str, tf.Tensor]


def make_train_step(
    strategy: tf.distribute.Strategy,
    classifier: Classifier,
    task: Classify,
    optimizer: Any,
    clip_norm: float,
    parts: int,
) -> Callable[[Batch], dict[str, tf.Tensor]]:
    """A step over a batch of every replica, to be compiled; returns loss and gradient_norm.

    The gradient is that of the mean loss over the whole batch, whatever the number of replicas
    and parts: sums are added up over parts and replicas, divided once by the summed weights,
    clipped once by their global norm, applied once.
    """
    variables = classifier.bert.trainable_variables

    def replica_step(batch: Batch) -> dict[str, tf.Tensor]:
        loss = tf.constant(0.0)
        gradients: list[tf.Tensor] = []
        for part in _split(batch, parts):
            with tf.GradientTape() as tape:
                logits = classifier.logits(part, training=True)
                part_loss = tf.reduce_sum(task.loss(logits, part["gold"]) * part["weight"])
            # The word embedding's gradient comes as slices: dense, it takes the fused kernel.
            new = [tf.convert_to_tensor(g) for g in tape.gradient(part_loss, variables)]
            gradients = [a + b for a, b in zip(gradients, new, strict=True)] if gradients else new
            loss += part_loss
        context = tf.distribute.get_replica_context()
        weight = tf.reduce_sum(batch["weight"])
        loss, weight = context.all_reduce(tf.distribute.ReduceOp.SUM, [loss, weight])
        if strategy.num_replicas_in_sync > 1:
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(gradients) / weight
        # Dividing and clipping are one factor, so that the gradients are passed over once.
        scale = tf.minimum(1.0, clip_norm / (norm + 1e-12)) / weight
        scaled = [gradient * scale for gradient in gradients]
        optimizer.apply_gradients(
            zip(scaled, variables, strict=True), experimental_aggregate_gradients=False
        )
        return {"loss": loss / weight, "gradient_norm": norm}

    def train_step(batch: Batch) -> dict[str, tf.Tensor]:
        results = strategy.run(replica_step, args=(batch,))
        # Every replica holds the reduced values.
        return {name: strategy.experimental_local_results(v)[0] for name, v in results.items()}

    return train_step


def _split(batch: Batch, parts: int) -> list[Batch]:
    if parts == 1:
        return [batch]
    pieces = {name: tf.split(value, parts) for name, value in batch.items()}
    return [{name: piece[i] for name, piece in pieces.items()} for i in range(parts)]

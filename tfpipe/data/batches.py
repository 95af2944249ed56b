"""Batches of like length: which rows go together, and the tf.data pipeline that builds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpipe.data.encode import Encoded

# A pool of this many batches is sorted by length before it is cut: large enough that padding
# nearly vanishes, small enough that an epoch's order stays random.
POOL = 50


@dataclass(frozen=True)
class Plan:
    """The rows of every step of one pass, on every replica.

    rows: int64 [steps, replicas, places], -1 for a place left empty; widths: int64 [steps], the
    longest input of a step, so that all replicas of a step compute the same shape.
    """

    rows: np.ndarray
    widths: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.widths)

    def examples(self, step: int) -> int:
        """Examples in a step."""
        return int((self.rows[step] >= 0).sum())

    def tokens(self, step: int) -> int:
        """Tokens of a step, padding not counted."""
        rows = self.rows[step]
        return int(self.lengths[rows[rows >= 0]].sum())

    def places(self, step: int) -> int:
        """Tokens of a step, padding and empty places counted."""
        return int(self.widths[step] * self.rows[step].size)


def plan_training(
    lengths: np.ndarray, batch_size: int, replicas: int, parts: int, seed: Sequence[int]
) -> Plan:
    """A random pass over all rows in batches of like length; equal seeds give equal plans."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    pools = [order[i : i + POOL * batch_size] for i in range(0, len(order), POOL * batch_size)]
    # The sort is stable over a random order: rows of equal length still meet at random.
    order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    random.shuffle(batches)
    return _plan(batches, lengths, replicas, parts)


def plan_reading(lengths: np.ndarray, batch_size: int, replicas: int) -> Plan:
    """One pass over all rows, the longest first, so that memory runs out at once or never."""
    order = np.argsort(-lengths, kind="stable")
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return _plan(batches, lengths, replicas, 1)


def _plan(batches: list[np.ndarray], lengths: np.ndarray, replicas: int, parts: int) -> Plan:
    largest = max(len(batch) for batch in batches)
    per_replica = -(-largest // (replicas * parts)) * parts
    rows = np.full((len(batches), replicas * per_replica), -1, np.int64)
    for step, batch in enumerate(batches):
        rows[step, : len(batch)] = batch
    # Column-wise dealing gives every replica its share of a batch that is not full.
    rows = rows.reshape(len(batches), per_replica, replicas).transpose(0, 2, 1)
    widths = np.array([lengths[batch].max() for batch in batches], np.int64)
    return Plan(np.ascontiguousarray(rows), widths, lengths)


def read_batches(
    encoded: Encoded,
    plan: Plan,
    strategy: tf.distribute.Strategy,
    gold: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    first: int = 0,
) -> tf.distribute.DistributedDataset:
    """The batches of a plan from step `first`, one element a replica.

    Each holds input_ids, token_type_ids, attention_mask: int32 [places, width]; gold: int32
    [places]; weight: float32 [places], 0 where the place is empty.
    """
    ids = tf.RaggedTensor.from_row_splits(encoded.ids, encoded.splits, validate=False)
    types = tf.RaggedTensor.from_row_splits(encoded.token_types, encoded.splits, validate=False)
    gold_of = tf.constant(np.zeros(len(encoded)) if gold is None else gold, tf.int32)
    weight_of = tf.constant(np.ones(len(encoded)) if weights is None else weights, tf.float32)
    replicas = plan.rows.shape[1]
    places = plan.rows.shape[2]
    flat_rows = tf.constant(plan.rows.reshape(-1, places))
    widths = tf.constant(plan.widths)

    def build(element: tf.Tensor) -> dict[str, tf.Tensor]:
        rows, width = flat_rows[element], widths[element // replicas]
        # An empty place repeats a real row, so that no shape is special; its weight is 0.
        filled = tf.where(rows < 0, tf.reduce_max(rows), rows)
        filled = tf.maximum(filled, 0)
        input_ids = tf.gather(ids, filled)
        mask = tf.sequence_mask(tf.minimum(input_ids.row_lengths(), width), width, tf.int32)
        return {
            "input_ids": input_ids.to_tensor(shape=[places, width]),
            "token_type_ids": tf.gather(types, filled).to_tensor(shape=[places, width]),
            "attention_mask": mask,
            "gold": tf.gather(gold_of, filled),
            "weight": tf.where(rows < 0, 0.0, tf.gather(weight_of, filled)),
        }

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        elements = tf.data.Dataset.range(first * replicas, len(plan) * replicas)
        batches = elements.map(build, num_parallel_calls=2).prefetch(2 * replicas)
        options = tf.data.Options()
        # Nothing here is left to tune, and the end of an iterator waits for its tuning thread,
        # which sleeps for up to a minute.
        options.autotune.enabled = False
        return batches.with_options(options)

    return strategy.distribute_datasets_from_function(pipeline)


def compile_for(batches: tf.distribute.DistributedDataset, function: Callable) -> Callable:
    """`function` of a batch as one graph for batches of every width."""
    return tf.function(function, input_signature=[batches.element_spec], autograph=False)

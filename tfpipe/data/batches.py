"""Batches of inputs of similar length: their plan, and the tf.data pipeline that builds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.arrays import AnyArray, FloatArray, Int64Array, IntArray
from tfpipe.data.encoded import Encoded
from tfpipe.data.replicas import DistributedBatches, local_replicas

# A pool of this many batches is sorted by length before it is cut: large enough that padding
# nearly vanishes, small enough that an epoch's order stays random.
POOL = 50


@dataclass(frozen=True)
class Plan:
    """The rows of every step of one pass, on every replica.

    Attributes:
        rows: int64 [steps, replicas, places], -1 for an empty place.
        widths: int64 [steps], the longest input of a step, so that all replicas of a step compute
            the same shape.
        lengths: int [N], tokens of each row.
        together: Rows of a group: a batch has all of a group or none, one after the other.
    """

    rows: Int64Array
    widths: Int64Array
    lengths: IntArray
    together: int = 1

    def __len__(self) -> int:
        return len(self.widths)

    def examples(self, step: int) -> int:
        """Count the groups in a step, which are the examples."""
        return int((self.rows[step] >= 0).sum()) // self.together

    def tokens(self, step: int) -> int:
        """Count the tokens of a step without padding."""
        rows = self.rows[step]
        return int(self.lengths[rows[rows >= 0]].sum())

    def places(self, step: int) -> int:
        """Count the tokens of a step with padding and empty places."""
        rows = self.rows[step].reshape(-1, self.together)
        if self.together == 1:
            return int(self.widths[step] * rows.size)
        # Each place of a group is padded to its own longest, see TrainStep.
        longest = np.where(rows < 0, 0, self.lengths[rows]).max(axis=0)
        return int(longest.sum() * len(rows))

    def of_inputs(self, lengths: IntArray, together: int) -> Plan:
        """Return the plan of the inputs in the groups that this plan is of.

        Args:
            lengths: int [N], tokens of each input; group g is inputs `together` * g and following.
            together: Inputs of a group.
        """
        if together == 1:
            return self
        groups = self.rows[..., np.newaxis]
        rows = np.where(groups < 0, -1, groups * together + np.arange(together))
        steps, replicas, _ = self.rows.shape
        return Plan(rows.reshape(steps, replicas, -1), self.widths, lengths, together)


def plan_training(
    lengths: IntArray,
    batch_size: int,
    replicas: int,
    parts: int,
    seed: Sequence[int],
    few_widths: bool = False,
) -> Plan:
    """Plan a random pass over all rows in batches of similar length; equal seeds give equal plans.

    Args:
        lengths: int [N], tokens of each row.
        batch_size: Rows of a batch.
        replicas: Replicas of all processes.
        parts: Batches of a replica that make one step.
        seed: Of the order.
        few_widths: Whether widths are rounded, see `widen`.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    pools = [order[i : i + POOL * batch_size] for i in range(0, len(order), POOL * batch_size)]
    # The sort is stable over a random order: rows of equal length still meet at random.
    order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    random.shuffle(batches)
    return _plan(batches, lengths, replicas, parts, few_widths)


def plan_reading(
    lengths: IntArray, batch_size: int, replicas: int, few_widths: bool = False
) -> Plan:
    """Plan one pass over all rows, the longest first, so that memory runs out at once or never."""
    order = np.argsort(-lengths, kind="stable")
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return _plan(batches, lengths, replicas, 1, few_widths)


def widen(widths: Int64Array) -> Int64Array:
    """Round widths up so that few different ones remain: to a power of two, at least 16.

    For devices that compile one program for every shape.
    """
    rounded: Int64Array = 2 ** np.ceil(np.log2(widths)).astype(np.int64)
    return np.maximum(16, rounded)


def _plan(
    batches: list[Int64Array], lengths: IntArray, replicas: int, parts: int, few_widths: bool
) -> Plan:
    largest = max(len(batch) for batch in batches)
    per_replica = -(-largest // (replicas * parts)) * parts
    rows = np.full((len(batches), replicas * per_replica), -1, np.int64)
    for step, batch in enumerate(batches):
        rows[step, : len(batch)] = batch
    # Column-wise dealing gives every replica its share of a batch that is not full.
    rows = rows.reshape(len(batches), per_replica, replicas).transpose(0, 2, 1)
    widths = np.array([lengths[batch].max() for batch in batches], np.int64)
    if few_widths:
        widths = widen(widths)
    return Plan(np.ascontiguousarray(rows), widths, lengths)


def read_batches(
    encoded: Encoded,
    plan: Plan,
    strategy: tf.distribute.Strategy,
    columns: Mapping[str, AnyArray] | None = None,
    weights: FloatArray | None = None,
    first: int = 0,
) -> Any:
    """Read the batches of a plan from step `first`, one element a replica of this process.

    Each holds input_ids, token_type_ids, attention_mask: int32 [places, width]; the rows of
    `columns`, [places, ...], such as the task's targets; weight: float32 [places], 0 where the
    place is empty. Every worker makes the same plan and reads its own replicas' part of each step.
    Under a parameter server strategy they are plain batches, which the chief hands out.
    """
    ids = tf.RaggedTensor.from_row_splits(encoded.ids, encoded.splits, validate=False)
    types = tf.RaggedTensor.from_row_splits(encoded.token_types, encoded.splits, validate=False)
    tables = {name: tf.constant(column) for name, column in (columns or {}).items()}
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
        token_types = tf.gather(types, filled)
        mask = tf.sequence_mask(tf.minimum(input_ids.row_lengths(), width), width, tf.int32)
        return {
            "input_ids": input_ids.to_tensor(encoded.pad, shape=[places, width]),
            "token_type_ids": tf.cast(token_types.to_tensor(shape=[places, width]), tf.int32),
            "attention_mask": mask,
            **{name: tf.gather(table, filled) for name, table in tables.items()},
            "weight": tf.where(rows < 0, 0.0, tf.gather(weight_of, filled)),
        }

    local = np.arange(replicas)[local_replicas(strategy)]
    elements = np.arange(first, len(plan))[:, np.newaxis] * replicas + local
    batches = tf.data.Dataset.from_tensor_slices(elements.ravel())
    # Nothing branches on a tensor in Python: converting the source to find that takes seconds.
    build = tf.autograph.experimental.do_not_convert(build)
    batches = batches.map(build, num_parallel_calls=2).prefetch(2 * len(local))
    options = tf.data.Options()
    # Nothing here is left to tune, and the end of an iterator waits for its tuning thread, which
    # sleeps for up to a minute.
    options.autotune.enabled = False
    batches = batches.with_options(options)
    return batches if replicas == 1 else DistributedBatches(strategy, batches)

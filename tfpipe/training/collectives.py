"""Collective operations for multi-process training; no-ops in a single process."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.replicas import local_replicas, workers_of
from tfpipe.errors import UserError

# In-flight steps per worker of a parameter server cluster: one running, one queued.
IN_FLIGHT = 2
CLUSTERED = (tf.distribute.MultiWorkerMirroredStrategy, tf.distribute.ParameterServerStrategy)


def run_batches(
    strategy: tf.distribute.Strategy, function: Callable[[Any], Any], batches: Iterable[Any]
) -> Iterator[Any]:
    """Run a compiled function on each batch and yield its results in the order of the batches.

    Under a parameter server strategy the chief schedules every batch on the next free worker, with
    several in flight; elsewhere every process runs its own part of each batch.
    """
    if not isinstance(strategy, tf.distribute.ParameterServerStrategy):
        for batch in batches:
            yield function(batch)
        return
    # A singleton for each strategy.
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    most = IN_FLIGHT * workers_of(strategy)
    waiting: deque[Any] = deque()
    try:
        for batch in batches:
            waiting.append(coordinator.schedule(function, args=(batch,)))
            if len(waiting) == most:
                yield waiting.popleft().fetch()
        while waiting:
            yield waiting.popleft().fetch()
    finally:
        if waiting:
            coordinator.join()


def settle(strategy: tf.distribute.Strategy) -> None:
    """Wait for the steps in flight, so that what is saved next is consistent."""
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        tf.distribute.coordinator.ClusterCoordinator(strategy).join()


def takes_steps_ahead(strategy: tf.distribute.Strategy) -> bool:
    """Return whether steps are started before the results of the previous ones are read."""
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)


def checkpoint_options(strategy: tf.distribute.Strategy) -> tf.train.CheckpointOptions | None:
    """Options for checkpoints that the chief reads and writes, also with weights on servers."""
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        return tf.train.CheckpointOptions(experimental_io_device="/job:chief/task:0/device:CPU:0")
    return None


@contextmanager
def report_lost_processes(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Raise UserError instead of TensorFlow's error when another process is gone."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if isinstance(strategy, CLUSTERED):
            found = " ".join(str(error).split())[:200]
            raise UserError(
                "another process of this training has ended or cannot be reached",
                found,
                "check its log, then restart all processes with --resume",
            ) from None
        raise


def sum_over_workers(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    """Sum the arrays of all workers, on every worker; all workers must call this together."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return values
    first = local_replicas(strategy).start

    def of_replica(context: Any) -> tf.Tensor:
        mine = context.replica_id_in_sync_group == first
        return tf.constant(values if mine else np.zeros_like(values))

    given = strategy.experimental_distribute_values_from_function(of_replica)
    return strategy.reduce(tf.distribute.ReduceOp.SUM, given, axis=None).numpy()


def largest_over_workers(strategy: tf.distribute.Strategy, number: int) -> int:
    """Find the largest number of all workers, on every worker."""
    workers = workers_of(strategy)
    if workers == 1 or not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return number
    numbers = np.zeros(strategy.num_replicas_in_sync, np.int64)
    numbers[local_replicas(strategy).start] = number
    return int(sum_over_workers(strategy, numbers).max())


def check_agreement(strategy: tf.distribute.Strategy, **facts: object) -> None:
    """Check that all workers have equal facts, such as the hash of the data.

    Args:
        strategy: The strategy of the workers.
        **facts: Values to compare by their repr, under the names of the error message.

    Raises:
        UserError: A fact differs; raised on every worker.
    """
    if workers_of(strategy) == 1:
        return
    replicas, first = strategy.num_replicas_in_sync, local_replicas(strategy).start
    for name, fact in facts.items():
        digest = np.frombuffer(hashlib.sha256(repr(fact).encode()).digest(), np.uint8)
        table = np.zeros((replicas, len(digest)), np.int64)
        table[first] = digest
        table = sum_over_workers(strategy, table)
        if any(row.any() and (row != table[0]).any() for row in table):
            raise UserError(
                f"the workers do not have the same {name}",
                f"{fact!r} on this worker, something else on another",
                "start all of them with the same flags, files and checkpoints",
            )

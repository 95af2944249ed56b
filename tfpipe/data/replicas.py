"""The share of each batch that belongs to this process, and its way to the devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import tensorflow as tf

from tfpipe.library_internals import cluster_roles, per_replica_spec

T = TypeVar("T")


def workers_of(strategy: tf.distribute.Strategy) -> int:
    """Count the processes that compute."""
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        return len(cluster_roles(strategy)["worker"])
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    roles = strategy.cluster_resolver.cluster_spec().as_dict()
    return len(roles.get("chief", ())) + len(roles.get("worker", ()))


def local_replicas(strategy: tf.distribute.Strategy) -> slice:
    """Return which of all replicas are in this process."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return slice(0, strategy.num_replicas_in_sync)
    resolver = strategy.cluster_resolver
    worker = resolver.task_id
    if resolver.task_type == "worker":
        worker += len(resolver.cluster_spec().as_dict().get("chief", ()))
    share = strategy.num_replicas_in_sync // workers_of(strategy)
    return slice(worker * share, (worker + 1) * share)


def needs_few_widths(strategy: tf.distribute.Strategy) -> bool:
    """Return whether the devices compile one program for every shape, as TPUs do."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


class DistributedBatches:
    """Batches for the replicas of this process, one for each replica at a time.

    TensorFlow's own distributed data sets do the same, but prefetch through data sets whose end
    waits for a tuning thread, which sleeps for up to a minute.

    Attributes:
        element_spec: Of the values of a step; None where every width must be traced separately.
    """

    def __init__(self, strategy: tf.distribute.Strategy, batches: tf.data.Dataset):
        self._strategy, self._batches = strategy, batches
        self._replicas = local_replicas(strategy)
        count = self._replicas.stop - self._replicas.start
        self.element_spec = None
        if not needs_few_widths(strategy):
            self.element_spec = tf.nest.map_structure(
                lambda spec: per_replica_spec(spec, count), batches.element_spec
            )

    def __iter__(self) -> Iterator[Any]:
        batches, first, stop = iter(self._batches), self._replicas.start, self._replicas.stop
        for batch in batches:
            local = [batch, *(next(batches) for _ in range(stop - first - 1))]

            def of_replica(context: Any, local: list[Any] = local) -> Any:
                return local[context.replica_id_in_sync_group - first]

            yield self._strategy.experimental_distribute_values_from_function(of_replica)


def compile_for(batches: Any, function: Callable[..., T]) -> Callable[..., T]:
    """Compile `function` of a batch as one graph for all widths; as one for each width on TPUs."""
    signature = None if batches.element_spec is None else [batches.element_spec]
    compiled: Callable[..., T] = tf.function(function, signature, autograph=False)
    return compiled

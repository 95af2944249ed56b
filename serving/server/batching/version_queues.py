"""Queues of one model version, one for each group of compatible requests."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from serving.server.batching.batch_queue import BatchQueue, BatchTask, queue_full
from serving.server.batching.parameters import BatchingParameters
from serving.server.errors import RequestError
from serving.server.request import RequestContext

# Requests of different widths have separate queues; in TensorFlow Serving they share one.
QUEUES_PER_VERSION = 16


class VersionQueues:
    """Queues of one model version, by group of compatible requests.

    Empty queues are removed, and all queues together hold at most the rows of QUEUES_PER_VERSION
    full ones, so that a client cannot exhaust the memory with new widths. Not thread-safe, see
    BatchQueue.
    """

    def __init__(
        self,
        parameters: BatchingParameters,
        run: Callable[[Sequence[str], list[BatchTask]], None],
    ):
        self.run = run
        self.closed = False
        self.queues: OrderedDict[Hashable, BatchQueue] = OrderedDict()
        self._parameters = parameters

    @property
    def rows(self) -> int:
        """Number of queued rows."""
        return sum(queue.rows for queue in self.queues.values())

    def add(
        self,
        kind: Hashable,
        fetches: Sequence[str],
        feeds: Mapping[str, np.ndarray],
        rows: int,
        context: RequestContext,
    ) -> list[BatchTask]:
        """Queue a request, split if it is large; raises RequestError (UNAVAILABLE)."""
        queue = self.queues.get(kind) or BatchQueue(fetches, self._parameters)
        try:
            self._check_total(rows)
            sizes = queue.split(rows)
        except RequestError:
            self.drop_expired()
            self._check_total(rows)
            sizes = queue.split(rows)
        self.queues[kind] = queue
        tasks, start = [], 0
        for size in sizes:
            part = feeds
            if size < rows:
                part = {name: array[start : start + size] for name, array in feeds.items()}
            task = BatchTask(part, size, context)
            queue.add(task)
            tasks.append(task)
            start += size
        return tasks

    def take(self, now: float) -> tuple[Sequence[str], list[BatchTask]] | float:
        """Remove and return fetches and tasks of the next batch that may run, round robin.

        Without one, return when the next is due, see BatchQueue.due.
        """
        soonest = float("inf")
        for kind, queue in list(self.queues.items()):
            due = queue.due()
            if due > now:
                soonest = min(soonest, due)
                continue
            tasks = queue.take(now)
            self.queues.move_to_end(kind)
            if not queue.rows:
                del self.queues[kind]
            if tasks:
                return queue.fetches, tasks
        return soonest

    def remove(self, kind: Hashable, task: BatchTask) -> bool:
        """Remove a task; return False if it is not queued any more."""
        if task.batch is None:
            return False
        self.queues[kind].remove(task)
        if not self.queues[kind].rows:
            del self.queues[kind]
        return True

    def drop_expired(self) -> None:
        """Fail all expired and cancelled tasks, to free their space."""
        now = time.monotonic()
        for kind, queue in list(self.queues.items()):
            queue.drop_expired(now)
            if not queue.rows:
                del self.queues[kind]

    def fail(self, error: RequestError) -> None:
        """Fail all queued tasks."""
        for queue in self.queues.values():
            while queue.rows:
                for task in queue.take(time.monotonic()):
                    task.fail(error)
        self.queues.clear()

    def _check_total(self, rows: int) -> None:
        if len(self.queues) < QUEUES_PER_VERSION:
            return
        limit = QUEUES_PER_VERSION * self._parameters.max_enqueued_batches
        if self.rows + rows > limit * self._parameters.run_size:
            count = sum(queue.count for queue in self.queues.values())
            raise queue_full(
                f"currently {count} batches enqueued and max_enqueued_batches is {limit}"
            )

"""Batch threads, shared by all models."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence

import grpc
import numpy as np

from serving.server.batching.batch_queue import BatchTask
from serving.server.batching.parameters import BatchingParameters
from serving.server.batching.version_queues import VersionQueues
from serving.server.errors import RequestError, log_fault
from serving.server.request import RequestContext

Run = Callable[[Sequence[str], list[BatchTask]], None]


class BatchScheduler:
    """Batch threads that take the next due batch from each version, round robin.

    They start with the first model version and end with the last. While all are busy, requests are
    queued and form batches.

    Args:
        name: Name of the thread pool.
        threads: Number of threads.
    """

    def __init__(self, name: str, threads: int):
        self.name = name
        self._size = threads
        self._versions: deque[VersionQueues] = deque()
        self._threads: set[threading.Thread] = set()
        # One lock for all state; never held while a batch runs.
        self._changed = threading.Condition(threading.Lock())
        self._idle = 0

    def open(self, parameters: BatchingParameters, run: Run) -> VersionQueues:
        """Create the queues of a model version.

        Args:
            parameters: Batching parameters.
            run: Runs a batch: takes names of fetches and tasks, completes or fails every task.
        """
        version = VersionQueues(parameters, run)
        with self._changed:
            self._versions.append(version)
            for number in range(len(self._threads), self._size):
                thread = threading.Thread(
                    target=self._work, name=f"{self.name}_{number}", daemon=True
                )
                self._threads.add(thread)
                thread.start()
        return version

    def close(self, version: VersionQueues) -> None:
        """Fail the queued tasks of a version with UNAVAILABLE, and accept no more."""
        with self._changed:
            version.closed = True
            version.fail(_unloaded())
            if version in self._versions:
                self._versions.remove(version)
            if not self._versions:
                self._changed.notify_all()

    def submit(
        self,
        version: VersionQueues,
        kind: Hashable,
        fetches: Sequence[str],
        feeds: Mapping[str, np.ndarray],
        rows: int,
        context: RequestContext,
    ) -> list[BatchTask]:
        """Queue a request; return its tasks. Raises RequestError (UNAVAILABLE)."""
        with self._changed:
            if version.closed:
                raise _unloaded()
            waited = kind in version.queues
            tasks = version.add(kind, fetches, feeds, rows, context)
            # No notification when an open batch only grows: a thread waits for it already.
            if self._idle and (not waited or version.queues[kind].due() == 0.0):
                self._changed.notify()
        return tasks

    def withdraw(self, version: VersionQueues, kind: Hashable, task: BatchTask) -> bool:
        """Remove a task; return False if it is not queued any more."""
        with self._changed:
            return version.remove(kind, task)

    def count_waiting(self, version: VersionQueues) -> int:
        """Return the number of queued rows of a version."""
        with self._changed:
            return version.rows

    def _work(self) -> None:
        while True:
            with self._changed:
                batch = self._take()
            if batch is None:
                return
            version, fetches, tasks = batch
            try:
                version.run(fetches, tasks)
            except Exception as error:
                # `run` passes exceptions of a model to the tasks: any other is a fault of this
                # server, which must not end the thread or leave a request without a response.
                log_fault("a batch", error)
                for task in tasks:
                    task.fail(error)

    def _take(self) -> tuple[VersionQueues, Sequence[str], list[BatchTask]] | None:
        # Called with the lock held; blocks until a batch is due. None ends the thread.
        while self._versions:
            now, soonest = time.monotonic(), float("inf")
            for _ in range(len(self._versions)):
                version = self._versions[0]
                self._versions.rotate(-1)
                found = version.take(now)
                if not isinstance(found, float):
                    # A notification is for one batch: another may be due, now or later, for which
                    # only this thread was waiting.
                    if self._idle and any(version.queues for version in self._versions):
                        self._changed.notify()
                    return version, *found
                soonest = min(soonest, found)
            self._idle += 1
            try:
                self._changed.wait(None if soonest == float("inf") else soonest - now)
            finally:
                self._idle -= 1
        self._threads.discard(threading.current_thread())
        return None


def _unloaded() -> RequestError:
    return RequestError(grpc.StatusCode.UNAVAILABLE, "The model version is being unloaded")

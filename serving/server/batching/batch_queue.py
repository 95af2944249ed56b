"""Queue of compatible requests, packed into batches on arrival.

Packing and limits are those of TF's shared_batch_scheduler.h.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from serving.server.batching.parameters import BatchingParameters
from serving.server.errors import RequestError
from serving.server.request import RequestContext


class BatchTask:
    """A request, or a part of a large one, that goes into one batch.

    Attributes:
        feeds: Arrays by tensor name.
        rows: Number of rows.
        context: Deadline and cancellation of the request.
        queued: Time of queuing in seconds of time.monotonic().
        batch: Batch in the queue; None when not queued.
        values: (DataType, value) of the fetched tensors by name, after success.
        error: Reason of a failure.
        done: Whether the task has succeeded or failed.
    """

    __slots__ = (
        "feeds",
        "rows",
        "context",
        "queued",
        "batch",
        "values",
        "error",
        "done",
        "_waking",
    )

    def __init__(self, feeds: Mapping[str, np.ndarray], rows: int, context: RequestContext):
        self.feeds = feeds
        self.rows = rows
        self.context = context
        self.queued = time.monotonic()
        self.batch: Batch | None = None
        self.values: Mapping[str, tuple[int, Any]] = {}
        self.error: Exception | None = None
        self.done = False
        # A bare lock, held until the task is done: the cheapest way to block and wake a thread.
        self._waking = threading.Lock()
        self._waking.acquire()

    def wait(self, seconds: float | None) -> bool:
        """Block until the task is done (True) or the time has passed (False)."""
        if seconds is None:
            return self._waking.acquire()
        return self._waking.acquire(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX))

    def succeed(self, values: Mapping[str, tuple[int, Any]]) -> None:
        """Complete the task and wake the waiting thread."""
        self.values = values
        self._finish()

    def fail(self, error: Exception) -> None:
        """Fail the task and wake the waiting thread, unless it is done already."""
        if not self.done:
            self.error = error
            self._finish()

    def _finish(self) -> None:
        self.done = True
        self._waking.release()

    def find_rejection(self, now: float) -> RequestError | None:
        """Return the error of an expired or cancelled task; None for any other."""
        if self.context.deadline is not None and self.context.deadline <= now:
            return RequestError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "Run() timeout exceeded while waiting in batching queue",
            )
        if self.context.cancelled():
            return RequestError(grpc.StatusCode.CANCELLED, "Cancelled")
        return None


class Batch:
    """Tasks of one run."""

    __slots__ = ("tasks", "rows")

    def __init__(self) -> None:
        self.tasks: deque[BatchTask] = deque()
        self.rows = 0


class BatchQueue:
    """Batches of compatible tasks: same feeds, dtypes, widths and fetches.

    The last batch is open, those before it are closed and never empty. Not thread-safe: the
    scheduler holds its lock during every call.
    """

    def __init__(self, fetches: Sequence[str], parameters: BatchingParameters):
        self.fetches = fetches
        self.rows = 0
        self._parameters = parameters
        self._wait = parameters.batch_timeout_micros / 1e6
        self._batches: deque[Batch] = deque([Batch()])

    @property
    def count(self) -> int:
        """Number of batches, including the open one."""
        return len(self._batches)

    def split(self, rows: int) -> list[int]:
        """Return the sizes into which a request is split; the first part fills the open batch.

        Raises:
            RequestError: The queue is full (UNAVAILABLE).
        """
        limit, largest = self._parameters.max_enqueued_batches, self._parameters.run_size
        count, space = len(self._batches), largest - self._batches[-1].rows
        if self._parameters.enable_large_batch_splitting:
            capacity = max(0, limit - count) * largest + space
            if rows > capacity:
                raise queue_full(
                    f"task size is {rows} but scheduling capacity is only {capacity} "
                    f"(num_enqueued_batches={count}, max_enqueued_batches={limit}, "
                    f"open_batch_size={largest - space}, max_execution_batch_size={largest})"
                )
            sizes = [min(rows, space)] if space else []
            rows -= sum(sizes)
            return sizes + [min(largest, rows - start) for start in range(0, rows, largest)]
        if rows > space and count >= limit:
            raise queue_full(
                f"currently {count} batches enqueued and max_enqueued_batches is {limit}"
            )
        return [rows]

    def add(self, task: BatchTask) -> None:
        """Queue a task of a size from `split` in the open batch or a new one."""
        if self._batches[-1].rows + task.rows > self._parameters.run_size:
            self._batches.append(Batch())
        batch = self._batches[-1]
        batch.tasks.append(task)
        batch.rows += task.rows
        self.rows += task.rows
        task.batch = batch

    def remove(self, task: BatchTask) -> None:
        """Remove a queued task."""
        batch = task.batch
        assert batch is not None
        batch.tasks.remove(task)
        self._forget(batch, task)
        if not batch.tasks and batch is not self._batches[-1]:
            self._batches.remove(batch)

    def drop_expired(self, now: float) -> None:
        """Fail all expired and cancelled tasks."""
        for task in [task for batch in self._batches for task in batch.tasks]:
            rejection = task.find_rejection(now)
            if rejection is not None:
                self.remove(task)
                task.fail(rejection)

    def due(self) -> float:
        """Return when the next batch may run, in seconds of time.monotonic().

        0 if it is closed or full, infinity when the queue is empty.
        """
        first = self._batches[0]
        if len(self._batches) > 1 or first.rows >= self._parameters.run_size:
            return 0.0
        return first.tasks[0].queued + self._wait if first.tasks else float("inf")

    def take(self, now: float) -> list[BatchTask]:
        """Remove and return the tasks of the next batch, filled up from the batches behind it.

        Expired and cancelled tasks fail instead, so that the result may be empty.
        """
        tasks: list[BatchTask] = []
        space = self._parameters.run_size
        while self._batches:
            batch = self._batches[0]
            while batch.tasks and batch.tasks[0].rows <= space:
                task = batch.tasks.popleft()
                self._forget(batch, task)
                rejection = task.find_rejection(now)
                if rejection is None:
                    space -= task.rows
                    tasks.append(task)
                else:
                    task.fail(rejection)
            if batch.tasks:
                return tasks
            self._batches.popleft()
        self._batches.append(Batch())
        return tasks

    def _forget(self, batch: Batch, task: BatchTask) -> None:
        task.batch = None
        batch.rows -= task.rows
        self.rows -= task.rows


def queue_full(details: str) -> RequestError:
    """Build the error of a full queue."""
    return RequestError(
        grpc.StatusCode.UNAVAILABLE,
        f"The batch scheduling queue to which this task was submitted is full; {details}",
    )

"""Batching of concurrent requests, as TensorFlow Serving's batching session.

Unlike there, requests of different widths are queued separately and never pad one another or make
one another fail, and after a failed batch only those requests fail that fail alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from serving.server import metrics
from serving.server.batching.batch_queue import BatchTask
from serving.server.batching.batch_run import RunUnbatched, run_batch
from serving.server.batching.batch_scheduler import BatchScheduler
from serving.server.batching.parameters import BatchingParameters, read_batching_parameters
from serving.server.errors import RequestError, StartFailure, invalid_argument
from serving.server.flags import ServerFlags
from serving.server.request import RequestContext

logger = logging.getLogger(__name__)

PER_MODEL_FILE = "batching_params.pbtxt"
THREAD_POOL_NAME = "model_server_batch_threads"


class BatcherFactory:
    """Creates batchers as configured by the flags, on shared batch threads.

    Raises:
        StartFailure: --batching_parameters_file is invalid.
    """

    def __init__(self, flags: ServerFlags):
        self._enabled = flags.enable_batching
        self._per_model = flags.enable_per_model_batching_parameters
        self._parameters = BatchingParameters(thread_pool_name=THREAD_POOL_NAME)
        if not self._enabled:
            if self._per_model:
                logger.warning(
                    "--enable_per_model_batching_parameters is ignored without --enable_batching"
                )
            return
        if flags.batching_parameters_file:
            try:
                self._parameters = read_batching_parameters(Path(flags.batching_parameters_file))
            except RequestError as error:
                raise StartFailure(
                    error.code,
                    error.details,
                    "write --batching_parameters_file as text BatchingParameters, such as "
                    "`max_batch_size { value: 128 }`",
                ) from None
        threads = self._parameters.num_batch_threads
        if threads < 1:
            raise StartFailure(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"num_batch_threads must be positive; was {threads}",
            )
        self._scheduler = BatchScheduler(self._parameters.thread_pool_name, threads)

    def attach(self, model: Any, folder: Path) -> None:
        """Attach a batcher to a LoadedModel, where batching is enabled for it.

        Args:
            model: LoadedModel.
            folder: Version folder, which may contain the version's own parameters.

        Raises:
            RequestError: The version's parameters are invalid.
        """
        if not self._enabled:
            return
        parameters = self._parameters
        if self._per_model:
            path = folder / PER_MODEL_FILE
            if not path.is_file():
                return
            parameters = replace(
                read_batching_parameters(path), thread_pool_name=parameters.thread_pool_name
            )
        parameters.check()
        if parameters.pad_variable_length_inputs:
            logger.warning(
                "model %s version %s: pad_variable_length_inputs: requests of different "
                "widths run in separate batches instead of being padded",
                model.name,
                model.version,
            )
        labels = model.name, str(model.version)
        model.batcher = Batcher(model.run_unbatched, parameters, self._scheduler, labels)


class Batcher:
    """Runs the requests of one model version in batches. Thread-safe.

    Args:
        run_unbatched: Runs the model: (feeds, fetches, timeout) -> outputs.
        parameters: Batching parameters.
        scheduler: Batch threads.
        labels: Name and version of the model, for the metrics.
    """

    def __init__(
        self,
        run_unbatched: RunUnbatched,
        parameters: BatchingParameters,
        scheduler: BatchScheduler,
        labels: tuple[str, str] = ("", ""),
    ):
        self._labels = labels
        self._run_unbatched = run_unbatched
        self._parameters = parameters
        self._scheduler = scheduler
        self.queues = scheduler.open(parameters, self._run_batch)

    @property
    def waiting(self) -> int:
        """Number of queued rows."""
        return self._scheduler.count_waiting(self.queues)

    def run(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], context: RequestContext
    ) -> list[tuple[int, Any]]:
        """Run a request in a batch; blocks. A request without feeds or rows runs alone.

        Args:
            feeds: Arrays by tensor name, with equal first dimension.
            fetches: Names of the tensors to fetch.
            context: Deadline and cancellation.

        Returns:
            (DataType, array) of each fetched tensor, for the request's own rows.

        Raises:
            RequestError: The queue is full, the deadline has passed, or the run failed.
        """
        if not feeds:
            return self._run_unbatched(feeds, fetches, context.remaining())
        rows = count_rows(feeds)
        if rows > self._parameters.max_batch_size:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._parameters.max_batch_size}"
            )
        if not rows:
            return self._run_unbatched(feeds, fetches, context.remaining())
        metrics.BATCH_INPUT_SIZE.observe(rows)
        names = tuple(sorted(set(fetches)))
        kind = (tuple(feeds), names, *((a.dtype, a.shape[1:]) for a in feeds.values()))
        tasks = self._scheduler.submit(self.queues, kind, names, feeds, rows, context)
        try:
            for task in tasks:
                self._wait(kind, task, context)
        except BaseException:
            for task in tasks:
                self._scheduler.withdraw(self.queues, kind, task)
            raise
        if len(tasks) == 1:
            return [tasks[0].values[name] for name in fetches]
        return [
            (
                tasks[0].values[name][0],
                np.concatenate([task.values[name][1] for task in tasks]),
            )
            for name in fetches
        ]

    def close(self) -> None:
        """Fail queued requests with UNAVAILABLE; running batches complete."""
        self._scheduler.close(self.queues)

    def _wait(self, kind: Hashable, task: BatchTask, context: RequestContext) -> None:
        if not task.wait(context.remaining()):
            if self._scheduler.withdraw(self.queues, kind, task):
                raise RequestError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    "Run() timeout exceeded while waiting in batching queue",
                )
            if not task.done:
                raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if isinstance(task.error, RequestError):
            # Other threads may raise the same error: a copy has a traceback of its own.
            raise RequestError(task.error.code, task.error.details)
        if task.error is not None:
            raise task.error

    def _run_batch(self, fetches: Sequence[str], tasks: list[BatchTask]) -> None:
        now, pool = time.monotonic(), self._scheduler.name
        metrics.BATCH_SIZE.observe(sum(task.rows for task in tasks), *self._labels)
        for task in tasks:
            waited = (now - task.queued) * 1e6
            metrics.BATCH_QUEUING_LATENCY.observe(waited, pool)
            metrics.QUEUE_TIME.observe(waited, *self._labels)
        run_batch(self._run_unbatched, self._parameters, fetches, tasks)


def count_rows(feeds: Mapping[str, np.ndarray]) -> int:
    """Return the common first dimension of all feeds; raises RequestError."""
    sizes = set()
    for value in feeds.values():
        if np.ndim(value) == 0:
            raise invalid_argument("Batching Run() input tensors must have at least one dimension")
        sizes.add(len(value))
    if len(sizes) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()

"""Execution of one batch: concatenate, pad, run, split."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from serving.server import metrics
from serving.server.batching.batch_queue import BatchTask
from serving.server.batching.parameters import BatchingParameters
from serving.server.errors import RequestError

RunUnbatched = Callable[
    [Mapping[str, np.ndarray], Sequence[str], "float | None"], list[tuple[int, Any]]
]
# Codes that do not depend on a single request: splitting the batch would not help.
NOT_SPLIT = (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)


def run_batch(
    run_unbatched: RunUnbatched,
    parameters: BatchingParameters,
    fetches: Sequence[str],
    tasks: Sequence[BatchTask],
) -> None:
    """Run a batch, and complete or fail every task.

    After a failure both halves of the batch run separately, recursively: a request fails only with
    the error of a run of its own, at the cost of two runs of each size.
    """
    try:
        outputs = run_together(run_unbatched, parameters, fetches, tasks)
    except Exception as error:
        if len(tasks) == 1 or (isinstance(error, RequestError) and error.code in NOT_SPLIT):
            for task in tasks:
                task.fail(error)
            return
        now = time.monotonic()
        for half in (tasks[: len(tasks) // 2], tasks[len(tasks) // 2 :]):
            remaining = []
            for task in half:
                rejection = task.find_rejection(now)
                if rejection is None:
                    remaining.append(task)
                else:
                    task.fail(rejection)
            if remaining:
                run_batch(run_unbatched, parameters, fetches, remaining)
        return
    try:
        check_outputs(outputs, parameters.pad(sum(task.rows for task in tasks)))
    except RequestError as error:
        for task in tasks:
            task.fail(error)
        return
    start = 0
    for task in tasks:
        stop = start + task.rows
        task.succeed(
            {
                name: (datatype, value if len(value) == task.rows else value[start:stop])
                for name, (datatype, value) in zip(fetches, outputs, strict=True)
            }
        )
        start = stop


def run_together(
    run_unbatched: RunUnbatched,
    parameters: BatchingParameters,
    fetches: Sequence[str],
    tasks: Sequence[BatchTask],
) -> list[tuple[int, Any]]:
    """Run all tasks at once, until the latest of their deadlines.

    Returns:
        (DataType, value) of each fetch, with the rows of the padding last.
    """
    rows = sum(task.rows for task in tasks)
    padding = parameters.pad(rows) - rows
    feeds = {
        name: concatenate([task.feeds[name] for task in tasks], padding) for name in tasks[0].feeds
    }
    metrics.BATCH_PROCESSED_SIZE.observe(rows + padding)
    metrics.BATCH_PADDING_SIZE.observe(padding, str(rows + padding))
    deadlines = [task.context.deadline for task in tasks]
    timeout = None
    if None not in deadlines:
        timeout = max(deadline for deadline in deadlines if deadline) - time.monotonic()
    try:
        return run_unbatched(feeds, fetches, timeout)
    finally:
        metrics.BATCH_WRAPPED_RUN_COUNT.increase()


def concatenate(arrays: list[np.ndarray], padding: int) -> np.ndarray:
    """Concatenate rows, plus `padding` copies of the last array's first row.

    A single array without padding is not copied.
    """
    if padding:
        arrays = [*arrays, np.repeat(arrays[-1][:1], padding, axis=0)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def check_outputs(outputs: Sequence[tuple[int, Any]], rows: int) -> None:
    """Raise RequestError (FAILED_PRECONDITION) unless outputs have one row for each input row."""
    for _, value in outputs:
        if np.ndim(value) == 0:
            raise RequestError(
                grpc.StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions"
            )
        if len(value) != rows:
            raise RequestError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                "dimension sizes of the input tensors",
            )

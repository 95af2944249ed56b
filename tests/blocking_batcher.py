"""A batcher whose runs block until the test releases them, and its clients."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np

from serving.server.batching.batch_scheduler import BatchScheduler
from serving.server.batching.batcher import Batcher
from serving.server.batching.parameters import BatchingParameters
from serving.server.errors import RequestError
from serving.server.request import RequestContext
from tests.support.waiting import wait_until

PATIENCE = 60
FLOAT, STRING = 1, 7


class BlockingModel:
    """Model with the outputs `double` and `text` of `x`, which blocks until `go` is set.

    `sizes` and `timeouts` have an entry for each run. Negative rows are rejected.
    """

    def __init__(self):
        self.sizes: list[int] = []
        self.feeds: list[np.ndarray] = []
        self.timeouts: list[float | None] = []
        self.go = threading.Event()

    def run_unbatched(self, feeds, fetches, timeout):
        x = np.asarray(feeds["x"]) if feeds else np.zeros(1)
        self.feeds.append(x)
        self.timeouts.append(timeout)
        self.sizes.append(len(x))
        assert self.go.wait(PATIENCE)
        if np.any(x < 0):
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, f"negative: {x[x < 0][0]:g}")
        outputs = {
            "double": (FLOAT, x * 2),
            "text": (STRING, np.array([b"%d" % len(x)] * len(x), dtype=object)),
            "scalar": (FLOAT, np.float32(1)),
            "bytes": (STRING, b"one"),
            "surplus": (FLOAT, np.zeros(len(x) + 1)),
            "broken": (FLOAT, x),
        }
        if "broken" in fetches:
            raise ZeroDivisionError("a mistake of ours")
        return [outputs[name] for name in fetches]


class Clients:
    """Requests to a batcher, each from its own thread."""

    def __init__(self, batcher: Batcher, model: BlockingModel):
        self.batcher = batcher
        self.model = model
        self.pool = ThreadPoolExecutor(100)

    def send(self, x, fetches=("double",), call=None) -> Future:
        """Send a request; return once it is queued or running."""
        before = self.batcher.waiting, len(self.model.sizes)
        future = self.pool.submit(
            self.batcher.run, {"x": np.asarray(x)}, list(fetches), call or RequestContext()
        )
        wait_until(lambda: future.done() or before != (self.batcher.waiting, len(self.model.sizes)))
        return future

    def occupy(self) -> Future:
        """Send a request that blocks the only batch thread until `go` is set."""
        future = self.send([0.0])
        wait_until(lambda: self.model.sizes == [1])
        return future


def refusal(future: Future) -> tuple[grpc.StatusCode, str]:
    error = future.exception(PATIENCE)
    assert isinstance(error, RequestError), error
    return error.code, error.details


def rows(future: Future, output: int = 0) -> list:
    return future.result(PATIENCE)[output][1].tolist()


@contextlib.contextmanager
def block_batches() -> Iterator[Any]:
    """Yield start(threads=1, scheduler=None, **parameters): Clients around a BlockingModel."""
    started = []

    def start(threads=1, scheduler=None, **parameters) -> Clients:
        model = BlockingModel()
        scheduler = scheduler or BatchScheduler("test_threads", threads)
        parameters = BatchingParameters(**parameters)
        clients = Clients(Batcher(model.run_unbatched, parameters, scheduler), model)
        started.append(clients)
        return clients

    try:
        yield start
    finally:
        for clients in started:
            clients.model.go.set()
            clients.batcher.close()
            clients.pool.shutdown()

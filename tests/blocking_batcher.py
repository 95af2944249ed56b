"""A batcher whose runs wait until the test lets them go, and clients that wait for it."""

from __future__ import annotations

import contextlib
import threading
import time
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

PATIENCE = 60
FLOAT, STRING = 1, 7


class HeldModel:
    """What a batcher runs: answers `double` and `text` for `x`, once it is let go.

    `sizes` and `timeouts` tell of each run that has begun. A row that is negative is refused.
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
    """Requests to a batcher, each from a thread of its own."""

    def __init__(self, batcher: Batcher, model: HeldModel):
        self.batcher = batcher
        self.model = model
        self.pool = ThreadPoolExecutor(100)

    def send(self, x, fetches=("double",), call=None) -> Future:
        """A request that goes to the batcher now, and waits there or runs when this returns."""
        before = self.batcher.waiting, len(self.model.sizes)
        future = self.pool.submit(
            self.batcher.run, {"x": np.asarray(x)}, list(fetches), call or RequestContext()
        )
        wait_until(lambda: future.done() or before != (self.batcher.waiting, len(self.model.sizes)))
        return future

    def occupy(self) -> Future:
        """A request that keeps the only batch thread busy until the model is let go."""
        future = self.send([0.0])
        wait_until(lambda: self.model.sizes == [1])
        return future


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def refusal(future: Future) -> tuple[grpc.StatusCode, str]:
    error = future.exception(PATIENCE)
    assert isinstance(error, RequestError), error
    return error.code, error.details


def rows(future: Future, output: int = 0) -> list:
    return future.result(PATIENCE)[output][1].tolist()


@contextlib.contextmanager
def hold_batches() -> Iterator[Any]:
    """start(threads=1, scheduler=None, **parameters): Clients of a batcher around a HeldModel."""
    started = []

    def start(threads=1, scheduler=None, **parameters) -> Clients:
        model = HeldModel()
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

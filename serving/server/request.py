"""One request in the server, from gRPC or REST: its context, its record, and its memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from serving.server import metrics
from serving.server.errors import RequestError
from serving.server.request_log import LogEntry, RequestLog

# TensorFlow Serving counts these APIs, and every REST request.
COUNTED = frozenset(["Predict", "Classify", "Regress"])


@dataclass(frozen=True)
class RequestContext:
    """Origin, deadline and cancellation of a request.

    Args:
        entrypoint: "GRPC", "REST" or "WARMUP"; a label of the metrics.
        api: Name of the API; a label of the metrics.
        deadline: In seconds of time.monotonic(); None: no deadline.
        cancelled: Returns whether the client has disconnected or cancelled.
        started: Time of arrival in seconds of time.perf_counter().
    """

    entrypoint: str = "GRPC"
    api: str = "Predict"
    deadline: float | None = None
    cancelled: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.perf_counter)

    def remaining(self) -> float | None:
        """Return the seconds until the deadline; None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def check(self) -> None:
        """Raise a RequestError after the deadline or a cancellation."""
        remaining = self.remaining()
        if remaining is not None and remaining <= 0:
            raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if self.cancelled():
            raise RequestError(grpc.StatusCode.CANCELLED, "Cancelled")


class RequestRecord:
    """Metrics and log entry of one request: a `with` block, or `finish` without one.

    Args:
        log: Request log.
        context: Context of the request.
        model: Requested model.
        counted: False keeps the request out of TensorFlow Serving's counters: its gRPC layer would
            have rejected the request before counting.
    """

    def __init__(
        self, log: RequestLog, context: RequestContext, model: str = "", counted: bool = True
    ):
        self._log = log
        self._context = context
        self._counted = counted and (context.entrypoint == "REST" or context.api in COUNTED)
        self.model = model
        self.version = ""
        self.signature = ""
        self.rows: int | None = None

    def set_model(self, model: Any, signature: str | None) -> None:
        """Record the version that answers, and the requested signature if the model has it."""
        metrics.keep_label(self.model)
        self.version = str(model.version)
        if signature is not None:
            signature = signature or "serving_default"
            self.signature = signature if signature in model.signatures else ""

    def __enter__(self) -> RequestRecord:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.finish("OK")
        else:
            self.finish(error.code.name if isinstance(error, RequestError) else "INTERNAL")

    def finish(self, status: str) -> None:
        """Count and log the request with the name of a gRPC status."""
        context, model = self._context, self.model
        microseconds = (time.perf_counter() - context.started) * 1e6
        if self._counted:
            metrics.REQUEST_COUNT.increase(model, status)
            if status == "OK":
                metrics.REQUEST_LATENCY.observe(
                    microseconds, model, context.api, context.entrypoint
                )
        metrics.VERSION_REQUEST_COUNT.increase(
            model, self.version, self.signature, context.api, status
        )
        if self._log.wants(status):
            self._log.add(
                LogEntry(
                    model,
                    self.version,
                    self.signature,
                    context.api,
                    context.entrypoint,
                    status,
                    microseconds / 1000,
                    self.rows,
                    time.time(),
                )
            )


class PendingBytes:
    """Bound on the bytes of all messages in the server; a single message is always admitted."""

    def __init__(self, limit: int):
        self._limit = limit
        self._lock = threading.Lock()
        self.total = 0

    def admit(self, count: int) -> None:
        """Reserve `count` bytes for a request; raises RequestError above the limit."""
        with self._lock:
            if self.total and self.total + count > self._limit:
                raise RequestError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"Too many bytes of requests and responses are pending: {self.total}, plus "
                    f"{count} of this request, limit {self._limit}",
                )
            self.total += count

    def add(self, count: int) -> None:
        """Reserve `count` bytes for a response, without a limit: it is in memory already."""
        with self._lock:
            self.total += count

    def release(self, count: int) -> None:
        """Release reserved bytes."""
        with self._lock:
            self.total -= count

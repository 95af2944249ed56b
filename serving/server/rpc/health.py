"""grpc.health.v1: SERVING while every configured model is available."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from serving.server.errors import RequestError
from serving.server.request import RequestContext
from serving.server.rpc.unary_handler import (
    RpcLimits,
    UnaryHandler,
    parse_message,
    receive,
    truncate_details,
)

SERVICE = "grpc.health.v1.Health"
# Service names of TensorFlow Serving; "" is the server as a whole.
NAMES = frozenset(["", "PredictionService", "ModelService"])
# Each occupies a thread; further ones are rejected.
WATCHERS_LIMIT = 64
POLL_SECONDS = 0.5


class HealthService:
    """Health service; `ready` returns whether every model is available.

    Not grpc_health's own servicer: that stores states and has no bound on watchers or on the time
    that a client may take to send its request.
    """

    def __init__(self, ready: Callable[[], bool], limits: RpcLimits):
        self._ready = ready
        self._limits = limits
        self._draining = threading.Event()
        self._watchers = threading.Semaphore(WATCHERS_LIMIT)

    def drain(self) -> None:
        """Report NOT_SERVING from now on and end all watches, for which stopping waits."""
        self._draining.set()

    def add_to(self, server: grpc.Server) -> None:
        """Register both methods."""
        check = UnaryHandler("Check", health_pb2.HealthCheckRequest, self.check, self._limits)
        server.add_registered_method_handlers(
            SERVICE,
            {
                "Check": grpc.stream_unary_rpc_method_handler(check),
                "Watch": grpc.stream_stream_rpc_method_handler(self.watch),
            },
        )

    def check(self, request: Any, context: RequestContext) -> Any:
        """Return the current status; raises RequestError for an unknown service."""
        if request.service not in NAMES:
            raise RequestError(grpc.StatusCode.NOT_FOUND, f"unknown service {request.service}")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    def watch(self, messages: Iterator[bytes], grpc_context: Any) -> Iterator[bytes]:
        """Yield the status now and after each change, until client or server end the call."""
        if not self._watchers.acquire(blocking=False):
            grpc_context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"Health has {WATCHERS_LIMIT} watchers already"
            )
        try:
            data = receive(messages, grpc_context, self._limits)
            service = parse_message(health_pb2.HealthCheckRequest, data).service
            yield from self._follow(service, grpc_context)
        except RequestError as error:
            grpc_context.abort(error.code, truncate_details(error.details))
        finally:
            self._watchers.release()

    def _follow(self, service: str, grpc_context: Any) -> Iterator[bytes]:
        sent = None
        while grpc_context.is_active():
            ending = self._draining.is_set()
            status = self._status(service)
            if status != sent:
                sent = status
                yield health_pb2.HealthCheckResponse(status=status).SerializeToString()
            if ending:
                return
            self._draining.wait(POLL_SECONDS)

    def _status(self, service: str) -> int:
        states = health_pb2.HealthCheckResponse
        if service not in NAMES:
            return states.SERVICE_UNKNOWN
        serving = not self._draining.is_set() and self._ready()
        return states.SERVING if serving else states.NOT_SERVING

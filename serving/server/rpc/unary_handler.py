"""Handler of a unary gRPC method: bytes in, bytes out, errors as a status.

Messages are parsed here and not by gRPC: in the request's own thread, after their size was counted,
with TensorFlow Serving's status for malformed messages and without a traceback for each of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving.server import metrics
from serving.server.errors import RequestError, log_fault
from serving.server.request import PendingBytes, RequestContext, RequestRecord
from serving.server.request_log import RequestLog
from serving.server.rpc.slow_clients import TransferTimeouts

# gRPC reports "no deadline" as a very long time, above this bound.
NO_DEADLINE_SECONDS = 10 * 365 * 86400
# TensorFlow Serving's limit in characters: details are sent in a header of limited size.
TRUNCATE_AT = 1024
# The header needs up to three bytes for each of these; clients accept 8 KiB of headers.
TRUNCATE_AT_BYTES = 2048


class RpcLimits:
    """Limits shared by all methods: inference threads, pending bytes, transfer times."""

    def __init__(
        self,
        threads: int,
        request_bytes: int,
        pending: PendingBytes,
        transfers: TransferTimeouts,
        log: RequestLog,
    ):
        self.threads = threading.Semaphore(threads)
        self.request_bytes = request_bytes
        self.pending = pending
        self.transfers = transfers
        self.log = log


class UnaryHandler:
    """Handler of a unary method.

    It is registered as a stream-unary method: only there the handler itself receives the message,
    and can time out on a client that never sends it. The wire format is the same.

    Args:
        name: Name of the method.
        request_class: Protobuf class of the request.
        answer: Computes the response.
        limits: Shared limits.
        runs_model: Whether a call needs one of the inference threads.
    """

    def __init__(
        self,
        name: str,
        request_class: Any,
        answer: Callable[[Any, RequestContext], Any],
        limits: RpcLimits,
        runs_model: bool = False,
    ):
        self._name = name
        self._request_class = request_class
        self._answer = answer
        self._limits = limits
        self._runs_model = runs_model

    def __call__(self, messages: Iterator[bytes], grpc_context: Any) -> bytes:
        """Answer one request; abort the call with the status of a RequestError."""
        try:
            return self._reply(messages, grpc_context)
        except RequestError as error:
            code, details = error.code, error.details
        except grpc.RpcError:
            # The client has disconnected; gRPC expects this exception to propagate.
            raise
        except Exception as error:
            log_fault(self._name, error)
            code, details = grpc.StatusCode.INTERNAL, "Internal server error"
        return grpc_context.abort(code, truncate_details(details))

    def _reply(self, messages: Iterator[bytes], grpc_context: Any) -> bytes:
        limits = self._limits
        size = 0
        try:
            data = receive(messages, grpc_context, limits)
            limits.pending.admit(len(data))
            size = len(data)
            request = parse_message(self._request_class, data)
        except RequestError as error:
            limits.pending.release(size)
            RequestRecord(limits.log, RequestContext("GRPC", self._name), counted=False).finish(
                error.code.name
            )
            raise
        try:
            del data
            context = read_context(grpc_context, self._name)
            response = (
                self._run(request, context) if self._runs_model else self._answer(request, context)
            )
            reply = serialize(response)
        finally:
            limits.pending.release(size)
        self._track_transfer(grpc_context, len(reply))
        return reply

    def _run(self, request: Any, context: RequestContext) -> Any:
        threads = self._limits.threads
        # After a timeout the deadline has passed, which the service reports.
        acquired = threads.acquire(timeout=context.remaining())
        try:
            waited = time.perf_counter() - context.started
            metrics.THREAD_WAIT.observe(waited * 1e6, context.entrypoint)
            return self._answer(request, context)
        finally:
            if acquired:
                threads.release()

    def _track_transfer(self, grpc_context: Any, size: int) -> None:
        # gRPC keeps the response in memory until the client has read it, which may be never.
        limits = self._limits
        key = limits.transfers.begin(grpc_context)
        limits.pending.add(size)

        def finish_transfer() -> None:
            limits.transfers.finish(key)
            limits.pending.release(size)

        if not grpc_context.add_callback(finish_transfer):
            finish_transfer()


def receive(messages: Iterator[bytes], grpc_context: Any, limits: RpcLimits) -> bytes:
    """Receive the only message of a call; raises RequestError, or RpcError if it was aborted."""
    key = limits.transfers.begin(grpc_context)
    try:
        data = next(messages, None)
    finally:
        limits.transfers.finish(key)
    if data is None:
        raise RequestError(grpc.StatusCode.CANCELLED, "The client sent no message")
    if len(data) > limits.request_bytes:
        raise RequestError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"Received message larger than max ({len(data)} vs. {limits.request_bytes})",
        )
    return data


def parse_message(message_class: Any, data: bytes) -> Any:
    """Parse a message; raises RequestError."""
    try:
        return message_class.FromString(data)
    except DecodeError:
        raise RequestError(
            grpc.StatusCode.INTERNAL,
            f"The request cannot be parsed as {message_class.DESCRIPTOR.full_name}",
        ) from None


def serialize(response: Any) -> bytes:
    """Serialize a response; raises RequestError above protobuf's limit of 2 GiB."""
    try:
        return response.SerializeToString()
    except Exception:
        raise RequestError(
            grpc.StatusCode.INTERNAL, "The response exceeds the largest message (2 GiB)"
        ) from None


def read_context(grpc_context: Any, api: str) -> RequestContext:
    """Build the RequestContext of a gRPC context."""
    remaining = grpc_context.time_remaining()
    if remaining is not None and remaining > NO_DEADLINE_SECONDS:
        remaining = None
    deadline = None if remaining is None else time.monotonic() + remaining
    return RequestContext("GRPC", api, deadline, lambda: not grpc_context.is_active())


def truncate_details(details: str) -> str:
    """Truncate details as TensorFlow Serving does, and replace what UTF-8 cannot encode."""
    shown = details.encode("utf-8", "replace").decode()
    if len(shown) <= TRUNCATE_AT and len(shown.encode()) <= TRUNCATE_AT_BYTES:
        return shown
    cut = shown[:TRUNCATE_AT].encode()[:TRUNCATE_AT_BYTES]
    return cut.decode("utf-8", "ignore") + "...TRUNCATED"

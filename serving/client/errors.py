"""Client errors: which server, which model, what to do."""

from __future__ import annotations

import re

import grpc

INSPECT_HINT = "`python -m serving.client status` and `metadata` show what the server has."
CODE = grpc.StatusCode


class ClientError(Exception):
    """Base class: a request without an answer.

    Attributes:
        code: gRPC status; None when the client rejected the request before sending it.
        details: The server's own message.
    """

    def __init__(self, message: str, code: grpc.StatusCode | None = None, details: str = ""):
        super().__init__(message)
        self.code = code
        self.details = details


class InvalidRequest(ClientError):
    """The request does not fit the model: wrong signature, name, dtype, shape, text or size."""


class ModelNotFound(ClientError):
    """The server does not serve this model or version, or not yet."""


class ServerUnavailable(ClientError):
    """The server is unreachable, or temporarily rejects requests."""


class ServerOverloaded(ServerUnavailable):
    """The server is overloaded: a full batching queue, too many concurrent calls."""


class DeadlineExceeded(ClientError):
    """The request timed out."""


class AccessDenied(ClientError):
    """Authentication or authorization failed."""


class RequestCancelled(ClientError):
    """The request was cancelled: this client was closed, or the server cancelled it."""


class ServerFault(ClientError):
    """The server failed, lacks this method, or sent an undecodable response."""


NOT_FOUND = (
    ModelNotFound,
    "The server at {target} does not serve {model}.",
    "Check the name and the version; a model that is still loading is not found either.",
)
REFUSED = (
    InvalidRequest,
    "The server at {target} rejected the request to {model}.",
    INSPECT_HINT,
)
DENIED = (
    AccessDenied,
    "The server at {target} denied access to {model}: {code}.",
    "Check `token`, `metadata` and the client's `certificate`.",
)
UNREACHABLE = (
    ServerUnavailable,
    "No server answers at {target}, requested was {model}.",
    "Check the address, that the server is running, and that both sides use TLS or neither does.",
)
OVERLOADED = (
    ServerOverloaded,
    "The server at {target} is overloaded and rejected a request to {model}.",
    "Send fewer at once (`parallel`), allow more `retries`, or add a server.",
)
TOO_LARGE = (
    InvalidRequest,
    "A {method} message for {model} is larger than the server at {target} accepts.",
    "Lower `texts_per_request` or `bytes_per_request`.",
)
CANCELLED = (
    RequestCancelled,
    "The request to {model} at {target} was cancelled.",
    "This client was closed, or the server is stopping.",
)
TIMED_OUT = (
    DeadlineExceeded,
    "The server at {target} did not answer for {model} within {timeout:g} s.",
    "Raise `timeout` or lower `texts_per_request`.",
)
NO_METHOD = (
    ServerFault,
    "The server at {target} has no method {method} for {model}: {code}.",
    "Check that this is the gRPC port of a server with TensorFlow Serving's API.",
)
FAULT = (
    ServerFault,
    "The server at {target} failed on {method} for {model} with {code}.",
    "See its log.",
)
ERROR_KINDS = {
    CODE.NOT_FOUND: NOT_FOUND,
    CODE.INVALID_ARGUMENT: REFUSED,
    CODE.FAILED_PRECONDITION: REFUSED,
    CODE.OUT_OF_RANGE: REFUSED,
    CODE.UNAUTHENTICATED: DENIED,
    CODE.PERMISSION_DENIED: DENIED,
    CODE.UNAVAILABLE: UNREACHABLE,
    CODE.RESOURCE_EXHAUSTED: OVERLOADED,
    CODE.CANCELLED: CANCELLED,
    CODE.DEADLINE_EXCEEDED: TIMED_OUT,
    CODE.UNIMPLEMENTED: NO_METHOD,
}


def is_retryable(error: grpc.RpcError) -> bool:
    """Return whether the server did not run the request, so that it may be sent again.

    RESOURCE_EXHAUSTED is retryable only with "Concurrent RPC limit exceeded!", which a gRPC
    server sends before it reads the request; the others mean deadlines and sizes.
    """
    code, details = error.code(), error.details() or ""
    return code is CODE.UNAVAILABLE or (
        code is CODE.RESOURCE_EXHAUSTED and "Concurrent RPC limit exceeded" in details
    )


def is_unanswered(error: grpc.RpcError) -> bool:
    """Return whether no server, as far as is known, has answered."""
    full = "queue" in (error.details() or "")
    return error.code() is CODE.DEADLINE_EXCEEDED or (error.code() is CODE.UNAVAILABLE and not full)


def name_refusal(error: ServerUnavailable) -> str:
    """Return in a few words why a server cannot be reached, such as `connection refused`."""
    if isinstance(error, ServerOverloaded):
        return "the server has more requests than it takes"
    # gRPC's words end with those of the operating system, at times with their number behind.
    words = re.sub(r" \(\d+\)$", "", error.details.rpartition(": ")[2]).strip()
    if not words:
        return "no server answers"
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


def convert_error(
    error: grpc.RpcError, target: str, model: str, timeout: float, method: str, hint: str = ""
) -> ClientError:
    """Convert a gRPC error into the ClientError with its explanation.

    Args:
        error: Error of the call.
        target: Address of the server.
        model: Description of the model requested.
        timeout: Seconds that the call was given.
        method: Name of the RPC.
        hint: Sentence on what the server has, in place of the usual advice.
    """
    code, details = error.code(), error.details() or ""
    kind, sentence, advice = ERROR_KINDS.get(code, FAULT)
    if code is CODE.UNAVAILABLE and "queue" in details and "is full" in details:
        kind, sentence, advice = OVERLOADED
    elif code is CODE.RESOURCE_EXHAUSTED and "larger than max" in details:
        kind, sentence, advice = TOO_LARGE
    message = sentence.format(
        target=target, model=model, timeout=timeout, method=method, code=code.name
    )
    # gRPC's own message on a deadline adds nothing.
    quoted = f' Server message: "{details}".' if details and kind is not DeadlineExceeded else ""
    return kind(f"{message}{quoted} {hint or advice}", code, details)

"""What can go wrong with a request, in sentences: which server, which model, what to do."""

from __future__ import annotations

import re

import grpc

HOW_TO_LOOK = "`python -m serving.client status` and `metadata` show what the server has."
CODE = grpc.StatusCode


class ClientError(Exception):
    """A request that got no answer.

    `code` is the gRPC status (None when the request was refused here, before it was sent) and
    `details` the server's own words.
    """

    def __init__(self, message: str, code: grpc.StatusCode | None = None, details: str = ""):
        super().__init__(message)
        self.code = code
        self.details = details


class InvalidRequest(ClientError):
    """The request does not fit the model: a signature, a name, a dtype, a shape, a text, a size."""


class ModelNotFound(ClientError):
    """The server does not serve this model or version (or not yet)."""


class ServerUnavailable(ClientError):
    """Nothing answers at this address, or the server refuses for now."""


class ServerOverloaded(ServerUnavailable):
    """The server has more requests than it takes: a full batching queue, too many calls."""


class DeadlineExceeded(ClientError):
    """The answer did not come in time."""


class AccessDenied(ClientError):
    """The server does not know who asks, or does not let them."""


class RequestCancelled(ClientError):
    """The request was given up: this client was closed, or the server cancelled it."""


class ServerFault(ClientError):
    """The server failed, does not have this method, or answered with something unreadable."""


NOT_FOUND = (
    ModelNotFound,
    "The server at {target} does not serve what was asked for, {model}.",
    "Check the name and the version; a model that is still loading is not found either.",
)
REFUSED = (
    InvalidRequest,
    "The server at {target} refused the request to {model}.",
    HOW_TO_LOOK,
)
DENIED = (
    AccessDenied,
    "The server at {target} does not let this client ask {model}: {code}.",
    "Check `token`, `metadata` and the client's `certificate`.",
)
NOBODY = (
    ServerUnavailable,
    "No server answers at {target}, which was asked for {model}.",
    "Check the address, that the server is running, and that both sides use TLS or neither does.",
)
OVERLOADED = (
    ServerOverloaded,
    "The server at {target} has more requests than it takes and refused one to {model}.",
    "Send fewer side by side (`parallel`), allow more `retries`, or add a server.",
)
TOO_LARGE = (
    InvalidRequest,
    "A message of {method} for {model} is larger than the server at {target} takes.",
    "Send less in one request: smaller `texts_per_request` or `bytes_per_request`.",
)
CANCELLED = (
    RequestCancelled,
    "The request to {model} at {target} was cancelled.",
    "This client was closed meanwhile, or the server is stopping.",
)
LATE = (
    DeadlineExceeded,
    "The server at {target} did not answer for {model} within {timeout:g} s.",
    "Give it a longer timeout or send fewer texts in one request.",
)
NO_METHOD = (
    ServerFault,
    "The server at {target} has no method {method}, which was asked for {model}: {code}.",
    "Check that this is the gRPC port of a server that speaks TensorFlow Serving's interface.",
)
FAULT = (
    ServerFault,
    "The server at {target} failed on {method} for {model} with {code}.",
    "Its log tells more.",
)
MEANINGS = {
    CODE.NOT_FOUND: NOT_FOUND,
    CODE.INVALID_ARGUMENT: REFUSED,
    CODE.FAILED_PRECONDITION: REFUSED,
    CODE.OUT_OF_RANGE: REFUSED,
    CODE.UNAUTHENTICATED: DENIED,
    CODE.PERMISSION_DENIED: DENIED,
    CODE.UNAVAILABLE: NOBODY,
    CODE.RESOURCE_EXHAUSTED: OVERLOADED,
    CODE.CANCELLED: CANCELLED,
    CODE.DEADLINE_EXCEEDED: LATE,
    CODE.UNIMPLEMENTED: NO_METHOD,
}


def is_refused_for_now(error: grpc.RpcError) -> bool:
    """Whether the request was not run and may be sent again: no server, a full queue, no room.

    RESOURCE_EXHAUSTED is told by its words: "Concurrent RPC limit exceeded!" comes from a gRPC
    server that has not looked at the request, the others are deadlines and sizes.
    """
    code, details = error.code(), error.details() or ""
    return code is CODE.UNAVAILABLE or (
        code is CODE.RESOURCE_EXHAUSTED and "Concurrent RPC limit exceeded" in details
    )


def name_refusal(error: ServerUnavailable) -> str:
    """What keeps a server from answering, in a few words, such as `connection refused`."""
    if isinstance(error, ServerOverloaded):
        return "the server has more requests than it takes"
    # gRPC's words end with those of the operating system, at times with their number behind.
    words = re.sub(r" \(\d+\)$", "", error.details.rpartition(": ")[2]).strip()
    return words[:1].lower() + words[1:] if words else "no server answers"


def explain(
    error: grpc.RpcError, target: str, model: str, timeout: float, method: str, hint: str = ""
) -> ClientError:
    """The ClientError that says what `error`, raised by a call of `method`, means.

    `model` says in words which model was asked for; `hint`, in place of the usual advice, what
    the server has instead.
    """
    code, details = error.code(), error.details() or ""
    kind, sentence, advice = MEANINGS.get(code, FAULT)
    if code is CODE.UNAVAILABLE and "queue" in details and "is full" in details:
        kind, sentence, advice = OVERLOADED
    elif code is CODE.RESOURCE_EXHAUSTED and "larger than max" in details:
        kind, sentence, advice = TOO_LARGE
    words = sentence.format(
        target=target, model=model, timeout=timeout, method=method, code=code.name
    )
    # gRPC's own words on a deadline say nothing more.
    said = f' It said: "{details}".' if details and kind is not DeadlineExceeded else ""
    return kind(f"{words}{said} {hint or advice}", code, details)

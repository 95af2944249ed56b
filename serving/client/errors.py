"""What can go wrong with a request, in sentences: which server, which model, what to do."""

from __future__ import annotations

import grpc

HOW_TO_LOOK = "`python -m serving.client status` and `metadata` show what the server has."


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
    """The request does not fit the model: a signature, a name, a dtype, a shape, a text."""


class ModelNotFound(ClientError):
    """The server does not serve this model or version (or not yet)."""


class ServerUnavailable(ClientError):
    """Nothing answers at this address, or the server refuses for now."""


class DeadlineExceeded(ClientError):
    """The answer did not come in time."""


class ServerFault(ClientError):
    """The server failed, does not have this method, or answered with something unreadable."""


def explain(
    error: grpc.RpcError, target: str, model: str, timeout: float, method: str
) -> ClientError:
    """The ClientError that says what `error`, raised by a call of `method`, means.

    `model` says in words which model was asked for.
    """
    code, details = error.code(), error.details() or ""
    said = f' It said: "{details}".' if details else ""
    server = f"The server at {target}"
    if code is grpc.StatusCode.UNAVAILABLE:
        return ServerUnavailable(
            f"No server answers at {target}, which was asked for {model}.{said} "
            "Check the address and that the server is running.",
            code,
            details,
        )
    if code is grpc.StatusCode.NOT_FOUND:
        return ModelNotFound(
            f"{server} does not serve what was asked for, {model}.{said} "
            "Check the name and the version; a model that is still loading is not found either.",
            code,
            details,
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(
            f"{server} did not answer for {model} within {timeout:g} s. "
            "Give it a longer timeout or send fewer texts in one request.",
            code,
            details,
        )
    if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
        return InvalidRequest(
            f"{server} refused the request to {model}.{said} {HOW_TO_LOOK}", code, details
        )
    return ServerFault(
        f"{server} failed on {method} for {model} with {code.name}.{said} Its log tells more.",
        code,
        details,
    )

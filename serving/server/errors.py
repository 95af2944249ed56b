"""The two ways to say no: to the person who starts the server, and to a request."""

from __future__ import annotations

import grpc

TRUNCATE_AT = 1024


class StartError(Exception):
    """Why the server cannot start: what is wrong, what was found, what to do."""

    def __init__(self, wrong: str, found: str, fix: str):
        super().__init__(f"{wrong}\n  found: {found}\n  to do: {fix}")


class RequestError(Exception):
    """The gRPC status and details that a request is answered with instead of a result."""

    def __init__(self, code: grpc.StatusCode, details: str):
        # TensorFlow Serving cuts there too: gRPC carries details in a header of limited size.
        if len(details) > TRUNCATE_AT:
            details = details[:TRUNCATE_AT] + "...TRUNCATED"
        super().__init__(details)
        self.code = code
        self.details = details


def invalid_argument(details: str) -> RequestError:
    """The commonest refusal."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, details)

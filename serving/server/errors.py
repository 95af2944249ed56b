"""Exceptions: bad command line, failed start-up, rejected request."""

from __future__ import annotations

import logging
import traceback

import grpc

logger = logging.getLogger(__name__)


class StartError(Exception):
    """Bad command line: what is wrong, what was found, what to do. Exit status 2."""

    def __init__(self, wrong: str, found: str, fix: str):
        super().__init__(f"{wrong}\n  found: {found}\n  to do: {fix}")


class StartFailure(Exception):
    """Configuration or model that cannot be served, with TensorFlow Serving's message.

    Printed on standard output as `Failed to start server. Error: CODE: text`; exit status 255.
    """

    def __init__(self, code: grpc.StatusCode, details: str, fix: str = ""):
        super().__init__(f"Failed to start server. Error: {code.name}: {details}")
        self.code = code
        self.details = details
        self.fix = fix


class RequestError(Exception):
    """Rejected or failed request: gRPC status and details of the response."""

    def __init__(self, code: grpc.StatusCode, details: str):
        super().__init__(details)
        self.code = code
        self.details = details


def invalid_argument(details: str) -> RequestError:
    """Build a RequestError with status INVALID_ARGUMENT."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, details)


def log_fault(name: str, error: BaseException) -> None:
    """Log the traceback of a fault in this server, without its message: it may quote user data."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s failed with %s\n%s", name, type(error).__name__, where)

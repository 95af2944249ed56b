"""One request from its first attempt to its answer or error, without any I/O ("sans-IO").

A request flow is a generator. It yields steps (Send, Pause, Gather), receives the outcome of each
(or has its exception thrown in), and returns the answer. The synchronous and the asynchronous
client differ only in how they perform the steps.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError

from serving.client import requests
from serving.client.errors import CODE, convert_error, is_retryable, is_unanswered
from serving.client.model_metadata import (
    describe_signature,
    describe_versions,
    read_metadata,
    read_versions,
)
from serving.client.requests import METADATA, PREDICT, STATUS, ModelSelector, RpcMethod

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
# Bound on the extra request that only completes an error message.
HINT_SECONDS = 5.0


@dataclass(frozen=True)
class Send:
    """Step: send `request`, wait at most `seconds`. Outcome: the response, or grpc.RpcError."""

    method: RpcMethod
    request: Any
    seconds: float


@dataclass(frozen=True)
class Pause:
    """Step: sleep."""

    seconds: float


@dataclass(frozen=True)
class Gather:
    """Step: run flows concurrently. Outcome: their results in order.

    The first failure cancels the other flows and is the outcome.
    """

    flows: Sequence[RequestFlow[Any]]


FlowStep = Send | Pause | Gather
RequestFlow = Generator[FlowStep, Any, T]


@dataclass(frozen=True)
class RetryingSender:
    """Sends requests for one model with up to `retries` retries.

    Attributes:
        target: Address of the server, for messages.
        selector: The model.
        retries: Most further attempts of a request.
        proxy: A sentence on the proxy between both, for messages; "" where there is none.
    """

    target: str
    selector: ModelSelector
    retries: int
    proxy: str = ""

    def send(
        self, method: RpcMethod, request: Any, timeout: float, selector: ModelSelector | None = None
    ) -> RequestFlow[Any]:
        """Return the response to `request`, retrying what the server did not run.

        Pauses are random and grow: "exponential backoff and full jitter",
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter.

        Args:
            method: RPC to call.
            request: Its request message.
            timeout: Seconds for all attempts and pauses together.
            selector: Model that an error message names; default: the sender's.

        Raises:
            ClientError: No attempt succeeded.
        """
        selector = selector or self.selector
        deadline = time.monotonic() + timeout
        for attempt in itertools.count():
            try:
                return (yield Send(method, request, max(0.0, deadline - time.monotonic())))
            except grpc.RpcError as error:
                failure = error
            pause = random.uniform(0, find_longest_pause(attempt))
            remaining = deadline - time.monotonic()
            if not is_retryable(failure) or attempt >= self.retries or pause >= remaining:
                break
            yield Pause(pause)
        hint = self.proxy if is_unanswered(failure) else ""
        if not hint:
            hint = yield from _find_hint(selector, method, request, failure, remaining)
        raise convert_error(
            failure, self.target, str(selector), timeout, method.name, hint
        ) from None


def find_longest_pause(attempt: int) -> float:
    """Upper bound in seconds of the pause after attempt number `attempt` (from 0)."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 10))


def _find_hint(
    selector: ModelSelector,
    method: RpcMethod,
    request: Any,
    error: grpc.RpcError,
    remaining: float,
) -> RequestFlow[str]:
    """Return a sentence on the versions or inputs that the server does have; "" if unknown."""
    seconds = min(HINT_SECONDS, remaining)
    if seconds <= 0:
        return ""
    any_version = ModelSelector(selector.model)
    wrong_label = selector.label is not None and "label" in (error.details() or "")
    try:
        if (wrong_label or error.code() is CODE.NOT_FOUND) and (
            method is not STATUS or selector != any_version
        ):
            answer = yield Send(STATUS, requests.build_status(any_version), seconds)
            return describe_versions(read_versions(answer), selector.model)
        if method is PREDICT and error.code() in (CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION):
            answer = yield Send(METADATA, requests.build_metadata(selector), seconds)
            return describe_signature(read_metadata(answer), request.model_spec.signature_name)
    except (grpc.RpcError, DecodeError):
        # The first error is the one to report; this one only means that there is no hint.
        return ""
    return ""

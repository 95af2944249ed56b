"""Keyword options of the clients: how requests are split, sent and retried."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from serving.client.connection import ChannelOptions, ConnectionOptions, Headers
from serving.client.errors import InvalidRequest


@dataclass(frozen=True)
class SendingOptions:
    """Splitting, parallelism, retries and deadline of requests.

    Args:
        timeout: Seconds for each request, its retries and the pauses before them included.
        texts_per_request: Most texts in one request; longer lists are split.
        bytes_per_request: Most bytes in one request. Servers and proxies that keep gRPC's own
            limit accept messages of up to 4 MiB.
        parallel: Most requests of one call in flight at once.
        retries: Most further attempts of a request that the server did not run.

    Raises:
        InvalidRequest: A value is out of range.
    """

    timeout: float = 30.0
    texts_per_request: int = 64
    bytes_per_request: int = 4_000_000
    parallel: int = 4
    retries: int = 3

    def __post_init__(self) -> None:
        check_timeout(self.timeout)
        _check_count("texts_per_request", self.texts_per_request, 1)
        _check_count("bytes_per_request", self.bytes_per_request, 1)
        _check_count("parallel", self.parallel, 1)
        _check_count("retries", self.retries, 0)


class ClientOptions(TypedDict, total=False):
    """All keyword options of a client: those of SendingOptions and of ConnectionOptions."""

    timeout: float
    texts_per_request: int
    bytes_per_request: int
    parallel: int
    retries: int
    tls: bool
    ca: str | Path | bytes | None
    certificate: str | Path | bytes | None
    key: str | Path | bytes | None
    server_name: str | None
    token: str | Callable[[], str] | None
    token_over_plaintext: bool
    metadata: Headers
    compression: str | None
    keepalive: float
    options: ChannelOptions


SENDING = frozenset(field.name for field in dataclasses.fields(SendingOptions))


def split_options(
    target: Any, options: Mapping[str, Any]
) -> tuple[SendingOptions, ConnectionOptions]:
    """Build both groups of options.

    Raises:
        TypeError: An option has an unknown name.
        InvalidRequest: A value cannot work.
    """
    unknown = sorted(options.keys() - ClientOptions.__annotations__.keys())
    if unknown:
        raise TypeError(f"a client has no option {unknown[0]!r}")
    sending = {name: value for name, value in options.items() if name in SENDING}
    connection = {name: value for name, value in options.items() if name not in SENDING}
    return SendingOptions(**sending), ConnectionOptions(target, **connection)


def check_timeout(timeout: float) -> float:
    """Return `timeout`; raise InvalidRequest unless it is a positive, finite number."""
    if not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
        raise InvalidRequest(f"timeout is {timeout!r}; it must be a number of seconds above 0.")
    return timeout


def _check_count(name: str, count: int, least: int) -> None:
    if not isinstance(count, int) or count < least:
        raise InvalidRequest(f"{name} is {count!r}; it must be an integer of at least {least}.")

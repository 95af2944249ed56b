"""Connection options: addresses, TLS, token, metadata, compression, channel options."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from serving.client.addresses import build_target, read_addresses
from serving.client.errors import InvalidRequest
from serving.client.proxies import goes_direct

COMPRESSIONS = {None: grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
KEEPALIVE_ANSWER_SECONDS = 20
# Characters that gRPC accepts in the name of a header, and in the value of a text header.
HEADER_NAME = re.compile(r"[0-9a-z_.-]+")
HEADER_VALUE = re.compile(r"[ -~]*")
Headers = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]
ChannelOptions = Mapping[str, Any] | Iterable[tuple[str, Any]]
ROUND_ROBIN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


@dataclass
class ConnectionOptions:
    """Validated connection options.

    Several addresses are resolved by the constructor, once. The arguments are those of
    BaseClient.

    Raises:
        InvalidRequest: Options that cannot work.
    """

    target: str | Sequence[str]
    tls: bool = False
    ca: str | Path | bytes | None = None
    certificate: str | Path | bytes | None = None
    key: str | Path | bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    token: str | Callable[[], str] | None = field(default=None, repr=False)
    token_over_plaintext: bool = False
    metadata: Headers = field(default=(), repr=False)
    compression: str | None = None
    keepalive: float = 300.0
    options: ChannelOptions = ()
    addresses: list[str] = field(init=False)

    def __post_init__(self) -> None:
        pairs = self.metadata.items() if isinstance(self.metadata, Mapping) else self.metadata
        self._headers = tuple(_check_header(name, value) for name, value in pairs)
        self.options = tuple(dict(self.options).items())
        self.addresses = read_addresses(self.target)
        self._check()
        files = [_read_pem(name, getattr(self, name)) for name in ("ca", "key", "certificate")]
        self.credentials = grpc.ssl_channel_credentials(*files) if self.is_secure else None
        self.grpc_target = build_target(self.addresses)

    def _check(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise InvalidRequest(
                "Mutual TLS needs a certificate and its key: got only one. Give both, "
                "`certificate` and `key`."
            )
        if self.token is not None and not self.is_secure and not self.token_over_plaintext:
            raise InvalidRequest(
                "A token without TLS is readable on the network. Use tls=True or ca=..., or allow "
                "it with token_over_plaintext=True."
            )
        if self.compression not in COMPRESSIONS:
            raise InvalidRequest(f"compression is {self.compression!r}; it must be None or 'gzip'.")
        if len(self.addresses) > 1 and self.is_secure and not self.server_name:
            raise InvalidRequest(
                "TLS with several addresses needs server_name, the name on their certificates."
            )
        if not 0 <= self.keepalive < math.inf:
            raise InvalidRequest(
                f"keepalive is {self.keepalive!r}; it must be seconds, 0 for none."
            )

    @property
    def is_secure(self) -> bool:
        """Whether TLS is used: requested, or implied by one of its files."""
        return bool(self.tls or self.ca is not None or self.certificate is not None)

    def call_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return the headers of one call; a callable token is called each time."""
        if self.token is None:
            return self._headers
        token = self.token() if callable(self.token) else self.token
        # The message must not contain the token: errors end up in logs.
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise InvalidRequest(
                "The token is not one word of printable ASCII. Check it for line breaks and spaces."
            )
        return (*self._headers, ("authorization", f"Bearer {token}"))

    def channel_options(self) -> list[tuple[str, Any]]:
        """Return the gRPC channel options; the user's come last and win."""
        options: list[tuple[str, Any]] = [
            # gRPC's default rejects responses above 4 MB; the server has no such limit.
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            # A server that starts later is found within a second, not after minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if self.keepalive:
            # Servers accept one ping in five minutes and disconnect clients that send more. With
            # keepalive on, the kernel also drops a connection whose data is not acknowledged.
            options += [
                ("grpc.keepalive_time_ms", int(self.keepalive * 1000)),
                ("grpc.keepalive_timeout_ms", KEEPALIVE_ANSWER_SECONDS * 1000),
            ]
        if goes_direct(self.addresses):
            options.append(("grpc.enable_http_proxy", 0))
        if len(self.addresses) > 1 or self.addresses[0].startswith("dns:"):
            options.append(("grpc.service_config", ROUND_ROBIN))
        if self.server_name:
            options += [
                ("grpc.ssl_target_name_override", self.server_name),
                ("grpc.default_authority", self.server_name),
            ]
        return [*options, *self.options]


def open_channel(connection: ConnectionOptions, kind: Any = grpc) -> Any:
    """Open a channel of `kind`: grpc, or grpc.aio within a running event loop."""
    more = connection.channel_options(), COMPRESSIONS[connection.compression]
    if connection.credentials is None:
        return kind.insecure_channel(connection.grpc_target, *more)
    return kind.secure_channel(connection.grpc_target, connection.credentials, *more)


def _read_pem(name: str, source: str | Path | bytes | None) -> bytes | None:
    if source is None:
        return None
    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"The file for {name} cannot be read: {error}.") from None
    if b"-----BEGIN " not in content:
        where = "" if isinstance(source, bytes) else f": {source}"
        raise InvalidRequest(
            f"The value of {name} is not PEM (text with a line -----BEGIN ...-----){where}."
        )
    return content


def _check_header(name: str, value: str | bytes) -> tuple[str, str | bytes]:
    if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
        raise InvalidRequest(
            f"metadata has the name {name!r}; allowed are a-z, 0-9, '-', '_' and '.'."
        )
    if name.startswith("grpc-"):
        raise InvalidRequest(
            f"metadata has the name {name!r}; names that begin with grpc- are reserved."
        )
    if name.endswith("-bin"):
        if isinstance(value, bytes):
            return name, value
        raise InvalidRequest(f"metadata {name!r} ends in -bin, so its value must be bytes.")
    if not isinstance(value, str) or not HEADER_VALUE.fullmatch(value):
        raise InvalidRequest(
            f"The value of metadata {name!r} is not a string of printable ASCII. Only names that "
            "end in -bin accept bytes."
        )
    return name, value

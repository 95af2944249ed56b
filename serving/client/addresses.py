"""Server addresses: parsing, and conversion to a gRPC target."""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
from collections.abc import Sequence

from serving.client.errors import InvalidRequest

logger = logging.getLogger(__name__)
HOST_AND_PORT = re.compile(r"(\[[^\]]+\]|[^:/\[\]\s]+):(\d{1,5})")
# URI schemes that gRPC resolves itself.
SCHEME = re.compile(r"(dns|unix|unix-abstract|vsock|ipv4|ipv6|xds):\S")


def read_addresses(target: str | Sequence[str]) -> list[str]:
    """Parse a string ("a:8500,b:8500") or check a list of addresses.

    Raises:
        InvalidRequest: There is no address, or one is malformed.
    """
    if not isinstance(target, str):
        addresses = list(target)
    elif SCHEME.match(target):
        addresses = [target]
    else:
        addresses = [part.strip() for part in target.split(",") if part.strip()]
    if not addresses:
        raise InvalidRequest("No address was given. Write HOST:PORT, such as localhost:8500.")
    for address in addresses:
        alone = len(addresses) == 1 and isinstance(address, str) and SCHEME.match(address)
        if not alone and not (isinstance(address, str) and HOST_AND_PORT.fullmatch(address)):
            raise InvalidRequest(
                f"{address!r} is not an address. Write HOST:PORT, such as localhost:8500, without "
                "http://; or a single gRPC target, dns:///NAME:PORT or unix:PATH."
            )
    return addresses


def build_target(addresses: Sequence[str]) -> str:
    """Build the gRPC target of the addresses.

    Several addresses become one list of IP addresses, the only form over which gRPC balances
    load; names are resolved here, once. A name that does not resolve is skipped with a warning.

    Raises:
        InvalidRequest: No name resolves.
    """
    if len(addresses) == 1:
        return addresses[0]
    found: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]] = []
    for address in addresses:
        host, port = address.rsplit(":", 1)
        try:
            found += [(ip, int(port)) for ip in _resolve(host.strip("[]"))]
        except OSError as error:
            logger.warning("%s is skipped, its name does not resolve: %s", address, error)
    if not found:
        raise InvalidRequest(
            f"None of the names in {', '.join(addresses)} resolves to an IP address. Check them."
        )
    found = list(dict.fromkeys(found))
    if all(ip.version == 4 for ip, _ in found):
        return "ipv4:" + ",".join(f"{ip}:{port}" for ip, port in found)
    # A target holds one address family; IPv4 addresses are mapped into IPv6.
    mapped = [(str(ip) if ip.version == 6 else f"::ffff:{ip}", port) for ip, port in found]
    return "ipv6:" + ",".join(f"[{ip}]:{port}" for ip, port in mapped)


def _resolve(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    found = [ipaddress.ip_address(entry[4][0]) for entry in entries]
    # A host with both families is one server; listing both would double its share of requests.
    return [ip for ip in found if ip.version == 4] or found

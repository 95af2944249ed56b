"""HTTP proxies between client and server, which gRPC takes from environment variables."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

# gRPC uses the first that is set: https://grpc.github.io/grpc/core/md_doc_environment_variables.html
PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
EXCEPTIONS = ("no_grpc_proxy", "no_proxy")
SCHEME = re.compile(r"(?:dns|ipv4|ipv6):(?://[^/]*/)?")


def goes_direct(addresses: Sequence[str]) -> bool:
    """Return whether no proxy may be used: for this machine, and for several addresses.

    A proxy elsewhere cannot reach the loopback of this machine; and gRPC asks it for a connection
    to all addresses of a list at once, which none can make.
    """
    return len(addresses) > 1 or is_loopback(addresses[0])


def is_loopback(address: str) -> bool:
    """Return whether an address is on this machine: localhost, 127.0.0.0/8, ::1, unix."""
    if address.startswith(("unix:", "unix-abstract:", "vsock:")):
        return True
    host = _host(address)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return number.is_loopback or number.is_unspecified


def describe_proxy(addresses: Sequence[str]) -> str:
    """Return a sentence on the proxy that gRPC uses for the address; "" where there is none."""
    variable = next((name for name in PROXIES if os.environ.get(name)), None)
    if variable is None or goes_direct(addresses):
        return ""
    host = _host(addresses[0])
    exceptions = next((name for name in EXCEPTIONS if os.environ.get(name)), "no_proxy")
    listed = os.environ.get(exceptions, "").split(",")
    if any(_is_exception(host, entry.strip()) for entry in listed):
        return ""
    # Without user name and password.
    proxy = urlsplit(os.environ[variable]).netloc.rpartition("@")[2] or "not a URL"
    return (
        f"The connection goes through the proxy {proxy} ({variable}): check it, or add "
        f"{host} to {exceptions} to connect directly."
    )


def _host(address: str) -> str:
    host = SCHEME.sub("", address, count=1)
    return re.sub(r":\d*$", "", host).strip("[]").lower()


def _is_exception(host: str, entry: str) -> bool:
    """Return whether an entry of no_proxy holds for a host, as gRPC compares them."""
    if not entry:
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return host.endswith(entry.lower())

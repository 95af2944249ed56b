"""The processes of a distributed run and the role of this one, from TF_CONFIG or flags."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tfpipe.errors import UserError, did_you_mean

logger = logging.getLogger(__name__)

ROLES = ("chief", "worker", "ps")
EXAMPLE = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The processes of a distributed run.

    Attributes:
        addresses: host:port of all processes by role.
        role: The role of this process: chief, worker or ps.
        index: Its index among the processes of that role.
    """

    addresses: Mapping[str, tuple[str, ...]]
    role: str
    index: int

    @property
    def name(self) -> str:
        """The name of this process in messages."""
        return _name(self.role, self.index)

    @property
    def address(self) -> str:
        """host:port of this process."""
        return self.addresses[self.role][self.index]

    @property
    def has_servers(self) -> bool:
        """Whether the weights are on parameter servers."""
        return "ps" in self.addresses

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run; without a chief that is worker 0."""
        first = "chief" if "chief" in self.addresses else "worker"
        return (self.role, self.index) == (first, 0)

    @property
    def serves(self) -> bool:
        """Whether this process executes what the chief sends it."""
        return self.has_servers and self.role != "chief"

    @property
    def launched_with(self) -> str:
        """The command that starts such a cluster on one machine; options of train follow it."""
        servers = f" --servers {len(self.addresses['ps'])}" if self.has_servers else ""
        return f"python -m tfpipe.launch --workers {len(self.addresses['worker'])}{servers} --"

    @property
    def others(self) -> dict[str, str]:
        """host:port of all other processes by name."""
        return {
            _name(role, index): address
            for role, addresses in self.addresses.items()
            for index, address in enumerate(addresses)
            if (role, index) != (self.role, self.index)
        }


def _name(role: str, index: int) -> str:
    word = "server" if role == "ps" else role
    return word if role == "chief" else f"{word} {index}"


def read_cluster(
    workers: str | None, worker_index: int | None, environment: Mapping[str, str] = os.environ
) -> Cluster | None:
    """Read the cluster from the flags or from TF_CONFIG.

    Args:
        workers: host:port,... of all workers; None without the flag.
        worker_index: The index of this process among them; None without the flag.
        environment: The environment variables.

    Returns:
        The cluster; None where neither describes one.

    Raises:
        UserError: The description is incomplete, given twice, or invalid.
    """
    described = environment.get("TF_CONFIG", "").strip()
    if workers is None and worker_index is None:
        return _from_tf_config(described)
    if workers is None or worker_index is None:
        raise UserError(
            "--workers and --worker-index go together",
            f"only --{'workers' if worker_index is None else 'worker-index'}",
            "give both, the same --workers to every process",
        )
    if _from_tf_config(described) is not None:
        raise UserError(
            "the cluster is described twice",
            "--workers, and TF_CONFIG in the environment",
            "leave one of them out",
        )
    cluster = {"worker": [address.strip() for address in workers.split(",")]}
    return _checked(cluster, "worker", worker_index, "--workers")


def _from_tf_config(described: str) -> Cluster | None:
    if not described:
        return None
    try:
        content = json.loads(described)
        cluster, task = content.get("cluster"), content.get("task")
    except (ValueError, AttributeError):
        raise UserError(
            "TF_CONFIG is not a JSON object", repr(described[:200]), f"write it as {EXAMPLE}"
        ) from None
    if not cluster:
        # Kubernetes operators set such a TF_CONFIG for a job of one process.
        return None
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise UserError(
            "TF_CONFIG needs a cluster and a task",
            described[:200],
            f"write it as {EXAMPLE}",
        )
    # "master" is the name of the chief before TensorFlow 2.
    cluster = {"chief" if role == "master" else role: hosts for role, hosts in cluster.items()}
    role = "chief" if task.get("type") == "master" else task.get("type")
    return _checked(cluster, role, task.get("index"), "TF_CONFIG")


def _checked(cluster: dict[str, Any], role: Any, index: Any, source: str) -> Cluster:
    """Check the description of a cluster; raises UserError."""
    for known in cluster:
        if known not in ROLES:
            raise UserError(
                f"{source} has an unknown role",
                repr(known),
                f"{did_you_mean(known, ROLES)}use chief, worker and ps; the chief evaluates",
            )
    if role not in cluster:
        raise UserError(
            f"this process is not in the cluster of {source}",
            f"task type {role!r}; the cluster has {', '.join(cluster)}",
            "name one of the cluster's roles as the task's type",
        )
    addresses: dict[str, tuple[str, ...]] = {}
    for name, hosts in cluster.items():
        # Kubernetes operators describe an elastic job by a mapping from index to host.
        listed = list(hosts.values()) if isinstance(hosts, dict) else hosts
        if not isinstance(listed, list) or not listed:
            raise UserError(
                f"{source} lists no addresses for {name}", repr(hosts), 'write ["host:port", ...]'
            )
        addresses[name] = tuple(_address(host, source) for host in listed)
    every = [address for hosts in addresses.values() for address in hosts]
    twice = sorted({address for address in every if every.count(address) > 1})
    if twice:
        raise UserError(
            f"two processes of {source} have the same address",
            ", ".join(twice),
            "give every process its own host:port",
        )
    whole = isinstance(index, int) or (isinstance(index, str) and index.isdigit())
    if isinstance(index, bool) or not whole or not 0 <= int(index) < len(addresses[role]):
        raise UserError(
            f"this process is not in the cluster of {source}",
            f"{role} {index!r}; the cluster has {len(addresses[role])} of this role",
            f"give an index from 0 to {len(addresses[role]) - 1}",
        )
    if "chief" in addresses and len(addresses["chief"]) > 1:
        raise UserError(
            f"{source} has more than one chief", ", ".join(addresses["chief"]), "name one"
        )
    if "ps" in addresses and not {"chief", "worker"} <= set(addresses):
        raise UserError(
            "parameter servers need a chief and workers",
            f"{source} has {', '.join(addresses)}",
            "add the missing role to the cluster",
        )
    return Cluster(addresses, role, int(index))


def _address(address: Any, source: str) -> str:
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(
            f"{source} has an address without host or port", repr(address), "write host:port"
        )
    return str(address)


def meet(cluster: Cluster, seconds: float) -> None:
    """Wait until every other process of the cluster can be reached.

    Until then this process accepts connections at its own address, too, so that the others find
    it. TensorFlow itself would wait for an hour.

    Args:
        cluster: The cluster, with the role of this process.
        seconds: The longest time to wait.

    Raises:
        UserError: The port is in use, or a process cannot be reached in time.
    """
    with closing(claim_port(cluster)):
        missing = cluster.others
        began = logged = time.monotonic()
        while True:
            missing = {name: at for name, at in missing.items() if not accepts_connections(at)}
            if not missing:
                return
            names = ", ".join(f"{name} at {at}" for name, at in missing.items())
            now = time.monotonic()
            if now - began > seconds:
                raise UserError(
                    "not all processes of the cluster can be reached",
                    f"{cluster.name} waited {seconds:g} seconds for {names}",
                    "start them, correct their addresses, or raise --worker-timeout",
                )
            if now - logged > 5 and (now - logged > 30 or logged == began):
                logged = now
                logger.info("%s waits for %s", cluster.name, names)
            time.sleep(0.1)


def claim_port(cluster: Cluster) -> socket.socket:
    """Open a listening socket at this process's port; raises UserError when it is in use."""
    port = int(cluster.address.rpartition(":")[2])
    try:
        return socket.create_server(("", port), backlog=128)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        raise UserError(
            f"the port of {cluster.name} {'is in use' if in_use else 'cannot be opened'}",
            f"{cluster.address}: {error.strerror}",
            "end the process that uses it, or give another port to all processes",
        ) from None


def accepts_connections(address: str) -> bool:
    """Return whether a process accepts connections at host:port."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    except OSError:
        # Refused, or a name that the cluster's DNS does not resolve yet.
        return False

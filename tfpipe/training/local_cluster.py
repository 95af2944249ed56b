"""A cluster on this machine: free ports for its processes, and its GPUs shared out among them."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError


def plan_places(workers: int, servers: int) -> list[tuple[str, dict[str, Any]]]:
    """Name and TF_CONFIG of every process, the one that writes the run first."""
    counts = {"worker": workers}
    if servers:
        counts = {"chief": 1, "worker": workers, "ps": servers}
    ports = free_ports(sum(counts.values()))
    cluster = {
        role: [f"localhost:{ports.pop()}" for _ in range(count)] for role, count in counts.items()
    }
    places = []
    for role, addresses in cluster.items():
        for index in range(len(addresses)):
            word = {"chief": "chief", "ps": f"server {index}"}.get(role, f"worker {index}")
            places.append((word, {"cluster": cluster, "task": {"type": role, "index": index}}))
    return places


def free_ports(count: int) -> list[int]:
    """So many ports that nobody has now."""
    with ExitStack() as stack:
        # All are held at once, so that no number comes twice.
        held = [stack.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


def count_gpus() -> int:
    """GPUs that the processes may use, found without TensorFlow."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    drivers = Path("/proc/driver/nvidia/gpus")
    return len(list(drivers.iterdir())) if drivers.is_dir() else 0


def share_gpus(names: Sequence[str], gpus: int) -> list[dict[str, str]]:
    """What each process's environment says of GPUs: workers share them out, others see none.

    Raises UserError for fewer GPUs than workers: two processes on one GPU would each take it all.
    """
    if not gpus:
        return [{} for _ in names]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
    ids = visible.split(",")
    workers = [name for name in names if name.startswith("worker")]
    if len(workers) > gpus:
        raise UserError(
            "there are fewer GPUs than workers",
            f"{gpus} GPU(s), {len(workers)} workers",
            f"give --workers {gpus} or fewer, or CUDA_VISIBLE_DEVICES= to train on CPUs",
        )
    # Servers' workers compute on one device each.
    each = gpus // len(workers) if len(workers) == len(names) else 1
    shares = []
    for name in names:
        start = workers.index(name) * each if name in workers else 0
        mine = ids[start : start + each] if name in workers else []
        shares.append({"CUDA_VISIBLE_DEVICES": ",".join(mine)})
    return shares

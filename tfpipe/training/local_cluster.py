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

    Raises UserError for fewer GPUs than workers.
    """
    if not gpus:
        return [{} for _ in names]
    workers = sum(name.startswith("worker") for name in names)
    # Servers' workers compute on one device each.
    each = None if workers == len(names) else 1
    shares = iter(_share_out(gpus, workers, "workers", each))
    return [
        {"CUDA_VISIBLE_DEVICES": next(shares) if name.startswith("worker") else ""}
        for name in names
    ]


def share_gpus_evenly(jobs: int) -> list[dict[str, str]]:
    """What the environment of each of so many jobs says of GPUs; nothing where there are none.

    Raises UserError for fewer GPUs than jobs.
    """
    gpus = count_gpus()
    if not gpus:
        return [{} for _ in range(jobs)]
    return [{"CUDA_VISIBLE_DEVICES": share} for share in _share_out(gpus, jobs, "jobs")]


def _share_out(gpus: int, parts: int, what: str, each: int | None = None) -> list[str]:
    """The GPUs of each part, as many as go evenly unless `each` says how many.

    what: the parts, as their flag is named. Raises UserError for fewer GPUs than parts: two
    processes on one GPU would each take it all.
    """
    if parts > gpus:
        raise UserError(
            f"there are fewer GPUs than {what}",
            f"{gpus} GPU(s), {parts} {what}",
            f"give --{what} {gpus} or fewer, or CUDA_VISIBLE_DEVICES= to train on CPUs",
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
    ids, each = visible.split(","), each or gpus // parts
    return [",".join(ids[part * each : (part + 1) * each]) for part in range(parts)]

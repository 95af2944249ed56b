"""A cluster on this machine: free ports and GPUs for its processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError


def plan_processes(workers: int, servers: int) -> list[tuple[str, dict[str, Any]]]:
    """Make name and TF_CONFIG of every process, the one that writes the run first."""
    counts = {"worker": workers}
    if servers:
        counts = {"chief": 1, "worker": workers, "ps": servers}
    ports = free_ports(sum(counts.values()))
    cluster = {
        role: [f"localhost:{ports.pop()}" for _ in range(count)] for role, count in counts.items()
    }
    processes = []
    for role, addresses in cluster.items():
        for index in range(len(addresses)):
            name = {"chief": "chief", "ps": f"server {index}"}.get(role, f"worker {index}")
            processes.append((name, {"cluster": cluster, "task": {"type": role, "index": index}}))
    return processes


def free_ports(count: int) -> list[int]:
    """Find ports that are free now."""
    with ExitStack() as stack:
        # All are open at once, so that the numbers are distinct.
        held = [stack.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


def count_gpus() -> int:
    """Count the GPUs that the processes may use, without TensorFlow."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    drivers = Path("/proc/driver/nvidia/gpus")
    return len(list(drivers.iterdir())) if drivers.is_dir() else 0


def share_gpus(names: Sequence[str], gpus: int) -> list[dict[str, str]]:
    """Assign the GPUs to the workers; all other processes get none.

    Args:
        names: The names of the processes; those of workers begin with `worker`.
        gpus: GPUs of this machine.

    Returns:
        CUDA_VISIBLE_DEVICES of each process; nothing where there are no GPUs.

    Raises:
        UserError: There are fewer GPUs than workers.
    """
    if not gpus:
        return [{} for _ in names]
    workers = sum(name.startswith("worker") for name in names)
    # A worker with parameter servers uses one device.
    each = None if workers == len(names) else 1
    shares = iter(_share_out(gpus, workers, "workers", each))
    return [
        {"CUDA_VISIBLE_DEVICES": next(shares) if name.startswith("worker") else ""}
        for name in names
    ]


def share_gpus_evenly(jobs: int) -> list[dict[str, str]]:
    """Assign the GPUs evenly to jobs.

    Returns:
        CUDA_VISIBLE_DEVICES of each job; nothing where there are no GPUs.

    Raises:
        UserError: There are fewer GPUs than jobs.
    """
    gpus = count_gpus()
    if not gpus:
        return [{} for _ in range(jobs)]
    return [{"CUDA_VISIBLE_DEVICES": share} for share in _share_out(gpus, jobs, "jobs")]


def _share_out(gpus: int, parts: int, what: str, each: int | None = None) -> list[str]:
    """Split the GPUs into parts, as many as divide evenly unless `each` is given.

    Args:
        gpus: GPUs of this machine.
        parts: Number of parts.
        what: The name of the flag that sets the number of parts.
        each: GPUs of a part; None for as many as there are.

    Raises:
        UserError: There are fewer GPUs than parts: two processes on one GPU would each allocate
            all of its memory.
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

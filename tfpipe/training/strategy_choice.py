"""The strategy and the cluster that the configuration and the environment ask for."""

from __future__ import annotations

import os

from tfpipe.config import TrainConfig
from tfpipe.errors import UserError
from tfpipe.training.cluster import Cluster, read_cluster

NEEDS_CLUSTER = ("multi_worker", "parameter_server")
LAUNCH = "python -m tfpipe.launch"


def find_cluster(config: TrainConfig) -> Cluster | None:
    """Read the cluster from TF_CONFIG or the flags; None where the strategy needs none."""
    if config.strategy not in ("auto", *NEEDS_CLUSTER):
        return None
    cluster = read_cluster(config.workers, config.worker_index)
    choose_name(config.strategy, cluster, config.tpu)
    if cluster is not None and config.dry_run:
        raise UserError(
            "a dry run is for one process",
            f"{cluster.name} of a cluster",
            "give --strategy one_device with --dry-run",
        )
    if cluster is not None and cluster.has_servers and config.deterministic:
        raise UserError(
            "parameter_server cannot be deterministic: workers run asynchronously",
            "--deterministic in a cluster with ps",
            "leave out --deterministic, or use --strategy multi_worker",
        )
    return cluster


def choose_name(name: str, cluster: Cluster | None, tpu: str | None) -> tuple[str, str]:
    """Resolve `auto` as far as cluster and TPU decide it, and check the strategy against them.

    Returns:
        The name of the strategy, which stays `auto` where the devices of this process decide, and
        the reason of the choice.

    Raises:
        UserError: The strategy and the cluster do not match.
    """
    if name == "auto":
        if cluster is not None:
            kind = "parameter_server" if cluster.has_servers else "multi_worker"
            found = "servers" if cluster.has_servers else "workers"
            return kind, f"auto: a cluster with {found} is described"
        if tpu is not None or os.environ.get("TPU_NAME"):
            return "tpu", "auto: a TPU is named"
        return "auto", "auto"
    if name in NEEDS_CLUSTER and cluster is None:
        servers = " --servers 1" if name == "parameter_server" else ""
        flags = ", or give --workers and --worker-index" if name == "multi_worker" else ""
        raise UserError(
            f"--strategy {name} needs a description of its processes",
            "no TF_CONFIG in the environment" + (" and no --workers" if flags else ""),
            f"start it with {LAUNCH} --workers 2{servers} -- ..., set TF_CONFIG{flags}",
        )
    if cluster is not None and name not in NEEDS_CLUSTER:
        raise UserError(
            f"--strategy {name} is for one process",
            f"{cluster.name} of a cluster",
            "start a single python -m tfpipe.train, without TF_CONFIG and --workers",
        )
    if cluster is not None and cluster.has_servers != (name == "parameter_server"):
        if name == "multi_worker":
            raise UserError(
                "--strategy multi_worker has no servers",
                f"{len(cluster.addresses['ps'])} ps in the cluster",
                "remove ps from the cluster, or use --strategy parameter_server",
            )
        if name == "parameter_server":
            raise UserError(
                "--strategy parameter_server needs servers",
                f"a cluster of {', '.join(cluster.addresses)}",
                "add ps and chief to the cluster, or use --strategy multi_worker",
            )
    return name, "as configured"

"""Distribution strategies over devices and processes."""

from __future__ import annotations

import functools
import logging
import os
import signal
import time

import tensorflow as tf

from tfpipe.data.replicas import workers_of
from tfpipe.errors import UserError
from tfpipe.library_internals import keep_tables_on_chief
from tfpipe.training.cluster import Cluster, accepts_connections, claim_port, meet
from tfpipe.training.preemption import SignalHandler
from tfpipe.training.strategy_choice import NEEDS_CLUSTER, choose_name

logger = logging.getLogger(__name__)


def make_strategy(
    name: str,
    devices: int,
    cluster: Cluster | None = None,
    worker_timeout: float = 300,
    tpu: str | None = None,
) -> tuple[tf.distribute.Strategy, str]:
    """Make the tf.distribute strategy of that name.

    Args:
        name: A value of `--strategy`.
        devices: Devices of this process to use, 0 for all. Without a GPU, more than one means
            logical devices on the CPU, which must be requested before TensorFlow uses it.
        cluster: The processes that train together; all of them must call this.
        worker_timeout: Seconds to wait for the others.
        tpu: Name or address of the TPU; None for TPU_NAME, or this machine's.

    Returns:
        The strategy, and a sentence for the log: the choice and its reason.

    Raises:
        UserError: Devices or processes are missing.
    """
    name, why = choose_name(name, cluster, tpu)
    if name in NEEDS_CLUSTER:
        assert cluster is not None
        meet(cluster, worker_timeout)
        if name == "multi_worker":
            return _multi_worker(cluster, devices, why)
        return _parameter_server(cluster, devices, why)
    if name == "tpu":
        return _tpu(tpu, why)
    return _local(name, devices, why)


def serve(cluster: Cluster) -> None:
    """Run the server of a worker or parameter server until a signal ends this process.

    SIGINT and SIGTERM end it once the chief has ended: a job is often stopped by a signal to all
    processes at once, and the chief still finishes a step and saves the weights, which are here.
    A second SIGINT ends the process at once.

    Raises:
        UserError: The port is in use.
    """
    claim_port(cluster).close()
    with SignalHandler() as stop:
        server = tf.distribute.Server(
            _specification(cluster),
            job_name=cluster.role,
            task_index=cluster.index,
            protocol="grpc",
            start=False,
        )
        server.start()
        place = f"{cluster.name} at {cluster.address}"
        logger.info("strategy: parameter_server, %s waits for the chief", place)
        # Not server.join(): it never returns to Python, where the signal handler runs.
        while stop.signal is None or accepts_connections(cluster.addresses["chief"][0]):
            time.sleep(0.2)
    # The exit status in the shell is that of the signal.
    signal.signal(stop.signal, signal.SIG_DFL)
    signal.raise_signal(stop.signal)


def describe_batch(
    strategy: tf.distribute.Strategy, batch_size: int, parts: int, rate: float
) -> str:
    """Describe global batch, per-replica batch, micro-batch and learning rate in one line."""
    replicas = strategy.num_replicas_in_sync
    each = -(-batch_size // replicas)
    micro = -(-batch_size // (replicas * parts))
    line = (
        f"batch: {batch_size} in a step = {replicas} replica(s) x {each}, each in {parts} part(s)"
        f" of {micro}; peak learning rate {rate:.2e}"
    )
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        line += (
            f"; asynchronous: each of {workers_of(strategy)} worker(s) takes its own steps, with"
            " weights that the others may have changed"
        )
    return line


def _local(name: str, devices: int, why: str) -> tuple[tf.distribute.Strategy, str]:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and devices > 1:
        _split_cpu(devices)
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    _refuse_missing(devices, len(names), kind)
    names = names[: devices or len(names)]
    if name == "auto":
        name = "mirrored" if kind == "GPU" and len(names) > 1 else "one_device"
        why += f": {len(names)} {kind} found"
    elif name == "mirrored" and len(names) == 1:
        why += f"; only 1 {kind}, so one replica"
    if name == "one_device":
        names = names[:1]
        strategy: tf.distribute.Strategy = tf.distribute.OneDeviceStrategy(names[0])
    else:
        strategy = _mirrored(tuple(names))
    return strategy, f"{name} on {len(names)} {kind} ({why})"


@functools.cache
def _mirrored(names: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """Make the strategy once per process and devices: each may add threads that never end."""
    return tf.distribute.MirroredStrategy(list(names))


def _multi_worker(cluster: Cluster, devices: int, why: str) -> tuple[tf.distribute.Strategy, str]:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        _refuse_missing(devices, len(gpus), "GPU")
        gpus = gpus[: devices or len(gpus)]
        tf.config.set_visible_devices(gpus, "GPU")
    elif devices > 1:
        raise UserError(
            "a worker without a GPU has one replica",
            f"--devices {devices}",
            "leave out --devices, and start more workers",
        )
    strategy = tf.distribute.MultiWorkerMirroredStrategy(_resolver(cluster, len(gpus)))
    return strategy, (
        f"multi_worker, {cluster.name} of {workers_of(strategy)} with"
        f" {max(1, len(gpus))} {'GPU' if gpus else 'CPU'} each ({why})"
    )


def _parameter_server(
    cluster: Cluster, devices: int, why: str
) -> tuple[tf.distribute.Strategy, str]:
    strategy = tf.distribute.ParameterServerStrategy(_resolver(cluster, 0))
    keep_tables_on_chief(strategy)
    if strategy.num_replicas_in_sync > 1 or devices > 1:
        raise UserError(
            "a worker of --strategy parameter_server uses one device",
            f"{max(strategy.num_replicas_in_sync, devices)} devices a worker",
            "start one worker for each GPU, with CUDA_VISIBLE_DEVICES set",
        )
    return strategy, (
        f"parameter_server, chief of {workers_of(strategy)} worker(s) and"
        f" {len(cluster.addresses['ps'])} server(s) ({why})"
    )


def _tpu(tpu: str | None, why: str) -> tuple[tf.distribute.Strategy, str]:
    try:
        # "local" is the TPU of this machine; None reads TPU_NAME.
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=tpu or (None if os.environ.get("TPU_NAME") else "local")
        )
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        found = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            "no TPU can be reached", found, "give --tpu, or another --strategy"
        ) from None
    strategy = tf.distribute.TPUStrategy(resolver)
    return strategy, f"tpu on {strategy.num_replicas_in_sync} cores ({why})"


def _resolver(cluster: Cluster, gpus: int) -> tf.distribute.cluster_resolver.ClusterResolver:
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        _specification(cluster),
        task_type=cluster.role,
        task_id=cluster.index,
        rpc_layer="grpc",
        num_accelerators={"GPU": gpus} if gpus else {},
    )


def _specification(cluster: Cluster) -> tf.train.ClusterSpec:
    return tf.train.ClusterSpec({role: list(hosts) for role, hosts in cluster.addresses.items()})


def _refuse_missing(devices: int, found: int, kind: str) -> None:
    if devices > found:
        raise UserError(f"{devices} devices were asked for", f"{found} {kind}", "lower --devices")


def _split_cpu(devices: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    split = [tf.config.LogicalDeviceConfiguration() for _ in range(devices)]
    try:
        tf.config.set_logical_device_configuration(cpu, split)
    except RuntimeError:
        # TensorFlow has been used in this process: its devices are fixed, and the caller counts
        # them.
        return

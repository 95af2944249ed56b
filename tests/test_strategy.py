"""Which strategy is taken and why, what a cluster may be, and processes that do not come."""

from __future__ import annotations

import json
import socket
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.config import TrainConfig, build
from tfpipe.data.batches import widen
from tfpipe.data.replicas import DistributedBatches, compile_for
from tfpipe.errors import UserError
from tfpipe.training.cluster import Cluster, meet, read_cluster
from tfpipe.training.collectives import check_agreement, largest_over_workers, run_batches
from tfpipe.training.strategy import describe_batch, make_strategy
from tfpipe.training.strategy_choice import choose_name, find_cluster

WORKERS = {"worker": ["a:1", "b:2"]}
SERVERS = {"chief": ["c:3"], "worker": ["a:1"], "ps": ["s:4"]}


def from_environment(cluster: Any, role: Any = "worker", index: Any = 0) -> Cluster | None:
    content = {"cluster": cluster, "task": {"type": role, "index": index}}
    return read_cluster(None, None, {"TF_CONFIG": json.dumps(content)})


# ---- clusters -------------------------------------------------------------------------------


def test_no_cluster() -> None:
    assert read_cluster(None, None, {}) is None
    assert read_cluster(None, None, {"TF_CONFIG": "{}"}) is None


def test_the_first_worker_is_chief_where_there_is_no_other() -> None:
    first, second = from_environment(WORKERS), from_environment(WORKERS, "worker", "1")
    assert first and first.is_chief and first.address == "a:1" and not first.serves
    assert second and not second.is_chief and second.others == {"worker 0": "a:1"}
    flags = read_cluster("a:1, b:2", 1, {})
    assert flags == second
    assert second.launched_with == "python -m tfpipe.launch --workers 2 --"


def test_servers_have_a_chief() -> None:
    chief, server = from_environment(SERVERS, "chief"), from_environment(SERVERS, "ps")
    assert chief and chief.is_chief and not chief.serves and chief.has_servers
    assert server and server.serves and server.name == "server 0" and not server.is_chief
    old = from_environment({"master": ["c:3"], "worker": ["a:1"]}, "master")
    assert old and old.role == "chief" and old.is_chief


@pytest.mark.parametrize(
    "cluster,role,index,wrong",
    [
        (WORKERS, "ps", 0, "is not in the cluster"),
        (WORKERS, None, 0, "is not in the cluster"),
        (WORKERS, "worker", 2, "is not in the cluster"),
        (WORKERS, "worker", -1, "is not in the cluster"),
        (WORKERS, "worker", "x", "is not in the cluster"),
        (WORKERS, "worker", None, "is not in the cluster"),
        ({"worker": ["a:1", "a:1"]}, "worker", 0, "the same address"),
        ({"worker": ["a"]}, "worker", 0, "without host or port"),
        ({"worker": ["a:port"]}, "worker", 0, "without host or port"),
        ({"worker": ["a:70000"]}, "worker", 0, "without host or port"),
        ({"worker": "a:1"}, "worker", 0, "no addresses"),
        ({"worker": []}, "worker", 0, "no addresses"),
        ({"wroker": ["a:1"]}, "wroker", 0, "unknown role"),
        ({**WORKERS, "evaluator": ["e:1"]}, "worker", 0, "unknown role"),
        ({"worker": ["a:1"], "ps": ["s:1"]}, "worker", 0, "need a chief"),
        ({"chief": ["a:1", "b:1"], "worker": ["w:1"]}, "worker", 0, "more than one chief"),
        (["a:1"], "worker", 0, "a cluster and a task"),
    ],
)
def test_wrong_tf_config(cluster: Any, role: Any, index: Any, wrong: str) -> None:
    with pytest.raises(UserError, match=wrong):
        from_environment(cluster, role, index)


@pytest.mark.parametrize("text", ["worker:0", "[1]", "{"])
def test_tf_config_that_is_no_object(text: str) -> None:
    with pytest.raises(UserError, match="not a JSON object"):
        read_cluster(None, None, {"TF_CONFIG": text})


def test_half_a_description_and_two() -> None:
    for workers, index in (("a:1,b:2", None), (None, 0)):
        with pytest.raises(UserError, match="go together"):
            read_cluster(workers, index, {})
    content = {"cluster": WORKERS, "task": {"type": "worker", "index": 0}}
    described = {"TF_CONFIG": json.dumps(content)}
    with pytest.raises(UserError, match="described twice"):
        read_cluster("a:1", 0, described)
    with pytest.raises(UserError, match="is not in the cluster"):
        read_cluster("a:1", 1, {})


def free_address() -> str:
    with socket.create_server(("localhost", 0)) as server:
        return f"localhost:{server.getsockname()[1]}"


def test_a_worker_that_never_comes() -> None:
    addresses = {"worker": (free_address(), free_address())}
    with pytest.raises(UserError, match="not all processes") as caught:
        meet(Cluster(addresses, "worker", 0), 0.3)
    assert f"worker 1 at {addresses['worker'][1]}" in caught.value.found


def test_workers_that_are_there_meet() -> None:
    with socket.create_server(("localhost", 0)) as other:
        there = f"localhost:{other.getsockname()[1]}"
        meet(Cluster({"worker": (free_address(), there)}, "worker", 0), 5)


def test_a_port_in_use() -> None:
    with socket.create_server(("", 0)) as other:
        taken = f"localhost:{other.getsockname()[1]}"
        with pytest.raises(UserError, match="port of worker 0 is in use"):
            meet(Cluster({"worker": (taken, free_address())}, "worker", 0), 0.3)


# ---- the choice -----------------------------------------------------------------------------


def test_auto_says_why() -> None:
    workers, servers = from_environment(WORKERS), from_environment(SERVERS, "chief")
    assert choose_name("auto", workers, None) == (
        "multi_worker",
        "auto: a cluster with workers is described",
    )
    assert choose_name("auto", servers, None)[0] == "parameter_server"
    assert choose_name("auto", None, "my-tpu") == ("tpu", "auto: a TPU is named")
    _, sentence = make_strategy("auto", 1)
    assert sentence == "one_device on 1 CPU (auto: 1 CPU found)"
    assert "so one replica" in make_strategy("mirrored", 1)[1]


def test_strategies_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    workers, servers = from_environment(WORKERS), from_environment(SERVERS, "chief")
    for name, cluster, wrong in (
        ("multi_worker", None, "needs a description of its processes"),
        ("parameter_server", None, "needs a description of its processes"),
        ("multi_worker", servers, "has no servers"),
        ("parameter_server", workers, "needs servers"),
        # A run that began on one device, resumed in a cluster: each would train it on its own.
        ("one_device", workers, "is for one process"),
        ("mirrored", servers, "is for one process"),
    ):
        with pytest.raises(UserError, match=wrong):
            choose_name(name, cluster, None)
    with pytest.raises(UserError, match="needs a description"):
        find_cluster(TrainConfig(strategy="multi_worker"))
    assert find_cluster(TrainConfig()) is None
    content = {"cluster": SERVERS, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(content))
    assert find_cluster(TrainConfig(strategy="one_device")) is None
    for values, wrong in (({"deterministic": True}, "deterministic"), ({"dry_run": True}, "dry")):
        with pytest.raises(UserError, match=wrong):
            find_cluster(TrainConfig(**values))


def test_the_same_devices_have_one_mirrored_strategy() -> None:
    one, other = (make_strategy("mirrored", 2)[0] for _ in range(2))
    assert one is other
    assert make_strategy("mirrored", 1)[0] is not one


def test_fewer_devices_than_asked() -> None:
    for name in ("one_device", "mirrored", "auto"):
        with pytest.raises(UserError, match="9 devices were asked for"):
            make_strategy(name, 9)


def test_no_tpu_is_told() -> None:
    with pytest.raises(UserError, match="no TPU can be reached"):
        make_strategy("tpu", 0)


def test_a_misspelt_name() -> None:
    with pytest.raises(UserError, match="did you mean 'multi_worker'"):
        build(TrainConfig, {"strategy": "multiworker"})


def test_the_batch_in_one_line() -> None:
    strategy, _ = make_strategy("mirrored", 2)
    assert describe_batch(strategy, 32, 4, 1.5e-4) == (
        "batch: 32 in a step = 2 replica(s) x 16, each in 4 part(s) of 4;"
        " peak learning rate 1.50e-04"
    )


# ---- one process alone, and devices that want fixed shapes ------------------------------------


def test_one_process_agrees_with_itself() -> None:
    strategy, _ = make_strategy("mirrored", 2)
    check_agreement(strategy, data="x")
    assert largest_over_workers(strategy, 15) == 15


def test_fixed_shapes_are_traced_once_a_width() -> None:
    strategy, _ = make_strategy("mirrored", 2)
    widths = widen(np.array([1, 16, 17, 32, 33, 100, 128]))
    assert list(widths) == [16, 16, 32, 32, 64, 128, 128]

    def batches() -> Any:
        for width in widths:
            for replica in (0, 1):
                yield tf.fill([2, width], replica)

    data = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec([2, None], tf.int32)
    )
    shapes = []

    def total(batch: tf.Tensor) -> tf.Tensor:
        def of_replica(part: tf.Tensor) -> tf.Tensor:
            shapes.append(tuple(part.shape))
            return tf.reduce_sum(part)

        return strategy.reduce("SUM", strategy.run(of_replica, args=(batch,)), axis=None)

    fed = DistributedBatches(strategy, data)
    # As for a TPU.
    fed.element_spec = None
    totals = [int(value) for value in run_batches(strategy, compile_for(fed, total), fed)]
    assert totals == [2 * width for width in widths]
    assert set(shapes) == {(2, 16), (2, 32), (2, 64), (2, 128)}

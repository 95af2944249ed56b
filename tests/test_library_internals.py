"""What the private names of other libraries do that `library_internals.py` of each package uses."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from transformers import AdamWeightDecay

from serving.server.library_internals import extend_graph, run_session, tensor_handle
from tfpipe import library_internals as internals
from tuning.library_internals import condition, set_project_folder

PARAMETER_SERVER = """
import json, os, socket
import tfpipe
import tensorflow as tf
from tfpipe.library_internals import cluster_roles, keep_tables_on_chief


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def table_type(strategy):
    with strategy.scope():
        content = tf.lookup.KeyValueTensorInitializer(["a"], [5])
        return type(tf.lookup.StaticHashTable(content, -1)).__name__


roles = {"worker": [free_address()], "ps": [free_address()]}
cluster = tf.train.ClusterSpec(roles)
servers = [tf.distribute.Server(cluster, job_name=role, protocol="grpc") for role in roles]
resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, rpc_layer="grpc")
strategy = tf.distribute.ParameterServerStrategy(resolver)
before = table_type(strategy)
keep_tables_on_chief(strategy)
found = {"public": strategy.cluster_resolver is not None, "equal": cluster_roles(strategy) == roles}
print(json.dumps(found | {"before": before, "after": table_type(strategy)}), flush=True)
# The servers of a process cannot be stopped.
os._exit(0)
"""


@pytest.mark.slow
def test_parameter_servers_roles_and_tables() -> None:
    """In a process of its own, because the strategy connects TensorFlow to the servers."""
    done = subprocess.run(
        [sys.executable, "-c", PARAMETER_SERVER], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["equal"]
    assert not found["public"], "strategy.cluster_resolver would do instead of cluster_roles"
    assert found["before"] != "StaticHashTable", "keep_tables_on_chief is not needed any more"
    assert found["after"] == "StaticHashTable"


def test_per_replica_spec_is_the_signature_of_a_replicated_value() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    spec = internals.per_replica_spec(tf.TensorSpec([None], tf.float32), 2)
    traces = []

    @tf.function(input_signature=[spec])
    def add_up(values: tf.Tensor) -> tf.Tensor:
        traces.append(values)
        sums = strategy.run(tf.reduce_sum, args=(values,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    for width in (2, 3):
        values = strategy.experimental_distribute_values_from_function(
            lambda _, width=width: tf.ones([width])
        )
        assert add_up(values).numpy() == 2 * width
    assert len(traces) == 1


def test_determinism_ends() -> None:
    # Another test may have set a seed, with which random numbers are deterministic.
    tf.random.set_seed(None)
    tf.config.experimental.enable_op_determinism()
    try:
        with pytest.raises(RuntimeError, match="seed"):
            tf.random.uniform([])
    finally:
        internals.disable_op_determinism()
    tf.random.uniform([])


def test_operations_with_a_cpu_kernel_are_listed() -> None:
    operations = internals.cpu_operations()
    assert operations == sorted(set(operations))
    # NcclAllReduce runs on GPUs only; TPUExecute has no kernel here.
    assert {"MatMul", "LookupTableFindV2", "UnicodeDecode"} < set(operations)
    assert not {"NcclAllReduce", "TPUExecute"} & set(operations)


def test_slots_exist_before_the_first_step() -> None:
    variable = tf.Variable(tf.ones([2, 3]), name="kernel")
    optimizer = AdamWeightDecay(1e-3)
    assert not optimizer.variables()
    internals.create_slots(optimizer, [variable])
    assert optimizer.iterations.numpy() == 0
    moments = [weight for weight in optimizer.variables() if weight.shape == variable.shape]
    assert len(moments) == 2
    optimizer.apply_gradients([(tf.ones([2, 3]), variable)])
    assert all(moment.numpy().all() for moment in moments)


def test_dropout_is_replaced() -> None:
    layer = tf_keras.layers.Dropout(0.25)
    given = []

    def dropout(inputs: tf.Tensor, rate: float, noise_shape: None = None) -> tf.Tensor:
        given.append(rate)
        return inputs * 7.0

    internals.replace_dropout(layer, dropout)
    assert layer(tf.ones([2]), training=True).numpy().tolist() == [7.0, 7.0]
    assert layer(tf.ones([2]), training=False).numpy().tolist() == [1.0, 1.0]
    assert given == [0.25]


def test_weights_get_the_names_and_the_layout_of_pytorch() -> None:
    kernel = np.arange(6.0).reshape(2, 3)
    path = "tf_bert_for_sequence_classification/bert/encoder/layer_._1"
    name, array = internals.as_pytorch_weight(f"{path}/attention/self/query/kernel:0", kernel)
    assert name == "bert.encoder.layer.1.attention.self.query.weight"
    np.testing.assert_array_equal(array, kernel.T)
    name, array = internals.as_pytorch_weight(f"{path}/output/LayerNorm/gamma:0", kernel[0])
    assert name == "bert.encoder.layer.1.output.LayerNorm.weight"
    np.testing.assert_array_equal(array, kernel[0])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN's int8 products are of x86")
@pytest.mark.parametrize("gelu", [False, True])
def test_the_quantized_product_is_that_of_whole_numbers(gelu: bool) -> None:
    rows = np.array([[127, -20, 3], [0, 64, -127]])
    kernel = np.array([[1, -127], [127, 5], [-3, 60]])
    bias, reach = np.array([0.5, -1.0], np.float32), np.array([2.0, 0.1], np.float32)

    @tf.function(autograph=False)
    def product() -> tf.Tensor:
        narrow = [tf.constant(v.astype(tf.qint8.as_numpy_dtype)) for v in (rows, kernel)]
        bound = tf.constant(4.0)
        return internals.quantized_product(*narrow, tf.constant(bias), bound, reach, gelu)

    expected = (rows * 4.0 / 127) @ (kernel * reach / 127) + bias
    expected = tf.nn.gelu(expected) if gelu else expected
    np.testing.assert_allclose(product(), expected, rtol=1e-5, atol=1e-6)


def test_keras_tuner_takes_keras_3_whatever_tensorflow_brings() -> None:
    assert tf.keras.Model.__module__.startswith("tf_keras")
    assert internals.keras_of_keras_tuner() == "keras"


def test_a_session_runs_without_casts() -> None:
    graph = tf.Graph()
    with graph.as_default():
        given = tf.compat.v1.placeholder(tf.float32, [None])
        doubled = given * 2.0
    session = tf.compat.v1.Session(graph=graph)
    options, feed, fetch = tf.compat.v1.RunOptions(), tensor_handle(given), tensor_handle(doubled)

    def run(values: np.ndarray) -> np.ndarray:
        return run_session(session, options, {feed: values}, [fetch])[0]

    extend_graph(session)
    np.testing.assert_array_equal(run(np.ones(2, np.float32)), [2.0, 2.0])
    # From then on a run does not look for operations that were added.
    with graph.as_default():
        fetch = tensor_handle(doubled + 1.0)
    with pytest.raises(tf.errors.OpError):
        run(np.ones(2, np.float32))
    extend_graph(session)
    np.testing.assert_array_equal(run(np.ones(2, np.float32)), [3.0, 3.0])
    # Session.run would cast these to float32.
    with pytest.raises(tf.errors.InvalidArgumentError, match="to be float but int64"):
        run(np.ones(2, np.int64))
    session.close()


def test_an_oracle_without_a_tuner_keeps_its_state_in_the_folder(tmp_path: Path) -> None:
    space = keras_tuner.HyperParameters()
    space.Choice("size", [1, 2, 3])
    oracle = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "max"), max_trials=2, hyperparameters=space
    )
    set_project_folder(oracle, str(tmp_path), "study")
    trial = oracle.create_trial("tuner")
    assert trial.hyperparameters.values["size"] in (1, 2, 3)
    assert list((tmp_path / "study").rglob("*.json"))


def test_a_condition_holds_for_its_values_only() -> None:
    space = keras_tuner.HyperParameters()
    space.Choice("kind", ["a", "b", "c"])
    either = condition("kind", ("a", "b"))
    assert [either.is_active({"kind": kind}) for kind in "abc"] == [True, True, False]
    only = keras_tuner.engine.hyperparameters.Choice("size", [1, 2], conditions=[either])
    space.merge([only])
    assert [one.name for one in space.space] == ["kind", "size"]
    for kind, active in (("a", True), ("c", False)):
        space.values["kind"] = kind
        assert space.is_active("size") is active

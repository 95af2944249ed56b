"""serving.server.inference.session_config: the flags in the session's configuration."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from serving.server.errors import StartFailure
from serving.server.flags import parse_flags
from serving.server.inference.session_config import build_session_config

v1 = tf.compat.v1


def build(*argv):
    return build_session_config(parse_flags(["--model_base_path=m", *argv]))


def test_flags_left_alone_leave_tensorflow_s_choice():
    assert build() == v1.ConfigProto(allow_soft_placement=True)


def test_parallelism():
    def threads(*argv):
        config = build(*argv)
        return config.intra_op_parallelism_threads, config.inter_op_parallelism_threads

    assert threads("--tensorflow_session_parallelism=3") == (3, 3)
    assert threads("--tensorflow_intra_op_parallelism=2") == (2, 0)
    assert threads("--tensorflow_session_parallelism=3", "--tensorflow_inter_op_parallelism=5") == (
        3,
        5,
    )


def test_the_file_comes_first_and_flags_win(tmp_path):
    file = tmp_path / "session.config"
    file.write_text(
        "intra_op_parallelism_threads: 7 inter_op_parallelism_threads: 8\n"
        "gpu_options { allow_growth: true }"
    )
    given = f"--tensorflow_session_config_file={file}"
    config = build(
        given, "--tensorflow_inter_op_parallelism=2", "--per_process_gpu_memory_fraction=0.25"
    )
    assert config == v1.ConfigProto(
        intra_op_parallelism_threads=7,
        inter_op_parallelism_threads=2,
        gpu_options=v1.GPUOptions(allow_growth=True, per_process_gpu_memory_fraction=0.25),
    )


@pytest.mark.parametrize("content", [b"threads: 3", b"\xff\xfe"])
def test_a_file_that_does_not_parse(tmp_path, content):
    file = tmp_path / "session.config"
    file.write_bytes(content)
    with pytest.raises(StartFailure, match="INVALID_ARGUMENT: Invalid protobuf file: '") as caught:
        build(f"--tensorflow_session_config_file={file}")
    assert "text tensorflow.ConfigProto" in caught.value.fix


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(StartFailure, match="NOT_FOUND: .*gone; No such file or directory"):
        build(f"--tensorflow_session_config_file={tmp_path / 'gone'}")


def run(config):
    """What the runtime makes of a small graph: the operations and the names of its nodes."""
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        x = v1.placeholder(tf.float32, [None, 64])
        weights = tf.constant(np.full([64, 64], 0.01, np.float32))
        y = tf.nn.relu(tf.matmul(tf.tanh(tf.matmul(x, weights) + 1) * 2, weights))
        metadata = v1.RunMetadata()
        (answer,) = session.run(
            [tf.identity(y * y + y)],
            {x: np.ones([4, 64], np.float32)},
            options=v1.RunOptions(output_partition_graphs=True),
            run_metadata=metadata,
        )
    assert answer.shape == (4, 64)
    nodes = [node for graph in metadata.partition_graphs for node in graph.node]
    return {node.op for node in nodes}, " ".join(node.name for node in nodes)


def test_xla_compiles_clusters_on_the_cpu_only_with_its_flag():
    assert not {"_XlaRun", "_XlaCompile"} & run(build())[0]
    assert {"_XlaRun", "_XlaCompile"} <= run(build("--xla_cpu_compilation_enabled"))[0]
    gpu = build("--xla_gpu_compilation_enabled").graph_options.optimizer_options
    assert gpu.global_jit_level == v1.OptimizerOptions.ON_1 and not gpu.cpu_global_jit


def test_mixed_precision_flag():
    config = build("--mixed_precision=bfloat16")
    assert config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 == 1
    # Where the processor has no bfloat16, TensorFlow leaves the graph alone.
    run(config)

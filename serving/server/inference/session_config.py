"""Session configuration from the flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

from serving.server.errors import RequestError, StartFailure
from serving.server.flags import ServerFlags
from serving.server.text_proto import read_text_proto


def build_session_config(flags: ServerFlags) -> Any:
    """Build the tensorflow.ConfigProto of all sessions from the file, then the flags.

    A default flag keeps the file's value, or else TensorFlow's default: one thread for each core.
    All sessions share the thread pools of the process' first session.

    Raises:
        StartFailure: The file cannot be read.
    """
    if flags.tensorflow_session_config_file:
        config = _read_file(Path(flags.tensorflow_session_config_file))
    else:
        # A graph saved on another machine may name devices that do not exist on this one.
        config = config_pb2.ConfigProto(allow_soft_placement=True)
    within = flags.tensorflow_intra_op_parallelism or flags.tensorflow_session_parallelism
    between = flags.tensorflow_inter_op_parallelism or flags.tensorflow_session_parallelism
    if within:
        config.intra_op_parallelism_threads = within
    if between:
        config.inter_op_parallelism_threads = between
    if flags.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    optimizer = config.graph_options.optimizer_options
    if flags.xla_cpu_compilation_enabled or flags.xla_gpu_compilation_enabled:
        optimizer.global_jit_level = config_pb2.OptimizerOptions.ON_1
        optimizer.cpu_global_jit = flags.xla_cpu_compilation_enabled
    if flags.mixed_precision == "bfloat16":
        rewrite = config.graph_options.rewrite_options
        rewrite.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    return config


def _read_file(path: Path) -> Any:
    try:
        return read_text_proto(path, config_pb2.ConfigProto())
    except RequestError as error:
        fix = "--tensorflow_session_config_file is a text tensorflow.ConfigProto"
        raise StartFailure(error.code, error.details, fix) from None

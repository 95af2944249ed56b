"""The command line: TensorFlow Serving's flags, and a few of our own."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from serving.server.errors import StartError

# Flags of tensorflow_model_server that this server does not have; a flag that is silently
# ignored would let a deployment believe in TLS or batching that is not there.
NOT_BUILT = """
rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support
grpc_socket_path grpc_channel_arguments model_config_file model_config_file_poll_wait_seconds
allow_version_labels_for_unavailable_models max_num_load_retries load_retry_interval_micros
num_load_threads num_unload_threads enable_batching batching_parameters_file
enable_per_model_batching_parameters monitoring_config_file enable_model_warmup
num_request_iterations_for_warmup ssl_config_file use_alts_credentials
enable_signature_method_name_check saved_model_tags tensorflow_session_parallelism
tensorflow_intra_op_parallelism tensorflow_inter_op_parallelism tensorflow_session_config_file
platform_config_file per_process_gpu_memory_fraction flush_filesystem_caches enable_profiler
enable_grpc_healthcheck_service enable_serialization_as_tensor_content
remove_unused_fields_from_bundle_metagraph prefer_tflite_model xla_cpu_compilation_enabled
xla_gpu_compilation_enabled mixed_precision version
"""
RANGES = {"port": (0, 65535), "grpc_max_threads": (1, 2**15)}
EXAMPLES = """example:
  python -m serving.server --port=8500 --model_name=support --model_base_path=/models/support

Flags are written as for tensorflow_model_server: --name=value or --name value.
"""


@dataclass(frozen=True)
class ServerFlags:
    """What the server was started with; the fields are the flags' names."""

    port: int
    host: str
    grpc_max_threads: int
    model_name: str
    model_base_path: Path
    file_system_poll_wait_seconds: float
    drain_seconds: float


def build_parser() -> argparse.ArgumentParser:
    """The flags with their defaults and units."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serve a SavedModel over TensorFlow Serving's gRPC interface.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--port", type=int, default=8500, help="gRPC port; 0 picks a free one (%(default)s)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; the default is this machine only, 0.0.0.0 is every network "
        "(%(default)s)",
    )
    parser.add_argument(
        "--grpc_max_threads",
        type=int,
        default=4 * (os.cpu_count() or 1),
        help="requests worked on at once (4 a CPU: %(default)s)",
    )
    parser.add_argument(
        "--model_name", default="default", help="the name clients ask for (%(default)s)"
    )
    parser.add_argument(
        "--model_base_path",
        type=Path,
        help="folder with one numbered folder a version; the highest is served (required)",
    )
    parser.add_argument(
        "--file_system_poll_wait_seconds",
        type=float,
        default=1.0,
        help="seconds between looks for a new version; 0 looks once (%(default)g)",
    )
    parser.add_argument(
        "--drain_seconds",
        type=float,
        default=10.0,
        help="seconds that running requests get to finish after SIGTERM (%(default)g)",
    )
    return parser


def parse_flags(argv: list[str] | None = None) -> ServerFlags:
    """The flags in `argv` (default: the command line's). Raises StartError for a wrong one."""
    parser = build_parser()
    words = [_spell(word) for word in (sys.argv[1:] if argv is None else argv)]
    known, unknown = parser.parse_known_args(words)
    if unknown:
        raise _explain_unknown(unknown[0], list(vars(known)))
    if known.model_base_path is None:
        raise StartError(
            "The server was not told what to serve.",
            "no --model_base_path",
            "give the folder that holds the numbered versions: --model_base_path=/models/support",
        )
    for name, value in vars(known).items():
        lowest, highest = RANGES.get(name, (0, 2**31))
        if isinstance(value, (int, float)) and not lowest <= value <= highest:
            raise StartError(
                f"--{name} is out of range.",
                str(value),
                f"give a number from {lowest} to {highest}",
            )
    return ServerFlags(**vars(known))


def _spell(word: str) -> str:
    # --drain-seconds=5 and --drain_seconds=5 are one flag; the value is left alone.
    name, equals, value = word.partition("=")
    if not name.startswith("--"):
        return word
    return "--" + name[2:].replace("-", "_") + equals + value


def _explain_unknown(word: str, known: list[str]) -> StartError:
    name = word.removeprefix("--").partition("=")[0]
    if word.startswith("--") and name in NOT_BUILT.split():
        return StartError(
            f"--{name} is a flag of TensorFlow Serving that this server does not have yet.",
            word,
            "leave it out; `--help` lists the flags there are",
        )
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean --{close[0]}? " if close else ""
    return StartError(
        f"{word!r} is not a flag of this server.", word, f"{guess}`--help` lists the flags"
    )

"""Command line flags: those of TensorFlow Serving, and some of this server."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import logging
import os
import sys
from dataclasses import dataclass
from typing import Any

from grpc import StatusCode

from serving.server.errors import StartError, StartFailure

logger = logging.getLogger(__name__)

CPUS = os.cpu_count() or 1
EXAMPLES = """examples:
  python -m serving.server --port=8500 --model_name=support --model_base_path=/models/support
  python -m serving.server --rest_api_port=8501 --model_config_file=models.config

Flags have the syntax of tensorflow_model_server: --name=value, --name value, or --name alone for
a boolean.
"""
# Flags of tensorflow_model_server with a single supported value; any other value is an error, so
# that no deployment relies on a missing feature. The default of tensorflow_model_server only
# causes a warning: a command line that repeats a default does not depend on it.
FIXED_FLAGS: dict[str, tuple[bool | str, bool | str, str]] = {
    # name: (supported value, default of tensorflow_model_server, reason)
    "enable_profiler": (False, True, "it has no profiler service"),
    "use_alts_credentials": (
        False,
        False,
        "ALTS exists on Google Cloud only; use --ssl_config_file",
    ),
    "platform_config_file": ("", "", "sessions are configured by flags"),
    "prefer_tflite_model": (False, False, "it runs SavedModels only"),
    "remove_unused_fields_from_bundle_metagraph": (True, True, "it keeps the signatures only"),
}


def flag(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """Declare a flag as a dataclass field: default, help text with the unit, and range."""
    return dataclasses.field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True)
class ServerFlags:
    """Values of all flags, by flag name."""

    port: int = flag(8500, "gRPC port; 0 picks a free one", 0, 65535)
    host: str = flag("127.0.0.1", "address to listen on; 0.0.0.0 is every network (loopback)")
    grpc_socket_path: str = flag("", "UNIX socket to serve gRPC on as well (none)")
    grpc_channel_arguments: str = flag("", "gRPC server options, as name=value,... (none)")
    grpc_max_threads: int = flag(
        max(64, 4 * CPUS), "gRPC requests processed at once; further ones wait", 1, 2**15
    )
    max_concurrent_requests: int = flag(
        1000, "gRPC requests running or waiting; more are rejected: RESOURCE_EXHAUSTED", 1, 10**6
    )
    max_request_bytes: int = flag(2**31 - 1, "largest request, in bytes", 1, 2**31 - 1)
    max_pending_bytes: int = flag(
        2**30, "bytes of requests running or waiting and of unread responses", 1
    )
    max_transfer_seconds: float = flag(
        60.0, "seconds for a client to send a request, and to read the response", 0.1
    )
    rest_api_port: int = flag(0, "REST port; 0 is off", 0, 65535)
    rest_api_num_threads: int = flag(4 * CPUS, "REST requests processed at once", 1, 2**15)
    rest_api_timeout_in_ms: int = flag(30000, "milliseconds for a REST request", 1)
    rest_api_enable_cors_support: bool = flag(False, "allow cross-origin requests to the REST API")
    model_name: str = flag("default", "name of the model in requests")
    model_base_path: str = flag("", "folder with a numbered folder for each version (required)")
    model_config_file: str = flag(
        "", "text ModelServerConfig with several models, instead of --model_base_path (none)"
    )
    model_config_file_poll_wait_seconds: int = flag(
        0, "seconds between polls of the model config file; 0 reads it once", 0
    )
    file_system_poll_wait_seconds: float = flag(
        1.0, "seconds between polls for versions; 0 or less polls only on a new config"
    )
    allow_version_labels_for_unavailable_models: bool = flag(
        False, "allow new labels on versions that are not loaded yet"
    )
    max_num_load_retries: int = flag(5, "retries of a failed load", 0)
    load_retry_interval_micros: int = flag(60_000_000, "microseconds between these retries", 0)
    num_load_threads: int = flag(0, "versions loaded at once; 0 is sequential", 0, 2**10)
    num_unload_threads: int = flag(0, "versions unloaded at once; 0 is sequential", 0, 2**10)
    version_transition_policy: str = flag(
        "availability_preserving",
        "availability_preserving: load the new version, then unload the old one; "
        "resource_preserving: unload first",
    )
    enable_batching: bool = flag(False, "combine concurrent requests into batches")
    batching_parameters_file: str = flag("", "text BatchingParameters (TF Serving's defaults)")
    enable_per_model_batching_parameters: bool = flag(
        False, "read batching_params.pbtxt of each version"
    )
    enable_model_warmup: bool = flag(True, "replay assets.extra/tf_serving_warmup_requests")
    num_request_iterations_for_warmup: int = flag(
        0, "repetitions of each warm-up request; 0 is one", 0
    )
    monitoring_config_file: str = flag("", "text MonitoringConfig; metrics on the REST port (none)")
    ssl_config_file: str = flag("", "text SSLConfig with PEM text; gRPC only (no TLS)")
    enable_grpc_healthcheck_service: bool = flag(False, "serve grpc.health.v1")
    enable_signature_method_name_check: bool = flag(
        False, "reject signatures whose method name is not TensorFlow Serving's"
    )
    enable_serialization_as_tensor_content: bool = flag(
        False, "send numbers in tensor_content instead of the typed fields"
    )
    saved_model_tags: str = flag("serve", "tags of the graph to load, separated by commas")
    tensorflow_session_config_file: str = flag("", "text tensorflow.ConfigProto (none)")
    tensorflow_session_parallelism: int = flag(
        0, "threads a session uses within and between operations; 0 chooses", 0
    )
    tensorflow_intra_op_parallelism: int = flag(0, "threads within an operation; 0 chooses", 0)
    tensorflow_inter_op_parallelism: int = flag(0, "threads between operations; 0 chooses", 0)
    per_process_gpu_memory_fraction: float = flag(
        0.0, "share of each GPU's memory; 0 lets TensorFlow choose", 0, 1
    )
    flush_filesystem_caches: bool = flag(True, "drop a loaded model's files from the page cache")
    xla_cpu_compilation_enabled: bool = flag(False, "compile graphs with XLA on CPUs")
    xla_gpu_compilation_enabled: bool = flag(False, "compile graphs with XLA on GPUs")
    mixed_precision: str = flag("", "bfloat16: run matrix products on CPUs in bfloat16 (off)")
    drain_seconds: float = flag(10.0, "seconds for running requests after SIGTERM", 0)
    request_log: str = flag("all", "requests logged on standard error: all, errors, off")
    version: bool = flag(False, "print versions and exit")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all flags."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serve SavedModels over TensorFlow Serving's gRPC and REST interfaces.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for field in dataclasses.fields(ServerFlags):
        kind = type(field.default)
        summary = field.metadata["help"].replace("%", "%%")
        if kind is bool:
            options: dict[str, Any] = {"type": _read_bool, "nargs": "?", "const": True}
            default = str(field.default).lower()
        else:
            options, default = {"type": kind}, str(field.default)
        parser.add_argument(
            f"--{field.name}",
            default=field.default,
            help=summary if default == "" else f"{summary} (default {default})",
            metavar=kind.__name__.upper(),
            **options,
        )
    for name, (value, _, _) in FIXED_FLAGS.items():
        options = {"type": str}
        if isinstance(value, bool):
            options = {"type": _read_bool, "nargs": "?", "const": True}
        parser.add_argument(f"--{name}", default=value, help=argparse.SUPPRESS, **options)
    return parser


def parse_flags(argv: list[str] | None = None) -> ServerFlags:
    """Parse `argv` (default: the command line).

    Raises:
        StartError: A flag is unknown, out of range or not supported.
        StartFailure: The same, where TensorFlow Serving has a message of its own.
    """
    words = [_normalize(word) for word in (sys.argv[1:] if argv is None else argv)]
    known, unknown = build_parser().parse_known_args(words)
    given = vars(known)
    _check_unknown(unknown, list(given))
    for name in FIXED_FLAGS:
        _check_fixed(name, given.pop(name))
    flags = ServerFlags(**given)
    for field in dataclasses.fields(ServerFlags):
        value, low, high = getattr(flags, field.name), field.metadata["low"], field.metadata["high"]
        if (low is not None and value < low) or (high is not None and value > high):
            raise StartError(
                f"--{field.name} is out of range.",
                str(value),
                f"give a number from {low}" + ("" if high is None else f" to {high}"),
            )
    _check_choice(
        "version_transition_policy",
        flags.version_transition_policy,
        ["availability_preserving", "resource_preserving"],
    )
    _check_choice("mixed_precision", flags.mixed_precision, ["", "bfloat16"])
    _check_choice("request_log", flags.request_log, ["all", "errors", "off"])
    return flags


def check_combinations(flags: ServerFlags) -> None:
    """Raise StartFailure or StartError for flags that contradict each other."""
    if not flags.model_base_path and not flags.model_config_file:
        raise _tfs_start_failure(
            "Both server_options.model_base_path and server_options.model_config_file are empty!",
            "give the folder of the numbered versions: --model_base_path=/models/support",
        )
    if flags.rest_api_port and flags.rest_api_port == flags.port:
        raise StartError(
            "gRPC and REST need different ports.",
            f"--port={flags.port} --rest_api_port={flags.rest_api_port}",
            "change one of them",
        )
    if flags.batching_parameters_file and not flags.enable_batching:
        raise _tfs_start_failure(
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true.",
            "add --enable_batching or omit the file",
        )


def _tfs_start_failure(details: str, fix: str) -> StartFailure:
    return StartFailure(StatusCode.INVALID_ARGUMENT, details, fix)


def _read_bool(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]


def _check_choice(name: str, value: str, choices: list[str]) -> None:
    if value not in choices:
        shown = ", ".join(choice or "nothing" for choice in choices)
        raise StartError(f"--{name} has an unknown value.", repr(value), f"give one of: {shown}")


def _normalize(word: str) -> str:
    # --drain-seconds=5 and --drain_seconds=5 are the same flag; the value is not changed.
    name, equals, value = word.partition("=")
    if not name.startswith("--"):
        return word
    return "--" + name[2:].replace("-", "_") + equals + value


def _check_unknown(words: list[str], known: list[str]) -> None:
    for word in words:
        name = word.removeprefix("--").partition("=")[0]
        close = difflib.get_close_matches(name, known, n=1)
        guess = f"did you mean --{close[0]}? " if close else ""
        raise StartError(
            f"{word!r} is not a flag of this server.", word, f"{guess}`--help` lists the flags"
        )


def _check_fixed(name: str, value: bool | str) -> None:
    wanted, default, reason = FIXED_FLAGS[name]
    if value == wanted:
        return
    if value == default:
        logger.warning("--%s is ignored: %s", name, reason)
        return
    raise StartError(
        f"This server does not support --{name}.",
        f"--{name}={_format_value(value)}",
        f"{reason}; omit it or write --{name}={_format_value(wanted)}",
    )


def _format_value(value: bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else value

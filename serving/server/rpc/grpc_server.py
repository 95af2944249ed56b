"""gRPC server: services, ports, and shutdown."""

from __future__ import annotations

import socket
import stat
import threading
from pathlib import Path
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.server.errors import StartError
from serving.server.flags import ServerFlags
from serving.server.rpc.health import WATCHERS_LIMIT, HealthService
from serving.server.rpc.resilient_pool import ResilientThreadPool
from serving.server.rpc.slow_clients import TransferTimeouts
from serving.server.rpc.tls import read_credentials
from serving.server.rpc.unary_handler import RpcLimits, UnaryHandler
from serving.server.service import ServingService

# Service -> method -> (request class, method of ServingService, whether it runs a model)
SERVICES: dict[str, dict[str, tuple[Any, str, bool]]] = {
    "tensorflow.serving.PredictionService": {
        "Predict": (predict_pb2.PredictRequest, "predict", True),
        "Classify": (classification_pb2.ClassificationRequest, "classify", True),
        "Regress": (regression_pb2.RegressionRequest, "regress", True),
        "MultiInference": (inference_pb2.MultiInferenceRequest, "multi_inference", True),
        "GetModelMetadata": (
            get_model_metadata_pb2.GetModelMetadataRequest,
            "get_model_metadata",
            False,
        ),
    },
    "tensorflow.serving.ModelService": {
        "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, "get_model_status", False),
        "HandleReloadConfigRequest": (model_management_pb2.ReloadConfigRequest, "reload", False),
    },
}
# Threads for calls that wait for their message or for an inference thread; started on demand.
RECEIVING_THREADS = 256
# Channel options; --grpc_channel_arguments overrides them.
OPTIONS = {
    "grpc.max_send_message_length": -1,
    # With SO_REUSEPORT two servers could share a port, and clients would reach either.
    "grpc.so_reuseport": 0,
    # A peer that does not answer pings is disconnected.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.keepalive_permit_without_calls": 1,
    # Clients behind proxies ping idle connections more often than gRPC's five minutes.
    "grpc.http2.min_ping_interval_without_data_ms": 10_000,
}


class GrpcServer:
    """gRPC server; created before the models are loaded, started when they are available.

    Raises:
        StartError: --grpc_channel_arguments is malformed.
        StartFailure: --ssl_config_file is invalid.
    """

    def __init__(self, service: ServingService, flags: ServerFlags):
        self._flags = flags
        self._credentials = read_credentials(flags.ssl_config_file)
        self._transfer_timeouts = TransferTimeouts(flags.max_transfer_seconds)
        limits = RpcLimits(
            flags.grpc_max_threads,
            flags.max_request_bytes,
            service.pending,
            self._transfer_timeouts,
            service.log,
        )
        self._health = None
        if flags.enable_grpc_healthcheck_service:
            self._health = HealthService(service.manager.ready, limits)
        watchers = WATCHERS_LIMIT if self._health else 0
        calls = flags.max_concurrent_requests + watchers
        # More threads than for inference: clients that never send their message, or watch health
        # for ever, could occupy all of those.
        threads = flags.grpc_max_threads + RECEIVING_THREADS + watchers
        self._threads = ResilientThreadPool(min(threads, calls), thread_name_prefix="request")
        options = {
            **OPTIONS,
            "grpc.max_receive_message_length": flags.max_request_bytes,
            **read_channel_arguments(flags.grpc_channel_arguments),
        }
        self._server = grpc.server(
            self._threads,
            maximum_concurrent_rpcs=calls,
            options=list(options.items()),
        )
        for service_name, methods in SERVICES.items():
            handlers = {
                name: grpc.stream_unary_rpc_method_handler(
                    UnaryHandler(name, request, getattr(service, function), limits, runs_model)
                )
                for name, (request, function, runs_model) in methods.items()
            }
            self._server.add_registered_method_handlers(service_name, handlers)
        if self._health is not None:
            self._health.add_to(self._server)

    def start(self) -> str:
        """Open port and UNIX socket; return the first address. Raises StartError."""
        flags, addresses = self._flags, []
        # As in TensorFlow Serving, --port=0 with a UNIX socket opens no port.
        if flags.port or not flags.grpc_socket_path:
            port = self._bind(format_address(flags.host, flags.port))
            addresses.append(format_address(flags.host, port))
        if flags.grpc_socket_path:
            remove_stale_socket(Path(flags.grpc_socket_path))
            addresses.append(f"unix:{flags.grpc_socket_path}")
            self._bind(addresses[-1])
        self._transfer_timeouts.start()
        self._server.start()
        return addresses[0]

    def stop(self, grace: float) -> threading.Event:
        """Reject new calls and cancel running ones after `grace` seconds.

        Returns:
            Event that is set when all calls have ended.
        """
        if self._health is not None:
            self._health.drain()
        ended = self._server.stop(grace)
        self._transfer_timeouts.ended = ended
        threading.Thread(target=self._end_threads, args=[ended], daemon=True).start()
        return ended

    def _end_threads(self, ended: threading.Event) -> None:
        ended.wait()
        self._threads.shutdown(wait=False)

    def _bind(self, address: str) -> int:
        try:
            if self._credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise StartError(
                "The address cannot be bound.",
                f"{address}: {error}",
                "choose another --port (0: a free one) or path, or stop the process that uses it",
            ) from None


def remove_stale_socket(path: Path) -> None:
    """Remove the UNIX socket of a server that has died; raises StartError for anything else.

    Its permissions follow the umask, as in TensorFlow Serving.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartError(
                "The UNIX socket's path is taken.",
                f"--grpc_socket_path={path} is not a socket",
                "choose another path",
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except OSError as error:
        raise StartError(
            "The UNIX socket cannot be used.",
            f"--grpc_socket_path={path}: {error.strerror or error}",
            "choose another path",
        ) from None
    raise StartError(
        "The UNIX socket's path is taken.",
        f"a server listens on --grpc_socket_path={path}",
        "choose another path, or stop that server",
    )


def read_channel_arguments(text: str) -> dict[str, int | str]:
    """Parse gRPC options in `name=value,...`; raises StartError."""
    options: dict[str, int | str] = {}
    for word in filter(None, text.split(",")):
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise StartError(
                "--grpc_channel_arguments is malformed.",
                repr(word),
                "write name=value,name=value, as in grpc.max_connection_age_ms=60000",
            )
        try:
            options[name] = int(value)
        except ValueError:
            options[name] = value
    return options


def format_address(host: str, port: int) -> str:
    """Format HOST:PORT, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

"""`python -m serving.server`: check, load, listen, say so, and drain when told to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading

from serving.server.errors import StartError
from serving.server.flags import ServerFlags, parse_flags
from serving.server.versions import check_base_path

logger = logging.getLogger("serving.server")

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns 0 then, 2 when it cannot start as asked."""
    try:
        flags = parse_flags(argv)
        # Both checks are cheap and come before TensorFlow's import, which takes seconds.
        check_base_path(flags.model_base_path)
        check_port(flags.host, flags.port)
        serve(flags)
    except StartError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def serve(flags: ServerFlags) -> None:
    """Load the model, answer requests, drain. Raises StartError."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    silence_tensorflow()
    from serving.server.manager import ServedModel, watch
    from serving.server.service import format_address, listen

    model = ServedModel(flags.model_name, flags.model_base_path)
    version = model.start()
    server, port = listen({model.name: model}, flags.host, flags.port, flags.grpc_max_threads)
    watcher = threading.Thread(
        target=watch, args=([model], flags.file_system_poll_wait_seconds, stop), daemon=True
    )
    if flags.file_system_poll_wait_seconds > 0:
        watcher.start()
    reach = "this machine only" if flags.host in LOOPBACK else "open to the network"
    print(
        f"serving {model.name} version {version} on {format_address(flags.host, port)} "
        f"(gRPC, {reach})",
        flush=True,
    )
    stop.wait()
    logger.info("draining: running requests have %g s to finish", flags.drain_seconds)
    server.stop(flags.drain_seconds).wait()
    model.close()
    if watcher.is_alive():
        watcher.join(flags.drain_seconds)
    logger.info("stopped")


def check_port(host: str, port: int) -> None:
    """Raise a StartError when nobody could listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As gRPC does: connections of a server just stopped do not block its port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        raise StartError(
            "The server cannot listen there.",
            f"--host {host} --port {port}: {getattr(error, 'strerror', None) or error}",
            "choose another --port (0 picks a free one), or stop what uses it",
        ) from None


def silence_tensorflow() -> None:
    """Turn off start-up chatter at its source: failures reach us as exceptions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")

"""`python -m serving.server`: check flags, load models, serve, and drain on a signal."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from serving.server.errors import StartError, StartFailure
from serving.server.flags import ServerFlags, check_combinations, parse_flags
from serving.standard_output import replace_unencodable

if TYPE_CHECKING:
    from serving.server.application import Application

logger = logging.getLogger("serving.server")

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        Exit status: 0 after a signal, 2 for a bad command line, 255 (as TensorFlow Serving) when
        its configuration or models cannot be served.
    """
    replace_unencodable()
    try:
        flags = parse_flags(argv)
        if flags.version:
            return print_versions()
        # Cheap checks come before the import of TensorFlow, which takes seconds.
        check_combinations(flags)
        check_port(flags.host, "port", flags.port)
        check_port(flags.host, "rest_api_port", flags.rest_api_port)
        serve(flags)
    except StartError as error:
        print(error, file=sys.stderr)
        return 2
    except StartFailure as failure:
        print(failure, flush=True)
        if failure.fix:
            print(f"  to do: {failure.fix}", file=sys.stderr)
        return 255
    return 0


def serve(flags: ServerFlags) -> None:
    """Load the models, serve, drain; raises StartError and StartFailure."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # In a thread: the main one may hold the event's lock when a signal interrupts it.
        signal.signal(number, lambda *_: threading.Thread(target=stopping.set).start())
    # A fifth of the imports would be garbage collection. What they leave stays for good, so that
    # no later collection, which stops all requests, has to pass over it.
    gc.disable()
    import_tensorflow()
    from serving.server.application import Application

    gc.freeze()
    gc.enable()
    application = Application(flags, stopping)
    if not application.start():
        logger.info("stopped before every model was available")
        return
    print(describe(application), flush=True)
    # With a timeout: a signal that arrives just as the thread begins to wait is handled when it
    # wakes up.
    while not stopping.wait(1):
        pass
    logger.info("draining: running requests have %g s to finish", flags.drain_seconds)
    application.stop()
    logger.info("stopped")


def describe(application: Application) -> str:
    """Format the ready line: models and versions, addresses, and reachability."""
    models = ", ".join(
        f"{name} version {' and '.join(map(str, versions))}"
        for name, versions in application.manager.available().items()
    )
    addresses = f"{application.grpc_address} (gRPC)"
    if application.rest_address:
        addresses += f" and {application.rest_address} (REST)"
    reach = "this machine only" if application.flags.host in LOOPBACK else "open to the network"
    return f"serving {models or 'no model'} on {addresses}, {reach}"


def print_versions() -> int:
    """Print versions in TensorFlow Serving's format; return exit status 0."""
    from importlib.metadata import version

    print(f"TensorFlow ModelServer: {version('tfpipe')} (tfpipe)")
    print(f"TensorFlow Library: {version('tensorflow')}")
    return 0


def check_port(host: str, name: str, port: int) -> None:
    """Raise a StartError unless the port can be bound."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As gRPC does: connections of a stopped server do not block its port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        raise StartError(
            "The port cannot be bound.",
            f"--host {host} --{name} {port}: {getattr(error, 'strerror', None) or error}",
            f"choose another --{name}, or stop the process that uses it",
        ) from None


def import_tensorflow() -> None:
    """Import TensorFlow without its log, as failures are raised, and without Keras.

    TensorFlow imports a Keras that it finds, which is two fifths of its import, and does without
    where there is none. The graphs of SavedModels need none.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Python's documented way to prevent an import is None in place of the module.
    hidden = [name for name in ("keras", "tf_keras") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        import tensorflow as tf
    finally:
        for name in hidden:
            del sys.modules[name]

    tf.get_logger().setLevel("ERROR")

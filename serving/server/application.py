"""Assembly of the server: models, service, gRPC and REST, started and stopped in order."""

from __future__ import annotations

import threading

from serving.server.flags import ServerFlags
from serving.server.lifecycle.config_poller import ConfigPoller
from serving.server.lifecycle.loader import Loader
from serving.server.lifecycle.manager import ModelManager
from serving.server.rest.rest_server import RestServer
from serving.server.rpc.grpc_server import GrpcServer
from serving.server.service import ServingService


class Application:
    """Complete server; tests run it in their own process.

    Args:
        flags: Command line flags.
        stopping: Event that interrupts `start`; set by `stop`.
    """

    def __init__(self, flags: ServerFlags, stopping: threading.Event | None = None):
        self.flags = flags
        self.stopping = stopping or threading.Event()
        self.grpc_address = ""
        self.rest_address = ""
        self.manager = ModelManager(flags, Loader(flags).load)
        self.service = ServingService(self.manager, flags)
        self.grpc = GrpcServer(self.service, flags)
        self.rest = RestServer(self.service, flags, self.stopping)
        self._config_poller = ConfigPoller(flags, self.manager.reload)

    def start(self) -> bool:
        """Load all models, then open the ports.

        Returns:
            False when `stopping` was set before every model was available.

        Raises:
            StartError: A flag cannot be followed.
            StartFailure: A configuration or a model cannot be served.
        """
        try:
            if not self.manager.start(self.stopping):
                self.manager.close()
                return False
            self.rest_address = self.rest.start()
            self.grpc_address = self.grpc.start()
        except BaseException:
            self.rest.stop(0).result()
            self.manager.close()
            raise
        self._config_poller.start(self.manager.first_config)
        return True

    def stop(self) -> None:
        """Reject new requests, finish running ones within `drain_seconds`, unload the models."""
        self.stopping.set()
        self._config_poller.stop()
        grpc_stopped = self.grpc.stop(self.flags.drain_seconds)
        rest_stopped = self.rest.stop(self.flags.drain_seconds)
        grpc_stopped.wait()
        rest_stopped.result()
        self.manager.close()
        self.service.close()

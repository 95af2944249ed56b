"""Polling of the model config file."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.server.errors import RequestError
from serving.server.flags import ServerFlags
from serving.server.lifecycle.model_config import read_config_file

logger = logging.getLogger(__name__)


class ConfigPoller:
    """Passes a changed config file to `reload`, where the flags enable polling.

    A file that cannot be read or is rejected changes nothing and is retried at the next poll: a
    label may name a version that is still loading.
    """

    def __init__(self, flags: ServerFlags, reload: Callable[[Any, Callable[[], bool]], None]):
        self._path = Path(flags.model_config_file)
        self._seconds = flags.model_config_file_poll_wait_seconds
        self._is_on = bool(flags.model_config_file) and self._seconds > 0
        self._reload = reload
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config", daemon=True)
        self._served: Any = None
        self._last_error = ""

    def start(self, served: Any) -> None:
        """Start polling in a thread; `served` is the configuration in use."""
        self._served = served
        if self._is_on:
            self._thread.start()

    def stop(self) -> None:
        """Stop polling."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self.poll()
            except Exception:
                logger.exception("reading %s failed", self._path)

    def poll(self) -> None:
        """Read the file once, and reload it if it has changed."""
        try:
            config = read_config_file(self._path)
            if config == self._served:
                return
            self._reload(config, self._stopped.is_set)
        except RequestError as error:
            if error.details != self._last_error and not self._stopped.is_set():
                logger.error("%s is rejected: %s", self._path, error.details)
            self._last_error = error.details
            return
        self._served, self._last_error = config, ""
        logger.info("%s is applied", self._path)

"""Model manager: applies the configuration, and gives requests access to loaded versions.

configuration (here) -> version_poller: aspired versions -> version_reconciler: loads and unloads
                     -> model_registry: available versions
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc

from serving.server.errors import RequestError, StartFailure, invalid_argument
from serving.server.flags import CPUS, ServerFlags
from serving.server.inference.loaded_model import LoadedModel
from serving.server.lifecycle.load_failure import describe_failures
from serving.server.lifecycle.model_config import ModelSettings, read_first_config, read_models
from serving.server.lifecycle.model_registry import (
    ModelRegistry,
    ServableHandle,
    ServedModel,
    VersionState,
)
from serving.server.lifecycle.version_folders import describe_base_path
from serving.server.lifecycle.version_poller import VersionPoller
from serving.server.lifecycle.version_reconciler import TICK_SECONDS, VersionReconciler

logger = logging.getLogger(__name__)

# Threads of TensorFlow Serving for the first config (core/load_servables_fast.cc).
FIRST_LOADS_AT_ONCE = 4 * CPUS


class ModelManager:
    """Serves the models of the configuration. Thread-safe."""

    def __init__(self, flags: ServerFlags, load: Callable[[str, int, Path], LoadedModel]):
        self._flags = flags
        self._registry = ModelRegistry()
        self._poller = VersionPoller(self._registry, flags.file_system_poll_wait_seconds)
        self._reconciler = VersionReconciler(self._registry, flags, load, self._poller.poll_if_due)
        self._settings: dict[str, ModelSettings] = {}
        self._reloading = threading.Lock()
        self._stopping = threading.Event()
        # ModelServerConfig at start-up.
        self.first_config: Any = None

    def use(self, spec: Any) -> ServableHandle:
        """Return a `with` block that keeps the version of a ModelSpec loaded.

        Entering it raises RequestError when there is no such version.
        """
        return ServableHandle(self._registry, spec)

    def names(self) -> list[str]:
        """Return the names of the configured models."""
        return sorted(self._settings)

    def available(self) -> dict[str, list[int]]:
        """Return the available versions by model, the highest first."""
        return self._registry.available()

    def states(self, name: str) -> dict[int, VersionState]:
        """Return the state of every version since the start, the highest first."""
        return self._registry.states(name)

    def ready(self) -> bool:
        """Return whether every configured model is available and the server is not stopping."""
        return not self._stopping.is_set() and self._registry.all_available(self._settings)

    def start(self, stopping: threading.Event) -> bool:
        """Load the models of the first configuration, and wait for a version of each.

        Args:
            stopping: Event that interrupts the wait.

        Returns:
            False when `stopping` was set before every model was available.

        Raises:
            StartFailure: The configuration is invalid, a model failed for good, or a model has no
                version and its base path is not polled.
        """
        self._stopping = stopping
        try:
            self.first_config = read_first_config(self._flags)
            settings = read_models(self.first_config, {})
            self._reconciler.loads_allowed = FIRST_LOADS_AT_ONCE
            self._apply(settings)
            self._check_versions(settings)
            self._reconciler.start()
            self._await("servable", settings, stopping.is_set, with_labels=True)
            if stopping.is_set():
                return False
            with self._registry.changed:
                self._registry.labels = self._check_labels(settings)
        except RequestError as error:
            raise StartFailure(error.code, error.details) from None
        self._reconciler.loads_allowed = max(1, self._flags.num_load_threads)
        return True

    def reload(self, config: Any, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Replace the whole configuration, and wait until new models are available.

        Args:
            config: ModelServerConfig.
            cancelled: Returns True when the caller no longer waits.

        Raises:
            RequestError: With TensorFlow Serving's codes and messages. A rejected configuration
                changes nothing.
        """
        if config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        with self._reloading:
            settings = read_models(config, self._settings)
            self._check_base_paths(settings)
            new = {name: settings[name] for name in settings if name not in self._settings}
            with self._registry.changed:
                self._registry.labels = self._check_labels(settings)
            self._apply(settings)
        # Outside the lock: a slow or missing model must not block a later configuration.
        self._await("model", new, lambda: cancelled() or self._stopping.is_set())

    def close(self) -> None:
        """Unload everything and cancel running requests."""
        self._stopping.set()
        self._reconciler.stop()
        self._registry.close()

    def _apply(self, settings: dict[str, ModelSettings]) -> None:
        with self._registry.changed:
            self._settings = settings
            for name in settings:
                self._registry.by_name.setdefault(name, ServedModel(name))
        self._poller.set_models(settings)

    def _check_base_paths(self, settings: Mapping[str, ModelSettings]) -> None:
        """Raise a RequestError for a new base path that does not exist."""
        for name, model in settings.items():
            known = self._settings.get(name)
            is_new = known is None or known.base_path != model.base_path
            if is_new and not model.base_path.exists():
                raise invalid_argument(
                    f"Could not find base path {model.base_path} for servable {name} "
                    f"with error NOT_FOUND: {model.base_path} not found"
                )

    def _check_versions(self, settings: Mapping[str, ModelSettings]) -> None:
        """Raise a RequestError for models without a version when base paths are not polled."""
        if self._flags.file_system_poll_wait_seconds > 0:
            return
        lacking = [
            f"model {name}: {describe_base_path(model.base_path)}"
            for name, model in settings.items()
            if not self._registry.by_name[name].versions
        ]
        if lacking:
            raise RequestError(grpc.StatusCode.NOT_FOUND, "; ".join(lacking))

    def _check_labels(self, settings: Mapping[str, ModelSettings]) -> dict[str, dict[str, int]]:
        """Return the labels by model; raise RequestError for a label on an unavailable version."""
        moves = []
        for name, model in settings.items():
            known = self._registry.labels.get(name, {})
            served = self._registry.by_name.get(name)
            for label, number in model.labels.items():
                is_moved = known.get(label, number) != number
                if is_moved:
                    words = "model %s: label %s moves from version %d to version %d"
                    moves.append((words, name, label, known[label], number))
                if self._flags.allow_version_labels_for_unavailable_models and not is_moved:
                    continue
                if served is None or number not in served.available:
                    raise RequestError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {number} of model {name}, which is "
                        "not currently available for inference",
                    )
        for move in moves:
            logger.info(*move)
        return {name: dict(model.labels) for name, model in settings.items()}

    def _await(
        self,
        noun: str,
        awaited: Mapping[str, ModelSettings],
        cancelled: Callable[[], bool],
        with_labels: bool = False,
    ) -> None:
        """Wait until each model, optionally each labelled version, is ready or has failed.

        A model that a later configuration removes is not waited for.

        Raises:
            RequestError: Models have failed.
        """

        def served() -> dict[str, ServedModel]:
            return {
                name: self._registry.by_name[name] for name in awaited if name in self._settings
            }

        with self._registry.changed:
            while not all(
                model.is_finished(awaited[name].labels.values() if with_labels else ())
                for name, model in served().items()
            ):
                if cancelled():
                    return
                # Poll: a signal handler cannot notify the condition, as it must not take its lock.
                self._registry.changed.wait(TICK_SECONDS)
            failures = describe_failures(
                noun, {name: model.finished_version() for name, model in served().items()}
            )
        if failures:
            raise RequestError(grpc.StatusCode.UNKNOWN, failures)

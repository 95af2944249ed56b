"""The models that are served: the config says which, and their versions come and go.

config (here) -> version_watch: what there should be -> version_changes: what is loaded
              -> served_models: what answers
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc

from serving.server.errors import RequestError, StartFailure, invalid_argument
from serving.server.flags import CPUS, ServerFlags
from serving.server.inference.model import LoadedModel
from serving.server.lifecycle.config import ModelSettings, read_first_config, read_models
from serving.server.lifecycle.load_failure import describe_failures
from serving.server.lifecycle.served_model import ServedModel
from serving.server.lifecycle.served_models import Lease, ServedModels
from serving.server.lifecycle.served_version import VersionState
from serving.server.lifecycle.version_changes import TICK_SECONDS, VersionChanges
from serving.server.lifecycle.version_watch import VersionWatch
from serving.server.lifecycle.versions import describe_base_path

# TensorFlow Serving loads the first config with as many (core/load_servables_fast.cc).
FIRST_LOADS_AT_ONCE = 4 * CPUS


class Manager:
    """Loads what the config asks for and lends it to requests. Any thread may call it."""

    def __init__(self, flags: ServerFlags, load: Callable[[str, int, Path], LoadedModel]):
        self._flags = flags
        self._models = ServedModels()
        self._watch = VersionWatch(self._models, flags.file_system_poll_wait_seconds)
        self._changes = VersionChanges(self._models, flags, load, self._watch.look_if_due)
        self._settings: dict[str, ModelSettings] = {}
        self._reloading = threading.Lock()
        self._stopping = threading.Event()
        # The ModelServerConfig the server started with.
        self.first_config: Any = None

    def use(self, spec: Any) -> Lease:
        """The loaded version that a ModelSpec asks for, kept loaded inside the `with`.

        Entering the `with` raises RequestError when there is none.
        """
        return Lease(self._models, spec)

    def names(self) -> list[str]:
        """The models of the config."""
        return sorted(self._settings)

    def available(self) -> dict[str, list[int]]:
        """The versions that answer, by model, the highest first."""
        return self._models.available()

    def states(self, name: str) -> dict[int, VersionState]:
        """Every version of the model there ever was, the highest first."""
        return self._models.states(name)

    def ready(self) -> bool:
        """Whether every model of the config answers; False as soon as the server is to stop."""
        return not self._stopping.is_set() and self._models.all_answer(self._settings)

    def start(self, stopping: threading.Event) -> bool:
        """Load the first config; False when `stopping` was set before every model answered.

        A model without a version yet is waited for. Raises StartFailure for a wrong config, for a
        model that failed for good and for one without a version that no later look can find.
        """
        self._stopping = stopping
        try:
            self.first_config = read_first_config(self._flags)
            settings = read_models(self.first_config, {})
            self._changes.loads_allowed = FIRST_LOADS_AT_ONCE
            self._apply(settings)
            self._check_versions(settings)
            self._changes.start()
            self._await("servable", settings, stopping.is_set, with_labels=True)
            if stopping.is_set():
                return False
            with self._models.changed:
                self._models.labels = self._check_labels(settings)
        except RequestError as error:
            raise StartFailure(error.code, error.details) from None
        self._changes.loads_allowed = max(1, self._flags.num_load_threads)
        return True

    def reload(self, config: Any, gone: Callable[[], bool] = lambda: False) -> None:
        """Replace the whole config by a ModelServerConfig; wait until new names answer.

        A config that is refused leaves everything as it was. `gone` says that nobody waits for
        the end of this any more. Raises RequestError with TensorFlow Serving's codes and texts.
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
            with self._models.changed:
                self._models.labels = self._check_labels(settings)
            self._apply(settings)
        # Out of the lock: a model that takes long, or never comes, blocks no later config.
        self._await("model", new, lambda: gone() or self._stopping.is_set())

    def close(self) -> None:
        """Unload everything, ending what still runs."""
        self._stopping.set()
        self._changes.stop()
        self._models.close()

    def _apply(self, settings: dict[str, ModelSettings]) -> None:
        with self._models.changed:
            self._settings = settings
            for name in settings:
                self._models.by_name.setdefault(name, ServedModel(name))
        self._watch.follow(settings)

    def _check_base_paths(self, settings: Mapping[str, ModelSettings]) -> None:
        """Raise a RequestError where a base path is new and not there: nobody will wait for it."""
        for name, model in settings.items():
            known = self._settings.get(name)
            is_new = known is None or known.base_path != model.base_path
            if is_new and not model.base_path.exists():
                raise invalid_argument(
                    f"Could not find base path {model.base_path} for servable {name} "
                    f"with error NOT_FOUND: {model.base_path} not found"
                )

    def _check_versions(self, settings: Mapping[str, ModelSettings]) -> None:
        """Raise a RequestError for models without a version where the only look is behind."""
        if self._flags.file_system_poll_wait_seconds > 0:
            return
        lacking = [
            f"model {name}: {describe_base_path(model.base_path)}"
            for name, model in settings.items()
            if not self._models.by_name[name].versions
        ]
        if lacking:
            raise RequestError(grpc.StatusCode.NOT_FOUND, "; ".join(lacking))

    def _check_labels(self, settings: Mapping[str, ModelSettings]) -> dict[str, dict[str, int]]:
        """The labels by model, which may name versions that answer; with the flag new ones any."""
        for name, model in settings.items():
            known = self._models.labels.get(name, {})
            served = self._models.by_name.get(name)
            for label, number in model.labels.items():
                is_moved = known.get(label, number) != number
                if self._flags.allow_version_labels_for_unavailable_models and not is_moved:
                    continue
                if served is None or number not in served.answering:
                    raise RequestError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {number} of model {name}, which is "
                        "not currently available for inference",
                    )
        return {name: dict(model.labels) for name, model in settings.items()}

    def _await(
        self,
        noun: str,
        awaited: Mapping[str, ModelSettings],
        gone: Callable[[], bool],
        with_labels: bool = False,
    ) -> None:
        """Wait until each model, and if asked each version with a label, answers or has failed.

        Raises RequestError for models that failed. One that a later config leaves out is waited
        for no more.
        """

        def served() -> dict[str, ServedModel]:
            return {name: self._models.by_name[name] for name in awaited if name in self._settings}

        with self._models.changed:
            while not all(
                model.is_settled(awaited[name].labels.values() if with_labels else ())
                for name, model in served().items()
            ):
                if gone():
                    return
                # A signal handler cannot notify a condition: it must not wait for its lock.
                self._models.changed.wait(TICK_SECONDS)
            failures = describe_failures(
                noun, {name: model.outcome() for name, model in served().items()}
            )
        if failures:
            raise RequestError(grpc.StatusCode.UNKNOWN, failures)

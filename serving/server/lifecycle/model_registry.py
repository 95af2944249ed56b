"""Registry of the served models: versions, their phases, and handles for requests."""

from __future__ import annotations

import enum
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from serving.server.errors import RequestError, invalid_argument
from serving.server.inference.loaded_model import LoadedModel
from serving.server.lifecycle.version_folders import fingerprint


@dataclass(frozen=True)
class VersionState:
    """State of a version: ModelVersionStatus.State and, after a failed load, the error."""

    state: int
    error_code: int = 0
    error_message: str = ""


class Phase(enum.Enum):
    """Phases of a version; values map to the state that GetModelStatus reports."""

    NEW = ModelVersionStatus.START
    LOADING = ModelVersionStatus.LOADING
    # Between two load attempts the reported state is LOADING, too.
    WAITING = -ModelVersionStatus.LOADING
    READY = ModelVersionStatus.AVAILABLE
    UNLOADING = ModelVersionStatus.UNLOADING
    FAILED = -ModelVersionStatus.END
    ENDED = ModelVersionStatus.END


@dataclass(eq=False)
class ServedVersion:
    """Version of a model; guarded by the registry's lock.

    Args:
        number: Version number.
        folder: Version folder.
        aspired: Whether the version policy wants the version to be loaded (TensorFlow Serving's
            term).
        phase: Current phase.
        model: Loaded model, in phase READY.
        running: Number of requests that use the version.
        tries: Number of load attempts begun.
        retry_at: Time of the next attempt, in seconds of time.monotonic().
        error_code: tensorflow.error.Code of the last failed load.
        error_message: Its message.
        files: Fingerprint of the folder when the last load began.
        seen: Fingerprint of the folder at the last poll since.
    """

    number: int
    folder: Path
    aspired: bool = True
    phase: Phase = Phase.NEW
    model: LoadedModel | None = None
    running: int = 0
    tries: int = 0
    retry_at: float = 0.0
    error_code: int = 0
    error_message: str = ""
    files: object = None
    seen: object = field(default=None, repr=False)

    @property
    def state(self) -> VersionState:
        """State that GetModelStatus reports."""
        if self.phase in (Phase.FAILED, Phase.ENDED):
            return VersionState(ModelVersionStatus.END, self.error_code, self.error_message)
        return VersionState(abs(self.phase.value))

    def fingerprint(self) -> object:
        """Return the current fingerprint of the folder."""
        return fingerprint(self.folder)

    def has_changed(self, files: object) -> bool:
        """Return whether the folder has changed since the last load and is stable.

        Stable means equal at two polls: a copy in progress would only fail again.

        Args:
            files: Current fingerprint.
        """
        is_stable, self.seen = files == self.seen, files
        return is_stable and files != self.files

    def reset(self) -> None:
        """Discard past failures, as if the folder had just appeared."""
        self.phase, self.tries, self.seen = Phase.NEW, 0, None
        self.error_code, self.error_message = 0, ""


class ServedModel:
    """Versions of one model; guarded by the registry's lock."""

    def __init__(self, name: str):
        self.name = name
        self.versions: list[ServedVersion] = []
        # Versions in phase READY, by number, and the highest of them.
        self.available: dict[int, ServedVersion] = {}
        self.latest: ServedVersion | None = None
        self._past: dict[int, VersionState] = {}

    def aspire(self, folders: Mapping[int, Path]) -> None:
        """Set the aspired versions; the reconciler loads and unloads accordingly."""
        for version in self.versions:
            version.aspired = folders.get(version.number) == version.folder
            if not version.aspired and version.phase in (Phase.NEW, Phase.WAITING, Phase.FAILED):
                version.phase = Phase.ENDED
        self.archive_ended()
        # A version that is being unloaded is added again once it has ended.
        present = {(version.number, version.folder) for version in self.versions}
        for number, folder in folders.items():
            if (number, folder) not in present:
                self.versions.append(ServedVersion(number, folder))

    def refresh_available(self) -> None:
        """Update the versions that requests can use."""
        ready = [version for version in self.versions if version.phase is Phase.READY]
        # Where two folders have the same number, the one aspired is the newer.
        ready.sort(key=lambda version: (version.aspired, version.number))
        self.available = {version.number: version for version in ready}
        self.latest = self.available[max(self.available)] if self.available else None

    def archive_ended(self) -> None:
        """Keep only the final state of versions that have ended."""
        for version in self.versions:
            if version.phase is Phase.ENDED:
                self._past[version.number] = version.state
        self.versions = [v for v in self.versions if v.phase is not Phase.ENDED]

    def states(self) -> dict[int, VersionState]:
        """Return the state of every version since the start, the highest first."""
        states = dict(self._past)
        for version in self.versions:
            states[version.number] = version.state
        for number, version in self.available.items():
            states[number] = version.state
        return dict(sorted(states.items(), reverse=True))

    def finished_version(self) -> ServedVersion | None:
        """Return the highest aspired version that is ready or has failed for good, if any."""
        finished = [
            version
            for version in self.versions
            if version.aspired and version.phase in (Phase.READY, Phase.FAILED)
        ]
        return max(finished, key=lambda version: version.number, default=None)

    def is_finished(self, labelled: Collection[int]) -> bool:
        """Return whether a version has finished loading, and those with a label as well."""
        pending = {
            version.number
            for version in self.versions
            if version.aspired and version.phase not in (Phase.READY, Phase.FAILED)
        }
        return self.finished_version() is not None and not pending & set(labelled)


class ModelRegistry:
    """All models by name, with the labels of the configuration.

    `changed` is the lock of all models and versions, notified after each change. `wake` wakes the
    reconciler.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.Lock())
        self.wake = threading.Event()
        self.by_name: dict[str, ServedModel] = {}
        self.labels: dict[str, dict[str, int]] = {}

    def acquire(self, spec: Any) -> ServedVersion:
        """Find the version that a ModelSpec selects and increment its request count.

        Raises:
            RequestError: As core/manager.h and core/basic_manager.cc.
        """
        name = spec.name
        if not name:
            raise invalid_argument("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        number = None
        with self.changed:
            if choice == "version":
                number = spec.version.value
            elif choice == "version_label":
                number = self.labels.get(name, {}).get(spec.version_label)
                if number is None:
                    raise invalid_argument(
                        f"Unrecognized servable version label: {spec.version_label}"
                    )
            model = self.by_name.get(name)
            if model is not None:
                version = model.latest if number is None else model.available.get(number)
                if version is not None:
                    version.running += 1
                    return version
        wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
        raise RequestError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")

    def release(self, version: ServedVersion) -> None:
        """Decrement the request count; at zero a version in phase UNLOADING can be unloaded."""
        with self.changed:
            version.running -= 1
            if not version.running and version.phase is Phase.UNLOADING:
                self.wake.set()

    def available(self) -> dict[str, list[int]]:
        """Return the available versions by model, the highest first."""
        with self.changed:
            return {
                name: sorted(model.available, reverse=True)
                for name, model in sorted(self.by_name.items())
                if model.available
            }

    def states(self, name: str) -> dict[int, VersionState]:
        """Return the state of every version since the start, the highest first."""
        with self.changed:
            model = self.by_name.get(name)
            return model.states() if model else {}

    def all_available(self, names: Iterable[str]) -> bool:
        """Return whether each of these models has an available version."""
        with self.changed:
            return all(name in self.by_name and self.by_name[name].available for name in names)

    def close(self) -> None:
        """Unload everything and cancel running requests."""
        with self.changed:
            loaded = []
            for model in self.by_name.values():
                loaded += [version.model for version in model.versions if version.model]
                for version in model.versions:
                    version.phase = Phase.ENDED
                model.archive_ended()
                model.refresh_available()
            self.changed.notify_all()
        for one in loaded:
            one.close()


class ServableHandle:
    """`with` block that keeps a version loaded; entering raises RequestError."""

    __slots__ = ("_registry", "_spec", "_version")

    def __init__(self, registry: ModelRegistry, spec: Any):
        self._registry = registry
        self._spec = spec

    def __enter__(self) -> LoadedModel:
        self._version = self._registry.acquire(self._spec)
        assert self._version.model is not None
        return self._version.model

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._registry.release(self._version)

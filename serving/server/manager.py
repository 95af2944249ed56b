"""One served model: its versions come and go while requests are answered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from serving.server.errors import StartError
from serving.server.model import LoadedModel
from serving.server.versions import check_base_path, fingerprint, list_versions

logger = logging.getLogger(__name__)

UNKNOWN_ERROR = 2


@dataclass(frozen=True)
class VersionState:
    """Where a version stands: ModelVersionStatus.State and, after a failed load, the reason."""

    state: int
    error_code: int = 0
    error_message: str = ""


class ServedModel:
    """The newest version of a model, replaced when a newer one is ready.

    The old version answers until the new one is loaded, and finishes what it has begun before
    it is unloaded. A version that fails to load leaves the old one serving and is tried again
    when its files have changed. `refresh` is for one thread, the rest for any.
    """

    def __init__(self, name: str, base_path: Path):
        self.name = name
        self.base_path = base_path
        self._current: LoadedModel | None = None
        self._states: dict[int, VersionState] = {}
        self._failed: dict[int, object] = {}
        self._running: dict[LoadedModel, int] = {}
        self._changed = threading.Condition()

    @contextmanager
    def use(self, version: int | None = None) -> Iterator[LoadedModel | None]:
        """The version that answers (or None), kept loaded inside the `with`."""
        with self._changed:
            model = self._current
            if model is not None and version not in (None, model.version):
                model = None
            if model is not None:
                self._running[model] = self._running.get(model, 0) + 1
        try:
            yield model
        finally:
            if model is not None:
                with self._changed:
                    self._running[model] -= 1
                    self._changed.notify_all()

    def states(self) -> dict[int, VersionState]:
        """Every version there ever was, the highest first."""
        with self._changed:
            return dict(sorted(self._states.items(), reverse=True))

    def start(self) -> int:
        """Load the newest version and return its number. Raises StartError."""
        self.refresh()
        if self._current is None:
            check_base_path(self.base_path)
            version, state = next(iter(self.states().items()))
            raise StartError(
                f"Version {version} of model {self.name!r} cannot be loaded.",
                f"{self.base_path / str(version)}: {state.error_message}",
                "export it again, or remove the folder so that an older version is served",
            )
        return self._current.version

    def refresh(self) -> None:
        """Look at the folders once and change over if the newest is not the one that answers."""
        try:
            versions = list_versions(self.base_path)
        except OSError as error:
            logger.warning("model %s: base path cannot be read: %s", self.name, error)
            return
        newest = max(versions, default=None)
        if newest is None:
            self._replace(None)
        elif self._current is None or self._current.version != newest:
            files = fingerprint(versions[newest])
            if self._failed.get(newest) != files:
                self._load(newest, versions[newest], files)

    def close(self) -> None:
        """Unload everything, ending what still runs."""
        with self._changed:
            models = {*self._running, self._current}
            self._current = None
        for model in models:
            if model is not None:
                model.close()

    def _load(self, version: int, folder: Path, files: object) -> None:
        self._set_state(version, VersionState(ModelVersionStatus.LOADING))
        try:
            model = LoadedModel(version, folder)
        except Exception as error:
            # TensorFlow raises OSError, ValueError, RuntimeError and OpError for a broken folder.
            message = str(error).strip() or type(error).__name__
            logger.error("model %s: version %d cannot be loaded: %s", self.name, version, message)
            self._failed[version] = files
            self._set_state(version, VersionState(ModelVersionStatus.END, UNKNOWN_ERROR, message))
            return
        self._failed.pop(version, None)
        self._replace(model)

    def _replace(self, model: LoadedModel | None) -> None:
        with self._changed:
            old, self._current = self._current, model
            if model is not None:
                self._states[model.version] = VersionState(ModelVersionStatus.AVAILABLE)
                logger.info("model %s: version %d answers", self.name, model.version)
            if old is None:
                return
            self._states[old.version] = VersionState(ModelVersionStatus.UNLOADING)
            self._changed.wait_for(lambda: not self._running.get(old))
            self._running.pop(old, None)
            self._states[old.version] = VersionState(ModelVersionStatus.END)
        old.close()
        logger.info("model %s: version %d unloaded", self.name, old.version)

    def _set_state(self, version: int, state: VersionState) -> None:
        with self._changed:
            self._states[version] = state


def watch(models: list[ServedModel], seconds: float, stop: threading.Event) -> None:
    """Refresh the models every `seconds` until `stop` is set."""
    while not stop.wait(seconds):
        for model in models:
            try:
                model.refresh()
            except Exception:
                logger.exception("model %s: looking for versions failed", model.name)

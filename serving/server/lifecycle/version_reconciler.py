"""Reconciliation: loads and unloads versions until the aspired ones are available.

One thread decides. Every 0.1 s, or after an event, it polls the base paths if that is due, and asks
the version policy what to load and unload next for each model. Loads and unloads run in separate
threads, so that requests never wait for either.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.server.flags import ServerFlags
from serving.server.inference.loaded_model import LoadedModel
from serving.server.lifecycle.load_failure import convert_load_error
from serving.server.lifecycle.model_registry import ModelRegistry, Phase, ServedModel, ServedVersion
from serving.server.lifecycle.version_policy import VERSION_POLICIES

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1


class VersionReconciler:
    """Control loop of the versions.

    Args:
        registry: Models to reconcile.
        flags: Command line flags.
        load: Loads a version: (model name, number, folder) -> model.
        poll_if_due: Polls the base paths.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        flags: ServerFlags,
        load: Callable[[str, int, Path], LoadedModel],
        poll_if_due: Callable[[], None],
    ):
        self._registry = registry
        self._load = load
        self._poll_if_due = poll_if_due
        self._next_action = VERSION_POLICIES[flags.version_transition_policy]
        self._tries = 1 + flags.max_num_load_retries
        self._retry_seconds = flags.load_retry_interval_micros / 1e6
        self._unloads_allowed = max(1, flags.num_unload_threads)
        self.loads_allowed = 1
        self._loads = self._unloads = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="versions", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; versions that are still loading are discarded."""
        with self._registry.changed:
            self._stopped = True
        self._registry.wake.set()

    def _run(self) -> None:
        while not self._stopped:
            self._registry.wake.wait(TICK_SECONDS)
            self._registry.wake.clear()
            try:
                self._poll_if_due()
                with self._registry.changed:
                    for model in self._registry.by_name.values():
                        self._reconcile(model)
            except Exception:
                logger.exception("reconciling the versions failed")

    def _reconcile(self, model: ServedModel) -> None:
        """Start the next loads and unloads of a model."""
        for version in model.versions:
            if version.phase is Phase.WAITING and time.monotonic() >= version.retry_at:
                self._begin_load(model, version)
        while not self._stopped and (action := self._next_action(model.versions)):
            kind, version = action
            if kind == "unload":
                version.phase = Phase.UNLOADING
                model.refresh_available()
            elif not self._begin_load(model, version):
                break
        for version in model.versions:
            if version.phase is Phase.UNLOADING and not version.running:
                self._begin_unload(model, version)

    # Loading

    def _begin_load(self, model: ServedModel, version: ServedVersion) -> bool:
        if self._loads >= self.loads_allowed:
            return False
        self._loads += 1
        version.phase = Phase.LOADING
        version.tries += 1
        self._start_thread(self._load_version, model, version)
        return True

    def _load_version(self, model: ServedModel, version: ServedVersion) -> None:
        logger.info("model %s: loading version %d", model.name, version.number)
        files, started = version.fingerprint(), time.monotonic()
        loaded, code, message = None, 0, ""
        try:
            loaded = self._load(model.name, version.number, version.folder)
        except Exception as error:
            code, message = convert_load_error(error, version.folder)
        seconds = time.monotonic() - started
        with self._registry.changed:
            self._loads -= 1
            version.files, version.error_code, version.error_message = files, code, message
            if loaded is None:
                self._plan_retry(model, version)
            elif self._stopped or not version.aspired:
                version.phase = Phase.ENDED
            else:
                version.model, loaded = loaded, None
                version.phase = Phase.READY
                logger.info(
                    "model %s: version %d is available, loaded in %.1f s",
                    model.name,
                    version.number,
                    seconds,
                )
            model.archive_ended()
            model.refresh_available()
            self._registry.changed.notify_all()
        if loaded is not None:
            loaded.close()
        self._registry.wake.set()

    def _plan_retry(self, model: ServedModel, version: ServedVersion) -> None:
        left = self._tries - version.tries
        if not version.aspired:
            version.phase, plan = Phase.ENDED, "no longer aspired"
        elif left > 0:
            version.phase, version.retry_at = Phase.WAITING, time.monotonic() + self._retry_seconds
            plan = f"next attempt in {self._retry_seconds:g} s, {left} left"
        else:
            version.phase, plan = Phase.FAILED, "no further attempt until its files change"
        logger.error(
            "model %s: loading version %d failed, %s: %s",
            model.name,
            version.number,
            plan,
            version.error_message,
        )

    # Unloading

    def _begin_unload(self, model: ServedModel, version: ServedVersion) -> None:
        if version.model is None or self._unloads >= self._unloads_allowed:
            return
        self._unloads += 1
        loaded, version.model = version.model, None
        self._start_thread(self._unload_version, model, version, loaded)

    def _unload_version(
        self, model: ServedModel, version: ServedVersion, loaded: LoadedModel
    ) -> None:
        try:
            loaded.close()
        finally:
            with self._registry.changed:
                self._unloads -= 1
                version.phase = Phase.ENDED
                model.archive_ended()
                if version.aspired:
                    # Aspired again since.
                    model.versions.append(ServedVersion(version.number, version.folder))
                self._registry.changed.notify_all()
            self._registry.wake.set()
        logger.info("model %s: version %d unloaded", model.name, version.number)

    def _start_thread(self, work: Callable[..., None], *arguments: Any) -> None:
        # Not a pool: its threads would delay the exit of the process.
        threading.Thread(target=work, args=arguments, name="version", daemon=True).start()

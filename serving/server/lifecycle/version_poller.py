"""Polling of the base paths for versions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from serving.server.lifecycle.model_config import ModelSettings
from serving.server.lifecycle.model_registry import ModelRegistry, Phase
from serving.server.lifecycle.version_folders import (
    choose_versions,
    describe_base_path,
    list_versions,
)

logger = logging.getLogger(__name__)


class VersionPoller:
    """Lists the base paths every `seconds`; only on a new configuration unless positive."""

    def __init__(self, registry: ModelRegistry, seconds: float):
        self._registry = registry
        self._seconds = seconds
        self._polling = threading.Lock()
        self._settings: Mapping[str, ModelSettings] = {}
        self._next = float("inf")
        self._logged: dict[str, list[str]] = {}

    def set_models(self, settings: Mapping[str, ModelSettings]) -> None:
        """Set the models to poll, and poll once."""
        with self._polling:
            self._settings = settings
            with self._registry.changed:
                for name, model in self._registry.by_name.items():
                    if name not in settings:
                        model.aspire({})
        self.poll()

    def poll_if_due(self) -> None:
        """Poll when the interval has passed."""
        if time.monotonic() >= self._next:
            self.poll()

    def poll(self) -> None:
        """List the base paths once and set the aspired versions."""
        with self._polling:
            for name, settings in self._settings.items():
                self._poll_model(name, settings)
            if self._seconds > 0:
                self._next = time.monotonic() + self._seconds
        self._registry.wake.set()

    def _poll_model(self, name: str, settings: ModelSettings) -> None:
        try:
            found, warnings = list_versions(settings.base_path)
        except OSError:
            # Loaded versions stay: a temporary file system failure must not unload anything.
            self._log_findings(name, [describe_base_path(settings.base_path)])
            return
        chosen, missing = choose_versions(found, settings.policy)
        self._log_findings(
            name, warnings + missing if found else [describe_base_path(settings.base_path)]
        )
        with self._registry.changed:
            model = self._registry.by_name[name]
            before = [version.number for version in model.versions if version.aspired]
            model.aspire(chosen)
            failing = [v for v in model.versions if v.phase in (Phase.WAITING, Phase.FAILED)]
        if before and chosen and max(chosen) < max(before):
            words = "model %s: rolled back, version %d follows version %d"
            logger.info(words, name, max(chosen), max(before))
        for version in failing:
            files = version.fingerprint()
            with self._registry.changed:
                is_failing = version.phase in (Phase.WAITING, Phase.FAILED)
                if is_failing and version.has_changed(files):
                    logger.info("model %s: version %d has changed on disk", name, version.number)
                    version.reset()

    def _log_findings(self, name: str, messages: list[str]) -> None:
        # Once, and again when they change.
        if self._logged.get(name, []) != messages:
            for message in messages:
                logger.warning("model %s: %s", name, message)
        self._logged[name] = messages

"""A profile of some steps, for TensorBoard's profile tab."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.tasks.task import TaskEvaluation
from tfpipe.training.callbacks import StepMetrics

logger = logging.getLogger(__name__)

# The package with TensorBoard's tab; it changes no package that tfpipe needs.
TAB = "pip install tensorboard-plugin-profile"


class Profile:
    """Callback that profiles some steps of a run; a context manager that ends the profile."""

    def __init__(self, folder: Path, first: int, last: int):
        """Configure the profile.

        Args:
            folder: The folder of TensorBoard's logs.
            first: First step to profile, from 2 on; 0 to profile nothing.
            last: Last step to profile, included; 0 with `first` 0.
        """
        self._folder, self._first, self._last = folder, first, last
        self._running, self._taken = False, 0

    def __enter__(self) -> Profile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._last and not self._taken:
            steps = f"from step {self._first - 1} to {self._first}"
            logger.info("profile: none, this run did not go %s", steps)

    def on_step(self, step: StepMetrics) -> None:
        """Start or stop the profiler where the range begins or ends."""
        # Called after a step: the profile begins with the next one.
        if step.step == self._first - 1:
            self._folder.mkdir(parents=True, exist_ok=True)
            tf.profiler.experimental.start(str(self._folder))
            self._running = True
        elif self._running:
            self._taken = step.step
        if step.step >= self._last:
            self._stop()

    def on_epoch(self, record: dict[str, Any], evaluation: TaskEvaluation) -> None:
        """Do nothing: evaluation is not profiled."""

    def _stop(self) -> None:
        if not self._running:
            return
        # Before stopping: that raises where the disk is full, and must not be repeated.
        self._running = False
        tf.profiler.experimental.stop()
        if self._taken:
            logger.info(
                f"profile: steps {self._first} to {self._taken}; after `{TAB}` the tab"
                f" Profile shows them:\n  tensorboard --logdir {shlex.quote(str(self._folder))}"
            )

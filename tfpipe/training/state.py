"""What a run needs to go on where it stopped, and the signals that ask it to stop."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import tensorflow as tf

from tfpipe.errors import UserError


class Progress(tf.train.experimental.PythonState):
    """Where a run stands: steps taken and one record an epoch; stored inside the checkpoint."""

    def __init__(self) -> None:
        self.step = 0
        self.history: list[dict[str, Any]] = []

    def serialize(self) -> str:
        return json.dumps({"step": self.step, "history": self.history})

    def deserialize(self, string_value: bytes) -> None:
        stored = json.loads(string_value)
        self.step, self.history = stored["step"], stored["history"]

    @property
    def best(self) -> dict[str, Any] | None:
        """The record of the best epoch so far."""
        return next((record for record in reversed(self.history) if record["best"]), None)


class State:
    """Weights, optimizer and progress, saved together under checkpoints/."""

    def __init__(self, folder: Path, model: Any, optimizer: Any):
        self.progress = Progress()
        self._checkpoint = tf.train.Checkpoint(
            model=model, optimizer=optimizer, progress=self.progress
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(folder), max_to_keep=2, checkpoint_name="state"
        )

    def save(self) -> None:
        """Write a checkpoint; the one before it stays until this one is complete."""
        self._manager.save(checkpoint_number=self.progress.step)

    def restore(self) -> None:
        """Go on from the newest checkpoint; raises UserError when there is none."""
        newest = self._manager.latest_checkpoint
        if newest is None:
            raise UserError(
                "there is nothing to resume from",
                f"no checkpoint in {self._manager.directory}",
                "start the run again without --resume, in a new folder",
            )
        self._checkpoint.restore(newest).expect_partial()


class StopRequest:
    """Notes SIGINT and SIGTERM so that the step at hand can end; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

"""Checkpoints of a training run, each written completely or not at all."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.config import is_better
from tfpipe.errors import UserError
from tfpipe.io.atomic import atomic_folder, clear_leftovers, write_text

SMOOTHING = 0.9  # weight of the previous value in the moving average of the loss


@dataclass
class TrainProgress:
    """The progress of a training run, stored in progress.json.

    The order of the data, dropout and the learning rate are functions of the seed and of `step`,
    so that they need no state of their own.

    Attributes:
        step: Steps done.
        parts: Parts that a batch is computed in, one after the other.
        rate_factor: Factor of the schedule; below 1 after a divergence.
        first_loss: Loss of the first step; None before it.
        recent_loss: Moving average of the loss over the steps.
        epoch_loss: Sum of the losses of the current epoch.
        history: One record an epoch.
        seconds: Seconds of all starts of the run until it was stored.
    """

    step: int = 0
    parts: int = 1
    rate_factor: float = 1.0
    first_loss: float | None = None
    recent_loss: float = 0.0
    epoch_loss: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def best(self) -> dict[str, Any] | None:
        """The record of the best epoch so far."""
        return next((record for record in reversed(self.history) if record["best"]), None)

    def count(self, loss: float) -> None:
        """Count a step with this loss."""
        self.step += 1
        self.epoch_loss += loss
        self.recent_loss = self.smoothed(loss)
        if self.first_loss is None:
            self.first_loss = loss

    def smoothed(self, loss: float) -> float:
        """Compute the moving average of the loss with one more step."""
        if self.first_loss is None:
            return loss
        return SMOOTHING * self.recent_loss + (1 - SMOOTHING) * loss

    def close_epoch(self, record: dict[str, Any]) -> None:
        """Append the record of an epoch that was evaluated on dev."""
        self.history.append(record)
        self.epoch_loss = 0.0

    @property
    def epochs_without_progress(self) -> int:
        """The number of epochs with a higher dev loss since the last best or lowest one.

        A metric such as accuracy moves in steps of one dev example, and stays or falls by some of
        them while the model still learns, so it is not evidence by itself. A loss counts as higher
        where it exceeds the lowest by more than what one example of average loss adds: dev does
        not resolve less. A loss that is not finite always counts as higher.
        """
        count, lowest = 0, math.nan
        for record in self.history:
            loss = record["dev_loss"]
            if record["best"] or is_better(loss, lowest, "min"):
                count = 0
            elif not (math.isfinite(loss) and loss <= lowest * (1 + 1 / record["dev_examples"])):
                count += 1
            if is_better(loss, lowest, "min"):
                lowest = loss
        return count

    def waited_enough(self, patience: int) -> bool:
        """Return whether `patience` epochs were without progress; never at 0."""
        return bool(patience) and self.epochs_without_progress >= patience


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints in a folder, the oldest first; none where there is no folder."""
    return sorted(folder.glob("step-*"), key=lambda path: int(path.name[5:]))


def read_progress(checkpoints: Path) -> TrainProgress | None:
    """Read the progress in the newest checkpoint of a folder; None where there is none yet.

    Another process may be training there: an unfinished checkpoint has another name, and where old
    checkpoints are removed between listing and reading, the folder is listed again.
    """
    listed: list[Path] | None = None
    while listed != (found := list_checkpoints(checkpoints)):
        for checkpoint in reversed(found):
            with suppress(FileNotFoundError):
                return TrainProgress(**_read_stored(checkpoint))
        listed = found
    return None


def _read_stored(checkpoint: Path) -> dict[str, Any]:
    return json.loads((checkpoint / "progress.json").read_text(encoding="utf-8"))


class CheckpointManager:
    """Saves and restores the progress of a run and every variable that training changes.

    A checkpoint is the folder `step-N` with TensorFlow's own files (`tensors.*`) and
    `progress.json`; it is written under a temporary name, synced and renamed.

    Attributes:
        folder: The folder of the checkpoints.
        progress: The progress of the run, which `save` stores and `restore` replaces in place.
        earlier_seconds: Seconds of the starts of the run before this one.
    """

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        writes: bool = True,
        options: tf.train.CheckpointOptions | None = None,
        **variables: tf.train.Checkpoint,
    ):
        """Create a manager; nothing is written or read yet.

        Args:
            folder: The folder of the checkpoints.
            keep: Newest checkpoints to keep.
            writes: Whether this process writes; every worker but the chief does not.
            options: How TensorFlow reads and writes; see `checkpoint_options`.
            **variables: The trackable objects to save.
        """
        self.folder, self.progress = folder, TrainProgress()
        self._keep, self._writes, self._options = keep, writes, options
        self._tensors = tf.train.Checkpoint(**variables)
        self._saved_step, self._saved_time = 0, time.monotonic()
        self._began, self.earlier_seconds = time.monotonic(), 0.0

    @property
    def folders(self) -> list[Path]:
        """The folders of the saved checkpoints, the oldest first."""
        return list_checkpoints(self.folder)

    def save(self) -> None:
        """Write a checkpoint, or only the progress where the step's checkpoint exists.

        Raises:
            UserError: The disk is full or fails; the previous checkpoint is kept.
        """
        if self._writes:
            try:
                self._write(self.folder / f"step-{self.progress.step}")
            except (OSError, tf.errors.OpError, UserError) as error:
                before = [path.name for path in self.folders][-1:]
                whole = f"{before[0]} is whole; " if before else ""
                raise UserError(
                    f"the checkpoint of step {self.progress.step} could not be saved",
                    f"{self.folder}: {_reason(error, self.folder)}",
                    f"{whole}free disk space and resume with --resume",
                ) from None
        self._saved_step, self._saved_time = self.progress.step, time.monotonic()

    def due(self, steps: int, minutes: float) -> bool:
        """Return whether the last checkpoint is so many steps or minutes old; 0 for never."""
        age = time.monotonic() - self._saved_time
        return bool(steps and self.progress.step - self._saved_step >= steps) or bool(
            minutes and age >= 60 * minutes
        )

    def restore(self) -> bool:
        """Restore the newest checkpoint.

        Returns:
            Whether there was one; without one nothing is changed.

        Raises:
            UserError: The checkpoint is damaged or belongs to another model.
        """
        if not self.folders:
            return False
        newest = self.folders[-1]
        try:
            stored = _read_stored(newest)
            read = self._tensors.read(str(newest / "tensors"), self._options)
            read.assert_existing_objects_matched()
        except (OSError, ValueError, IndexError, AssertionError, tf.errors.OpError) as error:
            raise UserError(
                "the checkpoint cannot be restored",
                f"{newest}: {str(error).splitlines()[0]}",
                f"remove {newest.name} to resume from the previous one",
            ) from None
        for name, value in stored.items():
            setattr(self.progress, name, value)
        self.earlier_seconds = self.progress.seconds
        self._saved_step, self._saved_time = self.progress.step, time.monotonic()
        return True

    def _write(self, place: Path) -> None:
        self.progress.seconds = self.earlier_seconds + time.monotonic() - self._began
        progress = json.dumps(asdict(self.progress))
        if place.is_dir():
            write_text(place / "progress.json", progress)
            return
        clear_leftovers(self.folder, "step-*")
        with atomic_folder(place) as aside:
            self._tensors.write(str(aside / "tensors"), self._options)
            (aside / "progress.json").write_text(progress, encoding="utf-8")
        for old in self.folders[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)


def _reason(error: Exception, folder: Path) -> str:
    """The message of the error in one line; of a full disk also the free space."""
    message, full = str(getattr(error, "found", error)), os.strerror(errno.ENOSPC)
    if full in message:
        return f"{full}, {shutil.disk_usage(folder).free / 1e6:,.1f} MB are free"
    return message.splitlines()[0]

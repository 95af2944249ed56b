"""What a run needs to go on where it stopped: checkpoints, written whole or not at all."""

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
from tfpipe.io.atomic import clear_leftovers, folder_aside, write_text

SMOOTH = 0.9  # how much of the recent loss a step leaves


@dataclass
class TrainProgress:
    """Where a run stands.

    The order of the data, dropout and the rate are functions of the seed and of `step`, so that
    `step` stands for their state, too.
    """

    step: int = 0
    parts: int = 1  # that a batch is computed in
    rate_factor: float = 1.0  # of the schedule; below 1 after the loss blew up once
    first_loss: float | None = None
    recent_loss: float = 0.0  # moving average over steps
    epoch_loss: float = 0.0  # sum over the steps of the epoch at hand
    history: list[dict[str, Any]] = field(default_factory=list)  # one record an epoch

    @property
    def best(self) -> dict[str, Any] | None:
        """The record of the best epoch so far."""
        return next((record for record in reversed(self.history) if record["best"]), None)

    def count(self, loss: float) -> None:
        """A step is done and its loss can be trusted."""
        self.step += 1
        self.epoch_loss += loss
        self.recent_loss = self.smoothed(loss)
        if self.first_loss is None:
            self.first_loss = loss

    def smoothed(self, loss: float) -> float:
        """What the recent loss becomes with another step's."""
        if self.first_loss is None:
            return loss
        return SMOOTH * self.recent_loss + (1 - SMOOTH) * loss

    def close_epoch(self, record: dict[str, Any]) -> None:
        """An epoch is done and dev has been looked at."""
        self.history.append(record)
        self.epoch_loss = 0.0

    @property
    def epochs_without_progress(self) -> int:
        """Epochs with a higher dev loss since the last that was the best or had the lowest one.

        A figure such as accuracy moves in steps of one dev example, and stands still or falls by
        some of them while the model still learns, so that it is no evidence by itself. A loss
        counts as higher where it exceeds the lowest by more than what one example of average loss
        adds: dev does not resolve less. One that is not finite always does.
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
        """Whether `patience` epochs were without progress; never at 0."""
        return bool(patience) and self.epochs_without_progress >= patience


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the oldest first; none where there is no folder."""
    return sorted(folder.glob("step-*"), key=lambda path: int(path.name[5:]))


def read_progress(checkpoints: Path) -> TrainProgress | None:
    """How far the run with this folder of checkpoints has come, None where it has none yet.

    Another process may train there: what is half written has another name, and where old
    checkpoints go away between listing and reading, the newest is looked for again.
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
    """TrainProgress, and every variable that training changes, saved together.

    A checkpoint is the folder `step-N` with TensorFlow's own files (`tensors.*`) and
    `progress.json`; it is written aside, synced and renamed. The last `keep` stay. Where `writes`
    is off (every worker but the chief), nothing is ever written.
    """

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        writes: bool = True,
        options: tf.train.CheckpointOptions | None = None,
        **variables: tf.train.Checkpoint,
    ):
        self.folder, self.progress = folder, TrainProgress()
        self._keep, self._writes, self._options = keep, writes, options
        self._tensors = tf.train.Checkpoint(**variables)
        self._saved_step, self._saved_time = 0, time.monotonic()

    @property
    def folders(self) -> list[Path]:
        """The folders of the saved checkpoints, the oldest first."""
        return list_checkpoints(self.folder)

    def save(self) -> None:
        """Write a checkpoint, or the progress alone where the step's checkpoint is there.

        Raises UserError when the disk does not take it; the one before stays as it was.
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
                    f"{whole}make room and go on with --resume",
                ) from None
        self._saved_step, self._saved_time = self.progress.step, time.monotonic()

    def due(self, steps: int, minutes: float) -> bool:
        """Whether the last checkpoint is so many steps or minutes old; 0 for never."""
        age = time.monotonic() - self._saved_time
        return bool(steps and self.progress.step - self._saved_step >= steps) or bool(
            minutes and age >= 60 * minutes
        )

    def restore(self) -> bool:
        """Go on from the newest checkpoint; False where there is none and nothing has changed."""
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
                f"remove {newest.name} to go on from the one before it",
            ) from None
        for name, value in stored.items():
            setattr(self.progress, name, value)
        self._saved_step, self._saved_time = self.progress.step, time.monotonic()
        return True

    def _write(self, place: Path) -> None:
        progress = json.dumps(asdict(self.progress))
        if place.is_dir():
            write_text(place / "progress.json", progress)
            return
        clear_leftovers(self.folder, "step-*")
        with folder_aside(place) as aside:
            self._tensors.write(str(aside / "tensors"), self._options)
            (aside / "progress.json").write_text(progress, encoding="utf-8")
        for old in self.folders[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)


def _reason(error: Exception, folder: Path) -> str:
    """What a person needs of the error; TensorFlow says on one line which of its parts met it."""
    told, full = str(getattr(error, "found", error)), os.strerror(errno.ENOSPC)
    if full in told:
        return f"{full}, {shutil.disk_usage(folder).free / 1e6:,.1f} MB are free"
    return told.splitlines()[0]

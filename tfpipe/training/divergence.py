"""Handling of diverging training: restore the last checkpoint once, at half the rate."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.encoded import EncodedDataset
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.training.callbacks import StepMetrics
from tfpipe.training.checkpointing import CheckpointManager, TrainProgress
from tfpipe.training.schedules import Schedule

logger = logging.getLogger(__name__)

FAILED_BATCH = "failed-batch.jsonl"
DIVERGED = 10.0  # times the first loss of the run


class ScaledSchedule(Schedule):
    """A schedule times a factor that can be lowered during training."""

    def __init__(self, schedule: Schedule):
        super().__init__(schedule.peak, schedule.warmup, schedule.steps, schedule.final)
        self._schedule = schedule
        self._factor = tf.Variable(1.0, trainable=False, name="rate_factor")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Compute the rate of a step, float32."""
        return self._schedule(step) * self._factor

    def scale(self, factor: float) -> None:
        """Multiply the schedule by `factor` from here on."""
        self._factor.assign(factor)


def has_diverged(step: StepMetrics, progress: TrainProgress, scaled: bool = False) -> bool:
    """Detect a step that ruined the weights, or raises the recent loss far above the first.

    The recent loss is a moving average: one hard example in a small batch is not enough.

    Args:
        step: The step, not yet counted in `progress`.
        progress: The progress of the run.
        scaled: Whether there is a loss scale (float16). With one only the loss must be finite, as
            a step with an infinite gradient changes no weight; else the gradient, too.
    """
    if not math.isfinite(step.loss) or not (scaled or math.isfinite(step.gradient_norm)):
        return True
    # A run that begins with a trained model may have a first loss next to 0.
    usual = max(1.0, step.loss if progress.first_loss is None else progress.first_loss)
    return progress.smoothed(step.loss) > DIVERGED * usual


class DivergenceGuard:
    """Rolls a diverging run back to its last checkpoint at half the rate; ends it the next time."""

    def __init__(
        self,
        checkpoints: CheckpointManager,
        schedule: ScaledSchedule,
        folder: Path,
        writes: bool = True,
        scaled: bool = False,
    ):
        """Create the guard of a run.

        Args:
            checkpoints: The checkpoints to roll back to.
            schedule: The learning rate to halve.
            folder: Where `failed-batch.jsonl` is written.
            writes: Whether this process writes it.
            scaled: Whether there is a loss scale.
        """
        self._checkpoints, self._schedule, self._folder = checkpoints, schedule, folder
        self._writes, self._scaled = writes, scaled

    def needed(self, step: StepMetrics) -> bool:
        """Return whether training diverged in a step that is not counted yet."""
        return has_diverged(step, self._checkpoints.progress, self._scaled)

    def roll_back(self, step: StepMetrics, train: EncodedDataset, rows: np.ndarray) -> None:
        """Restore the last checkpoint and halve the learning rate.

        Args:
            step: The step that diverged.
            train: The training examples.
            rows: int, the rows of its batch.

        Raises:
            UserError: The rate has been halved before, with the batch in `failed-batch.jsonl`; or
                there is no checkpoint.
        """
        progress = self._checkpoints.progress
        found = f"loss {step.loss:.4g}, gradient norm {step.gradient_norm:.4g} at step {step.step}"
        if progress.rate_factor < 1:
            if self._writes:
                write_text(self._folder / FAILED_BATCH, as_json_lines(train, rows))
            raise UserError(
                "training diverged again at half the learning rate",
                f"{found}, epoch {step.epoch}",
                f"check {self._folder / FAILED_BATCH}; start a new run with a lower"
                " --learning-rate or a longer --warmup",
            )
        if not self._checkpoints.restore():
            raise UserError(
                "training diverged and there is no checkpoint to restore",
                f"{found}; none in {self._checkpoints.folder}",
                "let all processes see the same --output folder",
            )
        progress.rate_factor = 0.5
        self._schedule.scale(0.5)
        # Saved now: a run that is killed and resumed must not use the old rate again.
        self._checkpoints.save()
        logger.info("%s: back to step %d, with half the learning rate", found, progress.step)


def as_json_lines(train: EncodedDataset, rows: np.ndarray) -> str:
    """Format examples as a data file: row number, texts, label, and the token ids.

    Args:
        train: The training examples.
        rows: int, rows of the encoded inputs.
    """
    lines = []
    examples, encoded = train.examples, train.encoded
    for number, row in zip(rows, train.example_of[rows].tolist(), strict=True):
        start, end = encoded.splits[number], encoded.splits[number + 1]
        line: dict[str, Any] = {"row": row}
        if examples.text_pairs is None:
            line["text"] = examples.texts[row]
        else:
            line |= {"text_a": examples.texts[row], "text_b": examples.text_pairs[row]}
        line["label"] = (examples.labels or [""])[row if examples.labels else 0]
        line["input_ids"] = encoded.ids[start:end].tolist()
        lines.append(json.dumps(line, ensure_ascii=False))
    return "\n".join(lines) + "\n"

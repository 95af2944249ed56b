"""What happens when training blows up: back to the last good state, half the rate, once."""

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
BLOWN_UP = 10.0  # times the first loss of the run


class ScaledSchedule(Schedule):
    """A schedule times a factor that can be lowered while training goes on."""

    def __init__(self, schedule: Schedule):
        super().__init__(schedule.peak, schedule.warmup, schedule.steps, schedule.final)
        self._schedule = schedule
        self._factor = tf.Variable(1.0, trainable=False, name="rate_factor")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return self._schedule(step) * self._factor

    def scale(self, factor: float) -> None:
        """Multiply the schedule by `factor` from here on."""
        self._factor.assign(factor)


def has_blown_up(step: StepMetrics, progress: TrainProgress, scaled: bool = False) -> bool:
    """Whether a step ruined the weights, or lifts the recent loss far above the run's first.

    Loss and gradient must be finite; with a loss scale (`scaled`, float16) the loss alone, for an
    infinite gradient leaves out the step. The recent loss is a moving average: one hard example
    in a small batch is no alarm.
    """
    if not math.isfinite(step.loss) or not (scaled or math.isfinite(step.gradient_norm)):
        return True
    # A run that begins with a trained model may have a first loss next to 0.
    usual = max(1.0, step.loss if progress.first_loss is None else progress.first_loss)
    return progress.smoothed(step.loss) > BLOWN_UP * usual


class DivergenceGuard:
    """Brings a run back to its last checkpoint, at half the rate; the second time it ends it.

    writes: whether this process may write into `folder`; scaled: whether there is a loss scale.
    """

    def __init__(
        self,
        state: CheckpointManager,
        rate: ScaledSchedule,
        folder: Path,
        writes: bool = True,
        scaled: bool = False,
    ):
        self._state, self._rate, self._folder = state, rate, folder
        self._writes, self._scaled = writes, scaled

    def needed(self, step: StepMetrics) -> bool:
        """Whether a step that is not counted yet blew up."""
        return has_blown_up(step, self._state.progress, self._scaled)

    def roll_back(self, step: StepMetrics, train: EncodedDataset, rows: np.ndarray) -> None:
        """Restore the state and lower the rate.

        rows: of the batch that blew up. Raises UserError when the rate has been lowered before,
        with the batch in `failed-batch.jsonl`, and where there is no checkpoint.
        """
        progress = self._state.progress
        found = f"loss {step.loss:.4g}, gradient norm {step.gradient_norm:.4g} at step {step.step}"
        if progress.rate_factor < 1:
            if self._writes:
                write_text(self._folder / FAILED_BATCH, as_json_lines(train, rows))
            raise UserError(
                "training blew up again, at half the rate",
                f"{found}, epoch {step.epoch}",
                f"look at {self._folder / FAILED_BATCH}; start another run with a lower"
                " --learning-rate or a longer --warmup",
            )
        if not self._state.restore():
            raise UserError(
                "training blew up, and there is no checkpoint to go back to",
                f"{found}; none in {self._state.folder}",
                "let all processes see the same --output folder",
            )
        progress.rate_factor = 0.5
        self._rate.scale(0.5)
        # At once: a run that is killed and resumed must not try the old rate again.
        self._state.save()
        logger.info("%s: back to step %d, with half the learning rate", found, progress.step)


def as_json_lines(train: EncodedDataset, rows: np.ndarray) -> str:
    """The examples of these inputs as a data file: row number, texts, label, and the token ids that
    were trained on."""
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

"""Runs compiled training steps on the batches of a run, in smaller parts when memory is short."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.arrays import IntArray
from tfpipe.data.batches import Plan, plan_training, read_batches
from tfpipe.data.replicas import compile_for, needs_few_widths, workers_of
from tfpipe.errors import UserError
from tfpipe.library_internals import disable_op_determinism
from tfpipe.tasks.task import Batch
from tfpipe.training.callbacks import StepMetrics
from tfpipe.training.checkpointing import CheckpointManager, TrainProgress
from tfpipe.training.collectives import run_batches, takes_steps_ahead
from tfpipe.training.epoch_data import EpochData
from tfpipe.training.train_step import TrainStep

logger = logging.getLogger(__name__)

# Rows that are planned ahead: a new iterator takes seconds to start and to end, so small files
# get one for the whole run; a plan of many millions of rows takes memory.
ROWS_AHEAD = 2_000_000


class StepRunner:
    """Takes the training steps of a run, always the one that follows `progress`.

    Attributes:
        per_epoch: Steps of an epoch.
        total: Steps of the run.
        train: The examples of the current epoch.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: EpochData,
        step: TrainStep,
        rate: Callable[[Any], Any],
        progress: TrainProgress,
    ):
        """Prepare the steps; nothing is compiled or read yet.

        Args:
            config: The configuration, with epochs resolved.
            data: The training examples.
            step: The step to compile, in as many parts as the device's memory needs.
            rate: From the number of a step to its learning rate.
            progress: The progress of the run; its `parts` is raised when memory is short.
        """
        assert config.epochs is not None
        self.per_epoch = -(-data.first.groups // config.batch_size)
        self.total = self.per_epoch * config.epochs
        self._config, self._strategy = config, step.strategy
        self._data, self.train = data, data.first
        self._step, self._rate, self._progress = step, rate, progress
        self._compiled: dict[int, Callable[[Batch], dict[str, tf.Tensor]]] = {}
        self._results: Iterator[dict[str, tf.Tensor]] = iter(())
        self._waited = 0.0
        self._plan: Plan | None = None
        self._first = 0

    @property
    def rows(self) -> np.ndarray:
        """int64: the training rows of the batch that `take` ran last."""
        assert self._plan is not None
        rows = self._plan.rows[self._progress.step - self._first]
        return rows[rows >= 0]

    def rewind(self) -> None:
        """Discard the planned batches, because `progress` was changed."""
        self._plan = None

    def take(self) -> StepMetrics:
        """Take the next training step, in smaller parts where the device has too little memory.

        The caller counts the step in `progress`, unless its loss shows that training diverged.

        Raises:
            UserError: The device's memory is too small for one example at a time.
        """
        while True:
            with suppress(tf.errors.ResourceExhaustedError):
                return self._take()
            self._halve()

    def time_step(self, repeats: int = 5) -> float:
        """Measure the median seconds of a newly compiled step; changes the weights."""
        self.rewind()
        batches, seconds = self._read(), []
        step = compile_for(batches, replace(self._step, parts=self._progress.parts))
        batch = next(iter(batches))
        # The first run builds the graph.
        for _ in range(repeats + 1):
            began = time.perf_counter()
            float(step(batch)["loss"])
            seconds.append(time.perf_counter() - began)
        self.rewind()
        return float(np.median(seconds[1:]))

    def _take(self) -> StepMetrics:
        progress = self._progress
        began = time.perf_counter()
        if self._plan is None or progress.step - self._first >= len(self._plan):
            batches = self._read()
            parts = progress.parts
            if parts not in self._compiled:
                self._compiled[parts] = compile_for(batches, replace(self._step, parts=parts))
            self._results = run_batches(self._strategy, self._compiled[parts], self._timed(batches))
        assert self._plan is not None
        plan, position = self._plan, progress.step - self._first
        rate = float(self._rate(progress.step))
        self._waited = 0.0
        with tf.profiler.experimental.Trace("train", step_num=progress.step, _r=1):
            values = {name: float(value) for name, value in next(self._results).items()}
        return StepMetrics(
            step=progress.step + 1,
            steps=self.total,
            epoch=progress.step // self.per_epoch + 1,
            learning_rate=rate,
            examples=plan.examples(position),
            tokens=plan.tokens(position),
            places=plan.places(position),
            seconds=time.perf_counter() - began,
            waited=self._waited,
            **values,
        )

    def _read(self) -> Iterable[Batch]:
        """Plan from the current epoch on, and read the batches from the next step on."""
        config, progress = self._config, self._progress
        epoch = progress.step // self.per_epoch
        train, weights = self._data(epoch)
        self.train = train
        ahead = max(1, ROWS_AHEAD // len(train.examples))
        if takes_steps_ahead(self._strategy) or self._data.changes:
            # No batch of the next epoch before this one is evaluated and saved.
            ahead = 1
        lengths = train.encoded.lengths
        of_groups = lengths.reshape(train.groups, train.together).max(axis=1)
        numbers = range(epoch, min(epoch + ahead, config.epochs or 0))
        plans = [self._plan_epoch(of_groups, number) for number in numbers]
        self._plan = Plan(
            np.concatenate([plan.rows for plan in plans]),
            np.concatenate([plan.widths for plan in plans]),
            of_groups,
        ).of_inputs(lengths, train.together)
        self._first = epoch * self.per_epoch
        position = progress.step - self._first
        return read_batches(
            train.encoded, self._plan, self._strategy, train.targets, weights, position
        )

    def _plan_epoch(self, lengths: IntArray, epoch: int) -> Plan:
        """Plan an epoch over groups of these lengths, int [groups]."""
        config = self._config
        plan = plan_training(
            lengths,
            config.batch_size,
            self._strategy.num_replicas_in_sync,
            self._progress.parts,
            (config.seed, epoch),
            needs_few_widths(self._strategy),
        )
        # Changed contexts may have some windows more or less.
        steps = np.arange(self.per_epoch) % len(plan)
        return Plan(plan.rows[steps], plan.widths[steps], lengths)

    def _timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches and measure the time that a step waits for them."""
        iterator = iter(batches)
        while True:
            began = time.perf_counter()
            batch = next(iterator, None)
            self._waited += time.perf_counter() - began
            if batch is None:
                return
            yield batch

    def _halve(self) -> None:
        """Double the parts of a batch; raises UserError where a part is one example."""
        replicas = self._strategy.num_replicas_in_sync
        progress = self._progress
        batch_size = min(self._config.batch_size, len(self.train.examples))
        before = -(-batch_size // (replicas * progress.parts))
        width = int(self.train.encoded.lengths[self.rows].max())
        if workers_of(self._strategy) > 1:
            # The other workers wait for this step's sums and cannot restart it.
            raise UserError(
                "a worker's device has too little memory",
                f"{before} x {width} tokens at a time",
                f"start again with --accumulate {2 * progress.parts}, in all processes",
            )
        if before == 1:
            raise UserError(
                "the device's memory is too small for one example",
                f"{width} tokens at a time",
                "lower --max-length, or use a smaller --model",
            )
        progress.parts *= 2
        self.rewind()
        after = -(-batch_size // (replicas * progress.parts))
        logger.info(
            f"out of memory at {before} x {width} tokens a device: from step {progress.step + 1} a"
            f" batch of {self._config.batch_size} is computed in {progress.parts} parts of {after}"
        )


def measure_determinism(steps: StepRunner, checkpoints: CheckpointManager) -> str:
    """Measure how much longer a step takes with deterministic kernels.

    Args:
        steps: The steps of the run.
        checkpoints: Its checkpoints; the newest is restored afterwards.

    Returns:
        A sentence for the log.
    """
    disable_op_determinism()
    try:
        plain = steps.time_step()
        tf.config.experimental.enable_op_determinism()
        deterministic = steps.time_step()
    except tf.errors.ResourceExhaustedError:
        return "deterministic: its cost was not measured, because memory ran out"
    finally:
        tf.config.experimental.enable_op_determinism()
        checkpoints.restore()
    return (
        f"deterministic: a step takes {deterministic / plain:.2f} times as long"
        f" ({1000 * deterministic:.0f} ms, otherwise {1000 * plain:.0f} ms; medians of 5)"
    )

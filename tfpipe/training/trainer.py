"""The training loop: epochs of steps, an evaluation on dev after each, the best epoch kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfpipe.config import is_better_epoch
from tfpipe.data.encoded import EncodedDataset
from tfpipe.io.atomic import atomic_folder, clear_leftovers
from tfpipe.model import pretrained
from tfpipe.model.adapters import peft_folder
from tfpipe.model.text_model import TextModel
from tfpipe.tasks import TASKS
from tfpipe.tasks.evaluation import TaskEvaluation
from tfpipe.tasks.task import Task
from tfpipe.text_display import count_of
from tfpipe.training.adversarial import make_rule
from tfpipe.training.callbacks import Callback
from tfpipe.training.checkpointing import CheckpointManager
from tfpipe.training.collectives import (
    check_agreement,
    checkpoint_options,
    largest_over_workers,
    settle,
)
from tfpipe.training.divergence import DivergenceGuard, ScaledSchedule
from tfpipe.training.dropout_seeds import seed_dropout
from tfpipe.training.ema import ExponentialMovingAverage
from tfpipe.training.epoch_data import EpochData
from tfpipe.training.evaluator import Evaluator
from tfpipe.training.losses import make_loss
from tfpipe.training.optimizer import make_optimizer
from tfpipe.training.precision import LossScale
from tfpipe.training.preemption import SignalHandler, Stopped
from tfpipe.training.run_context import RunContext
from tfpipe.training.schedules import make_schedule
from tfpipe.training.step_runner import StepRunner, measure_determinism
from tfpipe.training.train_step import TrainStep

logger = logging.getLogger(__name__)


class Trainer:
    """Trains a model as configured and saves the weights of the best epoch.

    Attributes:
        steps: Takes the training steps.
        checkpoints: Saves and restores the state of the run, and holds its progress.
        average: The moving average of the weights that is evaluated and saved; None without one.
        evaluator: Evaluates the model.
    """

    def __init__(self, context: RunContext, model: TextModel, task: Task, data: EpochData):
        """Build the optimizer, the training step and the checkpoint manager, at the first step.

        Args:
            context: Configuration (epochs, rate and precision resolved), run folder and strategy.
            model: The model to train, made in the strategy's scope.
            task: The task, which gives loss and evaluation.
            data: The training examples.
        """
        config, strategy, folder = context.config, context.strategy, context.run.folder
        assert config.epochs is not None
        self._config, self._strategy, self._folder = config, strategy, folder
        self._chief, self._model = context.chief, model
        train = data.first
        with strategy.scope():
            total = -(-train.groups // config.batch_size) * config.epochs
            self._schedule = ScaledSchedule(make_schedule(config, total))
            if model.adapter:
                model.adapter.begin(total)
            optimizer = make_optimizer(
                *(self._schedule, config.weight_decay, model),
                *(config.layer_decay, config.head_rate),
                # Of changed texts any token may come.
                None if data.changes else train.encoded.ids,
            )
            loss_scale = LossScale() if config.precision == "float16" else None
            variables = model.trainable_variables
            self.average = ExponentialMovingAverage(variables, config.ema) if config.ema else None
        self.checkpoints = CheckpointManager(
            folder / "checkpoints",
            config.keep_checkpoints,
            context.chief,
            checkpoint_options(strategy),
            **_saved_objects(model, optimizer, loss_scale, self.average),
        )
        self.checkpoints.progress.parts = config.accumulate
        self.steps = self._make_step_runner(data, task, optimizer, loss_scale)
        self._divergence = DivergenceGuard(
            *(self.checkpoints, self._schedule, folder, context.chief),
            scaled=loss_scale is not None,
        )
        self.evaluator = Evaluator(strategy, model, task, config.batch_size)

    def _make_step_runner(
        self, data: EpochData, task: Task, optimizer: Any, loss_scale: LossScale | None
    ) -> StepRunner:
        config, width = self._config, self._model.config.hidden_size
        model = replace(self._model, precision=config.precision)
        layers = data.teacher.layers_for(model, config) if data.teacher else None
        step = TrainStep(
            *(self._strategy, model, optimizer, make_loss(config, task, width, layers)),
            rule=make_rule(config, width),
            clip_norm=config.clip_norm,
            l2=config.l2,
            loss_scale=loss_scale,
            average=self.average,
            seeds=seed_dropout(model, config.seed, optimizer.iterations),
            together=data.first.together,
        )
        return StepRunner(config, data, step, self._schedule, self.checkpoints.progress)

    def fit(self, dev: EncodedDataset, callbacks: Sequence[Callback] = ()) -> list[dict[str, Any]]:
        """Train, resuming where configured, with the best epoch's weights in the run's folder.

        Args:
            dev: The examples that the best epoch is chosen on.
            callbacks: Called after every step and every epoch.

        Returns:
            One record an epoch: epoch, step, mean loss, dev metrics, and whether it was the best.

        Raises:
            Stopped: With the state saved: after the current step when SIGINT or SIGTERM came, and
                where `stop_after` ends this start of a run that has epochs left.
            UserError: Training diverges twice, the device's memory is too small, or the disk is
                full.
        """
        config, progress = self._config, self.checkpoints.progress
        assert config.epochs is not None
        self._begin()
        done_before = len(progress.history)  # epochs
        with SignalHandler() as signals:
            while len(progress.history) < config.epochs:
                waited = progress.waited_enough(config.early_stopping)
                # Losses may differ by rounding between machines, and all workers must end alike.
                if largest_over_workers(self._strategy, int(waited)):
                    break
                if config.stop_after and len(progress.history) >= config.stop_after:
                    raise Stopped(where_stopped(len(progress.history), done_before, config.epochs))
                self._train_epoch(callbacks, signals)
                record, evaluation = self._evaluate_epoch(dev)
                for callback in callbacks:
                    callback.on_epoch(record, evaluation)
        return progress.history

    def evaluate(self, dev: EncodedDataset) -> TaskEvaluation:
        """Evaluate the weights that would be saved."""
        with self._evaluated_weights():
            # As it would be at the end: a metric at untuned thresholds is none to choose by.
            return self.evaluator.tune(dev)[1]

    def _begin(self) -> None:
        """Restore the newest checkpoint where configured, and write the first one."""
        progress = self.checkpoints.progress
        if self._chief:
            clear_leftovers(self._folder, "model")
            clear_leftovers(self._folder, "adapter")
        if self._config.resume:
            self._restore()
            check_agreement(self._strategy, checkpoint=f"step {progress.step}")
        if not self.checkpoints.folders:
            self.checkpoints.save()
        if self._config.deterministic and progress.step == 0:
            logger.info(measure_determinism(self.steps, self.checkpoints))

    def _restore(self) -> None:
        if not self.checkpoints.restore():
            logger.info("resuming: no checkpoint yet, so training begins at its first step")
            return
        progress = self.checkpoints.progress
        self._schedule.scale(progress.rate_factor)
        logger.info("resuming: %d of %d steps are done", progress.step, self.steps.total)

    def _train_epoch(self, callbacks: Sequence[Callback], signals: SignalHandler) -> None:
        """Take the remaining steps of the current epoch; raises Stopped after a signal."""
        config, checkpoints, progress = self._config, self.checkpoints, self.checkpoints.progress
        last = (len(progress.history) + 1) * self.steps.per_epoch
        while progress.step < last:
            metrics = self.steps.take()
            if self._divergence.needed(metrics):
                settle(self._strategy)
                self._divergence.roll_back(metrics, self.steps.train, self.steps.rows)
                self.steps.rewind()
                continue
            progress.count(metrics.loss)
            for callback in callbacks:
                callback.on_step(metrics)
            signal = largest_over_workers(self._strategy, signals.signal or 0)
            if signal or checkpoints.due(config.checkpoint_steps, config.checkpoint_minutes):
                settle(self._strategy)
                checkpoints.save()
            if signal:
                raise Stopped("after a whole step", signal)

    def _evaluate_epoch(self, dev: EncodedDataset) -> tuple[dict[str, Any], TaskEvaluation]:
        """Evaluate on dev, save the model if it is the best so far, and record the epoch."""
        settle(self._strategy)
        # A run that is killed during the evaluation repeats it with equal weights.
        self.checkpoints.save()
        evaluation = self.evaluate(dev)
        record = self._record(evaluation)
        if record["best"] and self._chief:
            self._save_model(self._folder / "model")
        self.checkpoints.progress.close_epoch(record)
        self.checkpoints.save()
        return record, evaluation

    def _record(self, evaluation: TaskEvaluation) -> dict[str, Any]:
        progress, best = self.checkpoints.progress, self.checkpoints.progress.best
        metric = self._config.best_metric
        direction = TASKS[self._config.task].metrics[metric]
        found = {f"dev_{name}": value for name, value in evaluation.metrics.items()}
        return {
            "epoch": len(progress.history) + 1,
            "step": progress.step,
            "loss": progress.epoch_loss / self.steps.per_epoch,
            **found,
            # The first is kept even where its metric is NaN: a run has a model.
            "best": best is None or is_better_epoch(found, best, metric, direction),
        }

    def _evaluated_weights(self) -> AbstractContextManager[None]:
        """Within the block the model has the weights that are evaluated and saved."""
        return self.average.in_place() if self.average else nullcontext()

    def _save_model(self, folder: Path) -> None:
        """Replace the model folder as a whole."""
        with self._evaluated_weights():
            with atomic_folder(folder) as aside:
                pretrained.save(self._model, aside)
            if self._model.adapter:
                # The whole adapter of any method, for other models of its base.
                with atomic_folder(folder.parent / "adapter") as aside:
                    peft_folder.save(self._model, aside)


def where_stopped(done: int, done_before: int, epochs: int) -> str:
    """Describe where `stop_after` ended this start of the run, to follow the word `stopped`."""
    if done == done_before:
        return f"at once, for {done} of {count_of(epochs, 'epoch')} are done"
    return f"after epoch {done} of {epochs}"


def _saved_objects(
    model: TextModel,
    optimizer: Any,
    loss_scale: LossScale | None,
    average: ExponentialMovingAverage | None,
) -> dict[str, Any]:
    """The objects of a checkpoint by name; those that the run does not have are left out."""
    saved = {"model": model.trackable, "optimizer": optimizer}
    optional = {"loss_scale": loss_scale, "average": average}
    return saved | {name: value for name, value in optional.items() if value is not None}

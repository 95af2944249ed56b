"""The parts of a training run, put together from its configuration."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from tfpipe.data.encoded import EncodedDataset
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task, TaskEvaluation
from tfpipe.training.checkpointing import State
from tfpipe.training.collectives import checkpoint_options
from tfpipe.training.divergence import DivergenceGuard, ScaledSchedule
from tfpipe.training.dropout_seeds import seed_dropout
from tfpipe.training.ema import ExponentialMovingAverage
from tfpipe.training.evaluator import Evaluator
from tfpipe.training.objective import make_loss
from tfpipe.training.optimizer import make_optimizer
from tfpipe.training.precision import LossScale
from tfpipe.training.run_context import RunContext
from tfpipe.training.schedules import make_schedule
from tfpipe.training.step_runner import Steps
from tfpipe.training.train_step import TrainStep

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Engine:
    """What takes steps, what is saved, what looks at dev, and what helps when the loss blows up."""

    steps: Steps
    state: State
    rescue: DivergenceGuard
    rate: ScaledSchedule
    evaluator: Evaluator
    average: ExponentialMovingAverage | None

    def restore(self) -> None:
        """Go on from the newest checkpoint; from the first step where none was written yet."""
        if not self.state.restore():
            logger.info("resuming: no checkpoint yet, so training begins at its first step")
            return
        progress = self.state.progress
        self.rate.ease(progress.rate_factor)
        logger.info("resuming: %d of %d steps are done", progress.step, self.steps.total)

    def look_at(self, dev: EncodedDataset) -> TaskEvaluation:
        """What the weights that would be saved say about dev."""
        with self.evaluated_weights():
            # As it would be at the end: a figure at untuned thresholds is none to choose by.
            return self.evaluator.tune(dev)[1]

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """Within the block the model has the weights that are evaluated and saved."""
        return self.average.in_place() if self.average else nullcontext()


def make_engine(context: RunContext, model: TextModel, task: Task, train: EncodedDataset) -> Engine:
    """The engine of a run, at its first step. Parameters are those of `fit`."""
    config, strategy, folder = context.config, context.strategy, context.run.folder
    assert config.epochs is not None
    total = -(-len(train.encoded) // config.batch_size) * config.epochs
    weights = task.balanced_weights(train.targets) if config.class_weights == "balanced" else None
    with strategy.scope():
        rate = ScaledSchedule(make_schedule(config, total))
        optimizer = make_optimizer(
            rate, config.weight_decay, model, config.layer_decay, config.head_rate
        )
        loss_scale = LossScale() if config.precision == "float16" else None
        average = (
            ExponentialMovingAverage(model.trainable_variables, config.ema) if config.ema else None
        )
    training_model = replace(model, precision=config.precision)
    seeds = seed_dropout(training_model, config.seed, optimizer.iterations)
    saved: dict[str, Any] = {"model": model.trackable, "optimizer": optimizer}
    saved |= {"loss_scale": loss_scale} if loss_scale else {}
    saved |= {"average": average} if average else {}
    state = State(
        folder / "checkpoints",
        config.keep_checkpoints,
        context.chief,
        checkpoint_options(strategy),
        **saved,
    )
    state.progress.parts = config.accumulate

    step = TrainStep(
        *(strategy, training_model, optimizer, make_loss(config, task)),
        clip_norm=config.clip_norm,
        l2=config.l2,
        loss_scale=loss_scale,
        average=average,
        seeds=seeds,
    )
    return Engine(
        steps=Steps(config, train, weights, step, rate, state.progress),
        state=state,
        rescue=DivergenceGuard(state, rate, folder, context.chief, scaled=loss_scale is not None),
        rate=rate,
        evaluator=Evaluator(strategy, model, task, config.batch_size),
        average=average,
    )

"""The training loop: epochs of steps, a look at dev after each, the best epoch kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfpipe.config import TrainConfig, is_better_epoch
from tfpipe.data.encoded import EncodedDataset
from tfpipe.io.atomic import atomic_folder, clear_leftovers
from tfpipe.model import pretrained
from tfpipe.model.text_model import TextModel
from tfpipe.tasks import TASKS
from tfpipe.tasks.evaluation import TaskEvaluation
from tfpipe.tasks.task import Task
from tfpipe.training.callbacks import Callback
from tfpipe.training.collectives import check_agreement, largest_over_workers, settle
from tfpipe.training.determinism import price_determinism
from tfpipe.training.engine import Engine, make_engine
from tfpipe.training.preemption import Stopped, StopRequest
from tfpipe.training.run_context import RunContext

logger = logging.getLogger(__name__)


def fit(
    context: RunContext,
    model: TextModel,
    task: Task,
    train: EncodedDataset,
    dev: EncodedDataset,
    observers: Sequence[Callback] = (),
) -> list[dict[str, Any]]:
    """Train and leave the best epoch's weights in the run's folder; returns one record an epoch.

    Raises:
        Stopped: With the state saved: after the step at hand when SIGINT or SIGTERM came, and where
            `stop_after` ends this start of a run that has epochs left.
        UserError: Training diverges twice, the device's memory is too small, or the disk is full.
    """
    # ---- where the run stands: at its first step, or at its last checkpoint
    config, strategy, folder = context.config, context.strategy, context.run.folder
    assert config.epochs is not None
    engine = make_engine(context, model, task, train)
    steps, state, progress = engine.steps, engine.state, engine.state.progress
    if context.chief:
        clear_leftovers(folder, "model")
    if config.resume:
        engine.restore()
        check_agreement(strategy, checkpoint=f"step {progress.step}")
    if not state.checkpoints:
        state.save()
    if config.deterministic and progress.step == 0:
        logger.info(price_determinism(steps, state))
    done_before = len(progress.history)  # epochs

    with StopRequest() as stop:
        while len(progress.history) < config.epochs:
            waited = progress.waited_enough(config.early_stopping)
            # Losses may differ by rounding between machines, and all workers must end alike.
            if largest_over_workers(strategy, int(waited)):
                break
            if config.stop_after and len(progress.history) >= config.stop_after:
                raise Stopped(where_stopped(len(progress.history), done_before, config.epochs))
            # ---- an epoch of steps
            epoch = len(progress.history) + 1
            while progress.step < epoch * steps.per_epoch:
                done = steps.take()
                if engine.rescue.needed(done):
                    settle(strategy)
                    engine.rescue.go_back(done, train, steps.rows)
                    steps.rewind()
                    continue
                progress.count(done.loss)
                for observer in observers:
                    observer.on_step(done)
                signal = largest_over_workers(strategy, stop.signal or 0)
                if signal or state.due(config.checkpoint_steps, config.checkpoint_minutes):
                    settle(strategy)
                    state.save()
                if signal:
                    raise Stopped("after a whole step", signal)

            # ---- a look at dev; a run that is killed here comes back to it with equal weights
            settle(strategy)
            state.save()
            evaluation = engine.look_at(dev)
            record = make_record(engine, epoch, evaluation, config)
            if record["best"] and context.chief:
                save_model(engine, model, folder / "model")
            progress.close_epoch(record)
            state.save()
            for observer in observers:
                observer.on_epoch(record, evaluation)
    return progress.history


def where_stopped(done: int, done_before: int, epochs: int) -> str:
    """Where `stop_after` ended this start of the run, told after the word `stopped`."""
    if done == done_before:
        return f"at once, for {done} of {epochs} epochs are done"
    return f"after epoch {done} of {epochs}"


def make_record(
    engine: Engine, epoch: int, evaluation: TaskEvaluation, config: TrainConfig
) -> dict[str, Any]:
    """What the run remembers of an epoch."""
    progress, best = engine.state.progress, engine.state.progress.best
    metric = config.best_metric
    direction = TASKS[config.task].metrics[metric]
    found = {f"dev_{name}": value for name, value in evaluation.metrics.items()}
    return {
        "epoch": epoch,
        "step": progress.step,
        "loss": progress.epoch_loss / engine.steps.per_epoch,
        **found,
        # The first is kept even where its figure is NaN: a run has a model.
        "best": best is None or is_better_epoch(found, best, metric, direction),
    }


def save_model(engine: Engine, model: TextModel, place: Path) -> None:
    """Write the model folder, whole, in the place of the one before."""
    with atomic_folder(place) as aside, engine.evaluated_weights():
        pretrained.save(model, aside)

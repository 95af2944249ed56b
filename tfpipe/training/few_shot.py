"""Few labels: vectors are trained to be near for texts of one label, then a head alone.

Source: Tunstall et al. 2022 (SetFit, https://arxiv.org/abs/2209.11055), with the supervised
contrastive loss (Khosla et al. 2020, equation 2) over whole batches in place of its pairs.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from tfpipe.data.encoded import EncodedDataset
from tfpipe.model.text_model import TextModel
from tfpipe.tasks import TASKS
from tfpipe.tasks.task import Task
from tfpipe.text_display import count_of
from tfpipe.training.checkpointing import TrainProgress
from tfpipe.training.dropout_seeds import seed_dropout
from tfpipe.training.epoch_data import EpochData
from tfpipe.training.losses import make_loss
from tfpipe.training.optimizer import make_optimizer
from tfpipe.training.run_context import RunContext
from tfpipe.training.schedules import make_schedule
from tfpipe.training.step_runner import StepRunner
from tfpipe.training.train_step import TrainStep

logger = logging.getLogger(__name__)

# Of the first stage: steps, texts of a batch, and the factor of the rate of whole training.
STEPS, BATCH, RATE_FACTOR = 40, 64, 0.1
TEMPERATURE = 0.1
# Of the head, the second stage: passes over the texts in an epoch, for dev is evaluated after each.
PASSES = 10


def train_vectors_first(
    context: RunContext, model: TextModel, task: Task, train: EncodedDataset
) -> EncodedDataset:
    """Train the vectors, unless a checkpoint has them, and leave the head to be trained.

    Args:
        context: Configuration, with the learning rate resolved, folder and strategy.
        model: The model.
        task: The task of the head.
        train: The training examples.

    Returns:
        The examples of an epoch of the head.
    """
    config = context.config
    if not (config.resume and any(context.run.folder.glob("checkpoints/step-*"))):
        _train_vectors(context, model, train)
    model.train_only(encoder=False)
    again = train.examples.take([*range(len(train.examples))] * PASSES)
    return task.label(again, model.tokenizer, config.max_length)


def _train_vectors(context: RunContext, model: TextModel, train: EncodedDataset) -> None:
    """Train the encoder so that the vectors of texts with the same label are near each other.

    Args:
        context: Configuration, with the learning rate resolved, and strategy.
        model: The model, whose head is left as it is.
        train: The training examples.
    """
    given = context.config
    assert given.learning_rate is not None
    task = TASKS["embed"].task_class(TEMPERATURE)
    labelled = task.label(train.examples, model.tokenizer, given.max_length)
    per_epoch = -(-labelled.groups // BATCH)
    config = replace(
        given,
        task=task.name,
        batch_size=BATCH,
        epochs=1 if given.dry_run else -(-STEPS // per_epoch),
        learning_rate=RATE_FACTOR * given.learning_rate,
        head_rate=None,
        # Of the head's outputs.
        r_drop=0.0,
        smoothness=0.0,
    )
    model.train_only(encoder=True)
    progress, steps = TrainProgress(parts=given.accumulate), per_epoch * (config.epochs or 0)
    with context.strategy.scope():
        schedule = make_schedule(config, steps)
        vectors = replace(
            model,
            head=replace(task.head, pooling=model.head.pooling),
            precision=config.precision,
        )
        optimizer = make_optimizer(schedule, config.weight_decay, vectors)
    step = TrainStep(
        *(context.strategy, vectors, optimizer, make_loss(config, task)),
        clip_norm=config.clip_norm,
        seeds=seed_dropout(vectors, config.seed, optimizer.iterations),
    )
    runner = StepRunner(config, EpochData(labelled, task), step, schedule, progress)
    while progress.step < steps:
        progress.count(runner.take().loss)
    logger.info(
        f"few-shot: vectors of {count_of(len(train.examples), 'text')} trained in {steps} steps,"
        f" loss {progress.first_loss:.3f} at first, {progress.recent_loss:.3f} at the end"
    )

"""Distillation: a finished run's outputs for the training texts, beside the labels.

Source: Hinton et al. 2015 (https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from tfpipe.config import TrainConfig
from tfpipe.data.encoded import Encoded, EncodedDataset
from tfpipe.errors import UserError
from tfpipe.model import pretrained
from tfpipe.model.text_model import TextModel
from tfpipe.run_folder import Run, open_run
from tfpipe.tasks.task import Task, task_of
from tfpipe.training.evaluator import Evaluator
from tfpipe.training.losses import TEACHER
from tfpipe.training.run_context import RunContext

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teacher:
    """A finished run whose outputs are learnt.

    Attributes:
        run: The run.
        task: Its task.
        evaluator: Computes its outputs.
        reads_alike: Whether the student reads texts as the same tokens.
    """

    run: Run
    task: Task
    evaluator: Evaluator
    reads_alike: bool

    def add_outputs(self, labelled: EncodedDataset) -> EncodedDataset:
        """Return the examples with the teacher's outputs as the target TEACHER.

        Raises:
            UserError: An output belongs to a token, and the student reads other tokens.
        """
        encoded = labelled.encoded
        if not self.reads_alike:
            model, length = self.evaluator.model, self.run.config.max_length
            encoded = self.task.label(labelled.examples, model.tokenizer, length).encoded
            self._refuse_other_tokens(labelled.encoded, encoded)
        outputs = {TEACHER: self.evaluator.logits(encoded)}
        return replace(labelled, targets={**labelled.targets, **outputs})

    def _refuse_other_tokens(self, own: Encoded, other: Encoded) -> None:
        per_token = self.evaluator.model.head.per_token
        if len(own) != len(other) or (per_token and not np.array_equal(own.splits, other.splits)):
            raise UserError(
                "the teacher reads the texts as other tokens than the model",
                f"{self.run.folder}: {self.run.config.model}",
                "train a --model with the vocabulary and --max-length of the teacher",
            )


def open_teacher(context: RunContext, model: TextModel, task: Task) -> Teacher:
    """Open the run of `--teacher`.

    Args:
        context: Configuration and strategy.
        model: The model that learns from it.
        task: The task of that model.

    Raises:
        UserError: It is no finished run of this task with these labels.
    """
    config = context.config
    assert config.teacher is not None
    run = open_run(config.teacher)
    _refuse_other_task(run, config)
    with context.strategy.scope():
        loaded = pretrained.load(run.model)
    own = task_of(config.task, loaded)
    if list(own.label_names) != list(task.label_names) or own.unit != task.unit:
        raise UserError(
            "the teacher was trained on other labels",
            f"{run.folder}: {len(own.label_names)} labels, {len(task.label_names)} in --train",
            "give a run of the same labels; of numbers, one of the same training file",
        )
    logger.info("distillation: the teacher is %s, %s parameters", run.folder, loaded.parameters)
    same = loaded.tokenizer.fingerprint == model.tokenizer.fingerprint
    evaluator = Evaluator(context.strategy, loaded, own, config.batch_size)
    return Teacher(run, own, evaluator, same and run.config.max_length == config.max_length)


def _refuse_other_task(run: Run, config: TrainConfig) -> None:
    for name in ("task", "long_text"):
        mine, its = getattr(config, name), getattr(run.config, name)
        if mine != its:
            raise UserError(
                f"the teacher was trained with another --{name.replace('_', '-')}",
                f"{run.folder}: {its}, not {mine}",
                "give a run of the same, or leave out --teacher",
            )

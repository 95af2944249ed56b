"""Distillation: a finished run's outputs for the training texts, beside the labels, and its layers.

Source: Hinton et al. 2015 (https://arxiv.org/abs/1503.02531).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from tfpipe.config import TrainConfig
from tfpipe.data.arrays import IntArray
from tfpipe.data.encoded import Encoded, EncodedDataset
from tfpipe.errors import UserError
from tfpipe.model import pretrained
from tfpipe.model.text_model import TextModel
from tfpipe.run_folder import Run, open_run
from tfpipe.tasks.task import Task, task_of
from tfpipe.training.evaluator import Evaluator
from tfpipe.training.layer_distillation import TaughtLayers, find_ids
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
        ids: int32 [V], its token of each token of the student; None where no layers are learnt.
    """

    run: Run
    task: Task
    evaluator: Evaluator
    reads_alike: bool
    ids: IntArray | None = None

    def layers_for(self, student: TextModel, config: TrainConfig) -> TaughtLayers | None:
        """Return the loss of the layers for the model of the steps; None where none are learnt."""
        if self.ids is None:
            return None
        own = replace(self.evaluator.model, precision=student.precision)
        return TaughtLayers(student, own, self.ids, config.teacher_states, config.teacher_relations)

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
    alike = same and run.config.max_length == config.max_length
    ids = None
    if config.teacher_states or config.teacher_relations:
        _refuse_other_layers(run, loaded, model, config)
        ids = find_ids(model.tokenizer, loaded.tokenizer)
    return Teacher(run, own, evaluator, alike, ids)


def _refuse_other_layers(
    run: Run, teacher: TextModel, model: TextModel, config: TrainConfig
) -> None:
    """Raise UserError where the model cannot learn from the teacher's layers."""
    widths = [one.config.hidden_size for one in (teacher, model)]
    if config.teacher_states and widths[0] != widths[1]:
        raise UserError(
            "--teacher-states needs a teacher of the model's width",
            f"{run.folder}: {widths[0]}, {config.model}: {widths[1]}",
            "leave it out; --teacher-relations takes any width",
        )
    for folder, one in ((run.folder, teacher), (config.model, model)):
        if one.encoder is None:
            raise UserError(
                "layers are learnt in the graph of a stock TFBert only",
                f"hidden_act {one.config.hidden_act!r} in the configuration of {folder}",
                "leave out --teacher-states and --teacher-relations",
            )
    if config.max_length > teacher.config.max_position_embeddings:
        raise UserError(
            "the inputs are longer than the teacher's positions",
            f"--max-length {config.max_length}, {run.folder}:"
            f" {teacher.config.max_position_embeddings}",
            f"give --max-length {teacher.config.max_position_embeddings} or less",
        )


def _refuse_other_task(run: Run, config: TrainConfig) -> None:
    for name in ("task", "long_text"):
        mine, its = getattr(config, name), getattr(run.config, name)
        if mine != its:
            raise UserError(
                f"the teacher was trained with another --{name.replace('_', '-')}",
                f"{run.folder}: {its}, not {mine}",
                "give a run of the same, or leave out --teacher",
            )

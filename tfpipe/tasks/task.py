"""The interface of a task: what data, training, evaluation and serving call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.model.head import Head
from tfpipe.model.text_model import TextModel
from tfpipe.tasks import TASKS
from tfpipe.tasks.evaluation import TaskEvaluation
from tfpipe.tasks.losses import LossSettings

Tensors = dict[str, tf.Tensor]
# input_ids, token_type_ids, attention_mask int32 [B, L], the task's targets and what else the loss
# needs, [B, ...], and `weight` float32 [B].
Batch: TypeAlias = "Mapping[str, tf.Tensor]"
# What serving_default answers to N rows, by name; the first axis of each array is N.
Outputs = Mapping[str, np.ndarray]
# From input_ids, token_type_ids, attention_mask int32 [B, L] to what the head makes of them.
Forward = Callable[[Tensors], tf.Tensor]


class Task(LabelRules, Protocol):
    """Labels, loss, metrics and answers of one kind of question.

    Attributes:
        label_names: Of the head's columns.
        unit: Of differences between served floats: 1 for probabilities, the spread of the training
            labels for values in their own unit.
    """

    @property
    def label_names(self) -> Sequence[str]:
        """Of the head's columns."""

    @property
    def unit(self) -> float:
        """Of differences between served floats."""

    # ---- before there is a model
    @classmethod
    def from_labels(cls, labels: Sequence[Any], config: TrainConfig | None = None) -> Task:
        """Build the task over the parsed labels of train.

        Args:
            labels: As `parse_labels` returns them.
            config: The settings of the training; None for defaults.
        """

    @classmethod
    def inputs(cls, pairs: bool) -> Sequence[str]:
        """Return the names of the columns of text that serving_default takes."""

    # ---- into a model's folder and back
    @property
    def head(self) -> Head:
        """The head of the encoder, with the task's settings for the model's config.json."""

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> Task:
        """Restore the task of a model's folder; settings: those of `head`, empty for none."""

    # ---- training
    def refuse_unknown(self, examples: Examples) -> None:
        """Raise UserError for labels that checked examples have and the task does not."""

    def label(self, examples: Examples, tokenizer: Tokenizer, max_length: int) -> EncodedDataset:
        """Build the model's inputs and targets; raises UserError for an unknown label."""

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return float32 [B], of the head's output for a batch that holds the task's targets."""

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """Return the loss that training minimises, float32 [B]; dev is evaluated with `loss`.

        Where the task's specification says `compares_examples`, the logits and the batch, without
        the model's inputs, are those of all replicas and parts of a step.
        """

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return the divergence of two outputs for the same batch, float32 [B]."""

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 [N]: the weight of each example where rare labels are to count as much."""

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> Task:
        """Return the task with what is chosen on dev, not learnt: thresholds, a temperature."""

    @property
    def choices(self) -> Sequence[str]:
        """The settings chosen on dev, as sentences."""

    def notes(self, labelled: EncodedDataset) -> Sequence[str]:
        """Return warnings about the training data, as sentences."""

    def evaluate(self, labelled: EncodedDataset, logits: np.ndarray) -> TaskEvaluation:
        """Evaluate the head's output for all inputs, float32 [N, ...], of labelled examples."""

    # ---- served
    def answer(
        self,
        columns: Sequence[tf.Tensor],
        tokenizer: Tokenizer,
        max_length: int,
        forward: Forward,
    ) -> Tensors:
        """Compute the outputs of serving_default, in graph operations.

        Args:
            columns: The texts, string [B], and where rows are pairs the second texts.
            tokenizer: The model's.
            max_length: Tokens of an input, specials included.
            forward: The model.
        """

    def decode(self, logits: tf.Tensor) -> Tensors:
        """Compute the outputs of the signature `ids` from the head's output."""

    def judge(self, examples: Examples, outputs: Outputs) -> TaskEvaluation:
        """Evaluate served answers to labelled examples."""

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """Return the error of each answer, float [N], 0 where it is right.

        The answers may be those of another model.

        Raises:
            ValueError: The answers are those of a model that cannot be compared.
        """


def task_of(name: str, model: TextModel) -> Task:
    """Restore the task that a loaded model was trained for, with the settings of its folder."""
    return TASKS[name].task_class.restore(model.label_names, model.head.settings)

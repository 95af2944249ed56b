"""What a task is: all that the other rooms ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

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
# asks for, [B, ...], and `weight` float32 [B].
Batch: TypeAlias = "Mapping[str, tf.Tensor]"
# What serving_default answers to N rows, by name; the first axis of each array is N.
Outputs = Mapping[str, np.ndarray]
# From input_ids, token_type_ids, attention_mask int32 [B, L] to what the head makes of them.
Forward = Callable[[Tensors], tf.Tensor]


class LabelSummary(NamedTuple):
    """What doctor shows of a data file's labels: a name, a sentence, and the value for scripts."""

    name: str
    sentence: str
    value: Any


class Task(LabelRules, Protocol):
    """Labels, loss, figures and answers of one kind of question.

    label_names: of the head's columns; unit: what a difference of served floats is measured in (1
    for probabilities, the spread of the training labels for values in their own unit).
    """

    @property
    def label_names(self) -> Sequence[str]: ...

    @property
    def unit(self) -> float: ...

    # ---- before there is a model
    @classmethod
    def show_label(cls, examples: Examples, row: int) -> str:
        """Format a row's label for people."""

    @classmethod
    def describe_labels(cls, parts: Sequence[Examples]) -> LabelSummary | None:
        """What the labels of a data file are, for doctor; None for names that are counted."""

    @classmethod
    def from_labels(cls, labels: Sequence[Any], config: TrainConfig | None = None) -> Task:
        """Build the task over the parsed labels of train.

        Args:
            labels: As `parse_labels` returns them.
            config: The settings of the training; None for defaults.
        """

    @classmethod
    def inputs(cls, pairs: bool) -> Sequence[str]:
        """Names of the columns of text that serving_default takes."""

    # ---- into a model's folder and back
    @property
    def head(self) -> Head:
        """What stands on the encoder, with what the model's config.json tells of the task."""

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> Task:
        """The task of a model's folder; settings: those of `head`, empty for none."""

    # ---- training
    def refuse_unknown(self, examples: Examples) -> None:
        """Raise UserError for labels that checked examples have and the task does not."""

    def label(self, examples: Examples, tokenizer: Tokenizer, max_length: int) -> EncodedDataset:
        """What the model reads and what it should say; raises UserError for an unknown label."""

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """float32 [B], of the head's output for a batch that holds the task's targets."""

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """What training minimises, float32 [B]; dev is evaluated with the plain loss."""

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """The divergence of two outputs for the same batch, float32 [B], for R-Drop."""

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """float32 [N]: the weight of each example where rare labels are to count as much."""

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> Task:
        """The task with what is chosen on dev, not learnt: thresholds, a temperature."""

    @property
    def choices(self) -> Sequence[str]:
        """What was chosen on dev, as sentences."""

    def notes(self, labelled: EncodedDataset) -> Sequence[str]:
        """What the owner of the training data should know of it, as sentences."""

    def evaluate(self, labelled: EncodedDataset, logits: np.ndarray) -> TaskEvaluation:
        """What the head's output for all inputs, float32 [N, ...], says about the examples."""

    # ---- served
    def answer(
        self,
        columns: Sequence[tf.Tensor],
        tokenizer: Tokenizer,
        max_length: int,
        forward: Forward,
    ) -> Tensors:
        """What serving_default answers, in graph operations.

        columns: the texts, string [B], and where rows are pairs the second texts.
        """

    def decode(self, logits: tf.Tensor) -> Tensors:
        """What the signature `ids` answers, of the head's output."""

    def judge(self, examples: Examples, outputs: Outputs) -> TaskEvaluation:
        """What such answers say about labelled examples."""

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """float [N]: how wrong each answer is, 0 where it is right; for a rival's answers, too.

        Raises ValueError for the answers of a model that cannot be compared.
        """


def task_of(name: str, model: TextModel) -> Task:
    """The task that a loaded model was trained for, with the settings kept in its folder."""
    return TASKS[name].task_class.restore(model.label_names, model.head.settings)

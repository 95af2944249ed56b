"""What a task is: all that the other rooms ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.encode import Labelled
from tfpipe.data.read import Examples
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.model.head import Head
from tfpipe.tasks.evaluation import Mistake
from tfpipe.tasks.losses import Objective

Tensors = dict[str, tf.Tensor]
# What serving_default answers to N rows, by name; the first axis of each array is N.
Outputs = Mapping[str, np.ndarray]
# From input_ids, token_type_ids, attention_mask int32 [B, L] to what the head makes of them.
Forward = Callable[[Tensors], tf.Tensor]


class TaskEvaluation(Protocol):
    """What a model said about N labelled examples."""

    @property
    def texts(self) -> Sequence[str]:
        """The examples as one string each."""

    @property
    def outputs(self) -> Outputs:
        """What serving_default answers to them."""

    @property
    def figures(self) -> dict[str, float]:
        """Those of the task in FIGURES, and `examples`."""

    def mistakes(self, most: int) -> list[Mistake]:
        """The worst answers, the worst first."""

    def rows(self) -> Iterable[tuple[str, str, str, float]]:
        """text, gold, predicted and score of each example, for predictions.tsv."""


class Task(Protocol):
    """Labels, loss, figures and answers of one kind of question.

    name: as on the command line; optional_label: whether a row without a label says something;
    label_names: of the head's columns; unit: what a difference of served floats is measured in (1
    for probabilities, the spread of the training labels for values in their own unit).
    """

    name: ClassVar[str]
    optional_label: ClassVar[bool]

    @property
    def label_names(self) -> Sequence[str]: ...

    @property
    def unit(self) -> float: ...

    # ---- before there is a model
    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Raise UserError for labels that the task cannot read, with their rows.

        to_learn: whether the examples are those to train on, which must also hold enough to learn.
        """

    @classmethod
    def strip_label(cls, label: str) -> str:
        """The label without blanks around it, and around the names in it."""

    @classmethod
    def names_in(cls, label: str) -> Sequence[str]:
        """The label names in a row's label, by which rows are counted and dev is cut; may be none.

        label: one that `check` has passed.
        """

    @classmethod
    def from_labels(cls, labels: Sequence[str], config: TrainConfig | None = None) -> Task:
        """The task over the labels of train; config: what else the user asks of it."""

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

    def label(self, examples: Examples, tokenizer: Tokenizer, max_length: int) -> Labelled:
        """What the model reads and what it should say; raises UserError for an unknown label."""

    def loss(self, logits: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        """float32 [B], of the head's output and the gold of a batch."""

    def training_loss(self, logits: tf.Tensor, gold: tf.Tensor, objective: Objective) -> tf.Tensor:
        """What training minimises, float32 [B]; dev is looked at with the plain loss."""

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        """How far two answers to the same texts lie apart, float32 [B], for R-Drop.

        gold: tells which tokens count, where the head answers for each.
        """

    def balanced_weights(self, gold: np.ndarray) -> np.ndarray:
        """float32 [N]: the weight of each example where rare labels are to count as much."""

    def tuned_on(self, labelled: Labelled, logits: np.ndarray) -> Task:
        """The task with what is chosen on dev, not learnt: thresholds, a temperature."""

    @property
    def choices(self) -> Sequence[str]:
        """What was chosen on dev, as sentences."""

    def notes(self, labelled: Labelled) -> Sequence[str]:
        """What the owner of the training data should know of it, as sentences."""

    def evaluate(self, labelled: Labelled, logits: np.ndarray) -> TaskEvaluation:
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

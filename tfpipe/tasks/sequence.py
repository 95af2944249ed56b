"""Base class of tasks that answer about the whole text, or pair of texts."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import tensorflow as tf

from tfpipe.data.encoded import EncodedDataset, encode
from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules, refuse_pairs, refuse_unknown
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.tasks.labelled_texts import EncodedTextDataset, label_texts
from tfpipe.tasks.long_text import CUTS, forward_in_groups, mean_by_owner
from tfpipe.tasks.task import Forward, Tensors


class SequenceTask(LabelRules, abc.ABC):
    """One row of logits [K] an example: of its one input, or the mean of its inputs' rows.

    Attributes:
        target: The name of the one target column.
        long_text: How texts over the maximum length are read: their `head`, their `head_tail`, or
            all of them in `windows`.
    """

    target: ClassVar[str]
    long_text: str = "head"

    if TYPE_CHECKING:
        # At run time a dataclass would take the property for the default of its field.
        @property
        def label_names(self) -> Sequence[str]:
            """Of the head's columns."""

    @abc.abstractmethod
    def gold(self, examples: Examples) -> np.ndarray:
        """Return the targets, [N] or [N, K]; raises UserError for an unknown label."""

    @abc.abstractmethod
    def decode(self, logits: tf.Tensor) -> Tensors:
        """Compute the served outputs from logits [B, K]."""

    @classmethod
    def inputs(cls, pairs: bool) -> Sequence[str]:
        """Return `text`, and where rows are pairs `text_pair`."""
        return ("text", "text_pair") if pairs else ("text",)

    def notes(self, labelled: EncodedDataset) -> Sequence[str]:
        """Return nothing beyond the data report."""
        return ()

    @property
    def choices(self) -> Sequence[str]:
        """Nothing is chosen on dev."""
        return ()

    def refuse_unknown(self, examples: Examples) -> None:
        """Raise UserError for labels that the head has no column for, and for pairs in windows."""
        self._refuse_unknown_names(examples)
        refuse_pairs(examples, self.long_text)

    def _refuse_unknown_names(self, examples: Examples) -> None:
        refuse_unknown(examples, self.label_names, type(self))

    def label(self, examples: Examples, tokenizer: Tokenizer, max_length: int) -> EncodedDataset:
        """Build the model's inputs and targets; raises UserError like `refuse_unknown`."""
        targets = {self.target: self.gold(examples)}
        if self.long_text == "head":
            return EncodedDataset(examples, encode(examples, tokenizer, max_length), targets)
        refuse_pairs(examples, self.long_text)
        return label_texts(examples, targets, tokenizer, max_length, self.long_text)

    def pooled(self, labelled: EncodedDataset, logits: np.ndarray) -> np.ndarray:
        """Return the logits of each example, float32 [N, K], from those of each input."""
        if not isinstance(labelled, EncodedTextDataset):
            return logits
        return mean_by_owner(tf.constant(logits), tf.constant(labelled.example_of)).numpy()

    def example_targets(self, labelled: EncodedDataset) -> Mapping[str, np.ndarray]:
        """Return the target columns with a row for each example, [N, ...], not for each input."""
        targets = labelled.targets
        if not isinstance(labelled, EncodedTextDataset):
            return targets
        first = np.unique(labelled.example_of, return_index=True)[1]
        return {name: column[first] for name, column in targets.items()}

    def answer(
        self,
        columns: Sequence[tf.Tensor],
        tokenizer: Tokenizer,
        max_length: int,
        forward: Forward,
    ) -> Tensors:
        """Compute the outputs of serving_default for texts, string [B], and their second halves."""
        return self.decode(self.read(columns, tokenizer, max_length, forward))

    def read(
        self,
        columns: Sequence[tf.Tensor],
        tokenizer: Tokenizer,
        max_length: int,
        forward: Forward,
        beside: Tensors | None = None,
    ) -> tf.Tensor:
        """Compute the logits of texts, float32 [B, K].

        Args:
            columns: The texts, string [B], and where rows are pairs the second texts.
            tokenizer: The model's.
            max_length: Tokens of an input, specials included.
            forward: The model.
            beside: Further inputs of the model, with a row for each text.
        """
        text, *pair = columns
        beside = beside or {}
        if self.long_text == "head":
            return forward({**tokenizer(text, pair[0] if pair else None, max_length), **beside})
        cut = CUTS[self.long_text](tokenizer, text, max_length)
        further = {name: tf.gather(values, cut.owner) for name, values in beside.items()}
        # With further inputs the labels may be those of other tasks, too.
        width = None if beside else len(self.label_names)
        logits = forward_in_groups(forward, {**cut.inputs, **further}, [width])
        return mean_by_owner(logits, cut.owner)

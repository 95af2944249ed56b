"""The exported graph of several classifiers whose answers become one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.exporting.saved_model import make_info_table
from tfpipe.model.few_tokens import served_forward
from tfpipe.model.text_model import TextModel
from tfpipe.run_folder import Run
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.task import Tensors

MEAN = "mean"


@dataclass(frozen=True)
class Member:
    """A classifier of an ensemble.

    Attributes:
        run: Its run.
        model: Its model.
        task: Its task, which has the labels of all members in one order.
    """

    run: Run
    model: TextModel
    task: Classify

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.run.folder.resolve().name

    @property
    def max_length(self) -> int:
        """Tokens of an input."""
        return self.run.config.max_length


def combine(scores: Sequence[tf.Tensor], how: str) -> tf.Tensor:
    """Combine the scores of classifiers.

    Args:
        scores: Of each, float32 [B, K].
        how: `mean`; or `vote`: each gives its label a vote, and all together one vote that is
            shared as their mean is, which decides between labels with as many votes.

    Returns:
        float32 [B, K], whose rows sum up to 1.
    """
    mean = tf.add_n(scores) / len(scores)
    if how == MEAN:
        return mean
    labels = [tf.one_hot(tf.argmax(one, axis=1), tf.shape(one)[1]) for one in scores]
    return (tf.add_n(labels) + mean) / (len(scores) + 1)


def as_answer(task: Classify, scores: tf.Tensor) -> Tensors:
    """Return combined scores [B, K] as `task`, whose temperature is 1, serves an answer."""
    # What has underflowed to 0 is to stay the least.
    return task.decode(tf.math.log(tf.maximum(scores, 1e-38)))


class EnsembleModel(tf.Module):
    """Tokenizers, weights and decoders of several classifiers in one SavedModel.

    `serving_default` takes what a member takes and gives `label` string [B], `score` float32 [B]
    and `scores` float32 [B, K]. `info` takes nothing and gives one JSON string.

    Args:
        members: The classifiers.
        task: The task of the ensemble, whose temperature is 1.
        how: See `combine`.
        inputs: Names of the one or two texts.
        info: The answer of `info`, as JSON can hold it.
        precision: Type of the products; `int8` for members with scales.
    """

    def __init__(
        self,
        members: Sequence[Member],
        task: Classify,
        how: str,
        inputs: Sequence[str],
        info: Any,
        precision: str,
    ):
        super().__init__()
        self._members, self._task, self._how = members, task, how
        encoders = [one.model.served_encoder(precision) for one in members]
        self._forwards = [
            served_forward(encoder, one.model.head.compute, precision)
            for one, encoder in zip(members, encoders, strict=True)
        ]
        self.weights = [encoder.stored for encoder in encoders]
        self.tokenizers = [one.model.tokenizer for one in members]
        self._source = tempfile.TemporaryDirectory()
        self._info = make_info_table(Path(self._source.name), info)
        compiled = partial(tf.function, autograph=False)
        texts = [tf.TensorSpec([None], tf.string, name=name) for name in inputs]
        self.serve = compiled(self._serve, input_signature=texts)
        self.describe = compiled(self._describe, input_signature=[])

    def save(self, folder: str) -> None:
        """Write the SavedModel."""
        signatures = {"serving_default": self.serve, "info": self.describe}
        tf.saved_model.save(self, folder, signatures=signatures)

    def _serve(self, *columns: tf.Tensor) -> Tensors:
        found = [
            one.task.answer(columns, one.model.tokenizer, one.max_length, forward)["scores"]
            for one, forward in zip(self._members, self._forwards, strict=True)
        ]
        return as_answer(self._task, combine(found, self._how))

    def _describe(self) -> Tensors:
        return {"info": self._info.lookup(tf.constant(0, tf.int64))}

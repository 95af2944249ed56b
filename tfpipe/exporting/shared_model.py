"""The exported graph of several adapters on one encoder: a batch may mix their texts."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.exporting.saved_model import make_info_table
from tfpipe.model.adapters.mixed_rows import apply_by_adapter
from tfpipe.model.encoder import Encoder
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.task import Forward, Tensors

# Label of a row whose adapter the export does not have, and a score that a row does not have.
UNKNOWN_ADAPTER = "__unknown_adapter__"
NO_SCORE = -1.0
INPUTS = ("text", "adapter")


@dataclass(frozen=True)
class SharedEncoder:
    """What all adapters use.

    Attributes:
        encoder: The fast graph over the weights of all adapters.
        forward: Computes the head's output with it.
        tokenizer: The tokenizer.
        max_length: Tokens of an input.
    """

    encoder: Encoder
    forward: Forward
    tokenizer: Tokenizer
    max_length: int


class SharedModel(tf.Module):
    """One encoder, and the adapters, heads and decoders of several models, in one SavedModel.

    `serving_default` takes `text` and `adapter`, string [B] each, and gives `label` string [B],
    `score` float32 [B] and `scores` float32 [B, K]: those of the labels of the row's adapter in
    their order, and then -1. A row of an unknown adapter has the label `__unknown_adapter__`, the
    score 0 and scores of -1. `info` takes nothing and gives one JSON string.

    Args:
        shared: The encoder.
        tasks: The task of each adapter by its name, in the order of the encoder's weights.
        info: The answer of `info`, as JSON can hold it.
    """

    def __init__(self, shared: SharedEncoder, tasks: Mapping[str, Classify], info: Any):
        super().__init__()
        self._shared, self._tasks = shared, list(tasks.values())
        self.weights, self.tokenizer = shared.encoder.stored, shared.tokenizer
        self._columns = max(len(task.label_names) for task in self._tasks)
        self._source = tempfile.TemporaryDirectory()
        self._info = make_info_table(Path(self._source.name), info)
        with tf.device("CPU:0"):
            numbers = tf.range(len(self._tasks))
            entries = tf.lookup.KeyValueTensorInitializer(tf.constant([*tasks]), numbers)
            self._numbers = tf.lookup.StaticHashTable(entries, default_value=-1)
        compiled = partial(tf.function, autograph=False)
        texts = [tf.TensorSpec([None], tf.string, name=name) for name in INPUTS]
        self.serve = compiled(self._serve, input_signature=texts)
        self.describe = compiled(self._describe, input_signature=[])

    def save(self, folder: str) -> None:
        """Write the SavedModel."""
        signatures = {"serving_default": self.serve, "info": self.describe}
        tf.saved_model.save(self, folder, signatures=signatures)

    def _serve(self, text: tf.Tensor, adapter: tf.Tensor) -> Tensors:
        with tf.device("CPU:0"):
            number = self._numbers.lookup(adapter)
        # Rows of unknown adapters are computed with the first one, and their answers replaced.
        known, number = number >= 0, tf.maximum(number, 0)
        shared = self._shared
        logits = self._tasks[0].read(
            [text], shared.tokenizer, shared.max_length, shared.forward, {"adapter": number}
        )
        found = apply_by_adapter(self._decode, logits, number, len(self._tasks))
        return {
            "label": tf.where(known, found["label"], UNKNOWN_ADAPTER),
            "score": tf.where(known, found["score"], 0.0),
            "scores": tf.where(known[:, tf.newaxis], found["scores"], NO_SCORE),
        }

    def _decode(self, number: int, logits: tf.Tensor) -> Tensors:
        """Decode the logits [N, K] of rows of one adapter."""
        columns = len(self._tasks[number].label_names)
        found = self._tasks[number].decode(logits[:, :columns])
        unused = [[0, 0], [0, self._columns - columns]]
        return found | {"scores": tf.pad(found["scores"], unused, constant_values=NO_SCORE)}

    def _describe(self) -> Tensors:
        return {"info": self._info.lookup(tf.constant(0, tf.int64))}

"""The exported graph: strings in, decoded answers out, in core TensorFlow operations."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.exporting.info import INFO
from tfpipe.model.encoder import Encoder
from tfpipe.model.few_tokens import served_forward
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task

Tensors = dict[str, tf.Tensor]
# Inputs of the signature `ids`, in the order of its function.
ENCODED = ("input_ids", "attention_mask", "token_type_ids")


class ExportedModel(tf.Module):
    """The tokenizer of training, the trained weights and the task's decoder in one SavedModel.

    Signatures: `serving_default` (the task's inputs: string [B]), `ids` (input_ids,
    attention_mask, token_type_ids: int32 [B, L]), `embed` (inputs as above, cut to the maximum
    length; `mean` and `cls` float32 [B, H] of the last layer) and `info` (no input, one JSON
    string). A model that only stock TFBert computes has no `embed`.

    The fast graph's weights are stored as it reads them, in `precision`: a server that opens the
    model casts and concatenates nothing.

    Args:
        model: The trained model.
        task: Its task.
        max_length: Tokens of an input.
        pairs: Whether a row has two texts.
        info: The answer of `info`, as JSON can hold it.
        precision: Type of the products: `float32`, `bfloat16`, `float16`, or `int8` for a model
            with scales.

    Attributes:
        serve: The signature `serving_default`.
        serve_ids: The signature `ids`.
        embed: The signature `embed`, or None.
        describe: The signature `info`.
        tokens: Function from texts, string [B], to their token ids without special tokens, ragged
            int32 [B, tokens].
    """

    def __init__(
        self,
        model: TextModel,
        task: Task,
        max_length: int,
        pairs: bool,
        info: Any,
        precision: str = "float32",
    ):
        super().__init__()
        self.tokenizer = model.tokenizer
        encoder = model.served_encoder(precision) if model.encoder else None
        # Without the fast graph the variables alone are tracked: a Keras model would store every
        # layer's calls too.
        self.weights: Any = encoder.stored if encoder else list(model.weights)
        self._source = tempfile.TemporaryDirectory()
        self._info = make_info_table(Path(self._source.name), info)
        self._task, self._max_length = task, max_length
        self._forward = model.logits
        if encoder is not None:
            self._forward = served_forward(encoder, model.head.compute, precision)
            self._tokens = served_forward(encoder, Encoder.tokens, precision)

        inputs = [tf.TensorSpec([None], tf.string, name=name) for name in task.inputs(pairs)]
        ids = [tf.TensorSpec([None, None], tf.int32, name=name) for name in ENCODED]
        # Nothing branches on a tensor in Python: converting the source to find that takes seconds.
        compiled = partial(tf.function, autograph=False)
        self.serve = compiled(self._serve, input_signature=inputs)
        self.serve_ids = compiled(self._serve_ids, input_signature=ids)
        self.describe = compiled(self._describe, input_signature=[])
        self.embed = compiled(self._embed, input_signature=inputs) if encoder else None
        # No signature: `tfpipe.index` calls it in the graph of an index.
        self.tokens = compiled(self.tokenizer.tokenize, input_signature=inputs[:1])

    def _serve(self, *columns: tf.Tensor) -> Tensors:
        return self._task.answer(columns, self.tokenizer, self._max_length, self._forward)

    def _serve_ids(
        self, input_ids: tf.Tensor, attention_mask: tf.Tensor, token_type_ids: tf.Tensor
    ) -> Tensors:
        values = (input_ids, attention_mask, token_type_ids)
        return self._task.decode(self._forward(dict(zip(ENCODED, values, strict=True))))

    def _embed(self, *columns: tf.Tensor) -> Tensors:
        text, *pair = columns
        batch = self.tokenizer(text, pair[0] if pair else None, max_length=self._max_length)
        rows = self._tokens(batch)
        real = tf.cast(batch["attention_mask"], tf.float32)[:, :, tf.newaxis]
        mean = tf.reduce_sum(rows * real, 1) / tf.maximum(tf.reduce_sum(real, 1), 1.0)
        return {"mean": mean, "cls": rows[:, 0]}

    def _describe(self) -> Tensors:
        return {"info": self._info.lookup(tf.constant(0, tf.int64))}

    def save(self, folder: str) -> None:
        """Write the SavedModel."""
        signatures = {
            "serving_default": self.serve,
            "ids": self.serve_ids,
            "info": self.describe,
            **({"embed": self.embed} if self.embed else {}),
        }
        tf.saved_model.save(self, folder, signatures=signatures)


def make_info_table(folder: Path, info: Any) -> tf.lookup.StaticHashTable:
    """Return a table whose entry 0 is `info`, the one line of an asset file of the graph.

    A file, and not a constant, because the result of the verification, which is part of `info`,
    is known only after the graph has been written.
    """
    path = folder / INFO.name
    path.write_text(json.dumps(info, ensure_ascii=False) + "\n", encoding="utf-8")
    line, whole = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
    with tf.init_scope(), tf.device("CPU:0"):
        initializer = tf.lookup.TextFileInitializer(str(path), tf.int64, line, tf.string, whole)
        return tf.lookup.StaticHashTable(initializer, "")

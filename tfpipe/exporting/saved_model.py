"""The served graph: raw strings in, decoded answers out, in core TensorFlow ops."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.exporting.info import INFO
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task

Tensors = dict[str, tf.Tensor]


class ExportedModel(tf.Module):
    """The tokenizer of training, the trained weights and the task's decoder in one SavedModel.

    Signatures: `serving_default` (the task's inputs: string [B]), `ids` (input_ids,
    attention_mask, token_type_ids: int32 [B, L]), `embed` (inputs as above, cut to the maximum
    length; `mean` and `cls` float32 [B, H] of the last layer) and `info` (no input, one JSON
    string). A model that only stock TFBert computes has no `embed`.

    The fast graph's weights are stored as it reads them, in `precision`: a server that opens the
    model casts and joins nothing.
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
        encoder = model.frozen_encoder(tf.as_dtype(precision)) if model.encoder else None
        # Without the fast graph the variables alone are tracked: a Keras model would store every
        # layer's calls too.
        self.weights: Any = encoder.stored if encoder else list(model.weights)
        self._source = tempfile.TemporaryDirectory()
        self._info = make_info_table(Path(self._source.name), info)
        inputs = [tf.TensorSpec([None], tf.string, name=name) for name in task.inputs(pairs)]

        forward = model.head.of_encoder(encoder) if encoder else model.logits
        tokenizer = self.tokenizer

        def embed(batch: Tensors) -> Tensors:
            assert encoder is not None
            rows = encoder.tokens(batch)
            real = tf.cast(batch["attention_mask"], tf.float32)[:, :, tf.newaxis]
            mean = tf.reduce_sum(rows * real, 1) / tf.maximum(tf.reduce_sum(real, 1), 1.0)
            return {"mean": mean, "cls": rows[:, 0]}

        def serve(*columns: tf.Tensor) -> Tensors:
            return task.answer(columns, tokenizer, max_length, forward)

        def embed_texts(*columns: tf.Tensor) -> Tensors:
            text, *pair = columns
            return embed(tokenizer(text, pair[0] if pair else None, max_length=max_length))

        self.serve = tf.function(serve, input_signature=inputs)
        self.embed = tf.function(embed_texts, input_signature=inputs) if encoder else None

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None], tf.int32, name=name)
                for name in ("input_ids", "attention_mask", "token_type_ids")
            ]
        )
        def serve_ids(
            input_ids: tf.Tensor, attention_mask: tf.Tensor, token_type_ids: tf.Tensor
        ) -> Tensors:
            batch = {
                "input_ids": input_ids,
                "attention_mask": attention_mask,
                "token_type_ids": token_type_ids,
            }
            return task.decode(forward(batch))

        @tf.function(input_signature=[])
        def describe() -> Tensors:
            return {"info": self._info.lookup(tf.constant(0, tf.int64))}

        self.serve_ids, self.describe = serve_ids, describe

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
    """`info` as the one line of a file that goes with the graph.

    A file and no constant: what it tells of the proof is known when the graph has been written.
    """
    path = folder / INFO.name
    path.write_text(json.dumps(info, ensure_ascii=False) + "\n", encoding="utf-8")
    line, whole = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
    with tf.init_scope(), tf.device("CPU:0"):
        initializer = tf.lookup.TextFileInitializer(str(path), tf.int64, line, tf.string, whole)
        return tf.lookup.StaticHashTable(initializer, "")

"""The served graph: raw strings in, decoded answers out, in core TensorFlow ops."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import tensorflow as tf

from tfpipe.model.checkpoint import Classifier
from tfpipe.tasks.classify import Classify

Tensors = dict[str, tf.Tensor]


class Servable(tf.Module):
    """The tokenizer of training, the trained weights and the task's decoder in one SavedModel.

    Signatures: `serving_default` (text, with pairs also text_pair: string [B]), `ids`
    (input_ids, attention_mask, token_type_ids: int32 [B, L]) and `info` (no input, one JSON
    string).
    """

    def __init__(
        self, classifier: Classifier, task: Classify, max_length: int, pairs: bool, info: Any
    ):
        super().__init__()
        classifier = replace(classifier, packed=True)
        self.tokenizer = classifier.tokenizer
        # The variables alone are tracked: a Keras model would store every layer's calls too.
        self.weights = list(classifier.bert.weights)
        text = tf.TensorSpec([None], tf.string, name="text")
        text_pair = tf.TensorSpec([None], tf.string, name="text_pair")

        def answer(batch: Tensors) -> Tensors:
            return task.decode(classifier.logits(batch))

        def serve_text(text: tf.Tensor) -> Tensors:
            return answer(self.tokenizer(text, None, max_length=max_length))

        def serve_pair(text: tf.Tensor, text_pair: tf.Tensor) -> Tensors:
            return answer(self.tokenizer(text, text_pair, max_length=max_length))

        self.serve = (
            tf.function(serve_pair, input_signature=[text, text_pair])
            if pairs
            else tf.function(serve_text, input_signature=[text])
        )

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None], tf.int32, name=name)
                for name in ("input_ids", "attention_mask", "token_type_ids")
            ]
        )
        def serve_ids(
            input_ids: tf.Tensor, attention_mask: tf.Tensor, token_type_ids: tf.Tensor
        ) -> Tensors:
            return answer(
                {
                    "input_ids": input_ids,
                    "attention_mask": attention_mask,
                    "token_type_ids": token_type_ids,
                }
            )

        @tf.function(input_signature=[])
        def describe() -> Tensors:
            return {"info": tf.constant(json.dumps(info, ensure_ascii=False))}

        self.serve_ids, self.describe = serve_ids, describe

    def save(self, folder: str) -> None:
        """Write the SavedModel."""
        signatures = {
            "serving_default": self.serve,
            "ids": self.serve_ids,
            "info": self.describe,
        }
        tf.saved_model.save(self, folder, signatures=signatures)

"""Small SavedModels and a running server for the tests of serving."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import tensorflow as tf

from serving.server.manager import ServedModel
from serving.server.service import listen

LABELS = ["short", "long"]
DTYPES = [
    tf.float32,
    tf.float64,
    tf.int32,
    tf.uint8,
    tf.int16,
    tf.int8,
    tf.complex64,
    tf.int64,
    tf.bool,
    tf.bfloat16,
    tf.uint16,
    tf.complex128,
    tf.float16,
    tf.uint32,
    tf.uint64,
    tf.string,
]


def spec(shape, dtype, name):
    return tf.TensorSpec(shape, dtype, name=name)


class Classifier(tf.Module):
    """Calls a text long from ten bytes on, in the signatures of an exported classifier."""

    def __init__(self, info: str):
        self.info_text = info
        self.labels = tf.Variable(LABELS)
        self.weights = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    def score(self, length):
        length = tf.cast(length, tf.float32)
        scores = tf.nn.softmax(tf.stack([10 - length, length - 10], axis=1) / 5)
        return {
            "label": tf.gather(self.labels, tf.argmax(scores, axis=1)),
            "score": tf.reduce_max(scores, axis=1),
            "scores": scores,
        }

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def classify(self, text):
        return self.score(tf.strings.length(text))

    @tf.function(
        input_signature=[spec([None], tf.string, "text"), spec([None], tf.string, "text_pair")]
    )
    def classify_pairs(self, text, text_pair):
        return self.score(tf.strings.length(text) + tf.strings.length(text_pair))

    @tf.function(input_signature=[])
    def info(self):
        return {"info": tf.constant(self.info_text)}

    @tf.function(input_signature=[spec([None, 3], tf.float32, "x")])
    def multiply(self, x):
        product = tf.matmul(x, self.weights)
        return {"product": product, "total": tf.reduce_sum(product)}

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def refuse(self, text):
        tf.debugging.Assert(False, [text])
        return {"text": tf.identity(text)}

    @tf.function(input_signature=[spec([], tf.int64, "steps")])
    def slow(self, steps):
        _, state = tf.while_loop(
            lambda step, state: step < steps,
            lambda step, state: (step + 1, tf.tanh(tf.matmul(state, state))),
            (tf.constant(0, tf.int64), tf.random.normal([300, 300])),
        )
        return {"sum": tf.reduce_sum(state)}


def save_classifier(folder: Path, info: dict | None = None, pairs: bool = False) -> None:
    model = Classifier(json.dumps(info or {}))
    signatures = {
        "serving_default": model.classify_pairs if pairs else model.classify,
        "info": model.info,
        "multiply": model.multiply,
        "refuse": model.refuse,
        "slow": model.slow,
    }
    tf.saved_model.save(model, str(folder), signatures=signatures)


def save_echo(folder: Path) -> None:
    """One signature for every dtype, of any shape: `x` comes back as `y`."""

    def echo(dtype):
        @tf.function(input_signature=[spec(None, dtype, "x")])
        def signature(x):
            return {"y": tf.identity(x)}

        return signature

    model = tf.Module()
    signatures = {dtype.name: echo(dtype) for dtype in DTYPES}
    model.signatures_kept = list(signatures.values())
    tf.saved_model.save(model, str(folder), signatures=signatures)


@contextlib.contextmanager
def serve(port: int = 0, **base_paths: Path):
    """A server of these models on `port` (0: a free one): yields its address and the models."""
    models = {name: ServedModel(name, path) for name, path in base_paths.items()}
    for model in models.values():
        model.start()
    server, port = listen(models, "127.0.0.1", port, threads=8)
    try:
        yield f"127.0.0.1:{port}", models
    finally:
        server.stop(0).wait()
        for model in models.values():
            model.close()

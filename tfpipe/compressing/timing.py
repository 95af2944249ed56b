"""Times of two models' answers, in turn, so that other load of the machine affects both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.examples import Examples
from tfpipe.model.few_tokens import served_forward
from tfpipe.model.text_model import TextModel
from tfpipe.report.sections import Latency
from tfpipe.tasks.task import Task

BATCHES = (1, 8, 32)
CALLS = 50


def time_models(
    models: Sequence[TextModel], tasks: Sequence[Task], examples: Examples, max_length: int
) -> list[list[Latency]]:
    """Time the graph that an export has, from texts to answers, with products in float32.

    Args:
        models: The models.
        tasks: The task of each.
        examples: The texts, each batch the next ones.
        max_length: Tokens of an input.

    Returns:
        Of each model the latencies at each of BATCHES.
    """
    answers = [_compile(*one, examples, max_length) for one in zip(models, tasks, strict=True)]
    found: list[list[Latency]] = [[] for _ in models]
    for size in BATCHES:
        seconds = np.zeros([len(models), CALLS])
        # The first call of a size sets up the graph.
        for call in range(-1, CALLS):
            rows = ((max(call, 0) * size + np.arange(size)) % len(examples)).tolist()
            columns = [[column[row] for row in rows] for column in _columns(examples)]
            tensors = [tf.constant(column, tf.string) for column in columns]
            for number, answer in enumerate(answers):
                began = time.perf_counter()
                for value in answer(*tensors).values():
                    value.numpy()
                if call >= 0:
                    seconds[number, call] = time.perf_counter() - began
        for number, half in enumerate(np.percentile(1e3 * seconds, [50, 95], axis=1).T):
            found[number].append(Latency(size, *(float(value) for value in half)))
    return found


def _columns(examples: Examples) -> list[Sequence[str]]:
    return [examples.texts, *([] if examples.text_pairs is None else [examples.text_pairs])]


def _compile(
    model: TextModel, task: Task, examples: Examples, max_length: int
) -> Callable[..., dict[str, Any]]:
    forward = model.logits
    if model.encoder is not None:
        encoder = model.frozen_encoder(tf.float32)
        forward = served_forward(encoder, model.head.compute, "float32")

    def answer(*columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return task.answer(columns, model.tokenizer, max_length, forward)

    signature = [tf.TensorSpec([None], tf.string) for _ in _columns(examples)]
    compiled: Callable[..., dict[str, Any]] = tf.function(answer, signature, autograph=False)
    return compiled

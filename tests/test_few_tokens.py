"""Served forward passes in float32 whose products depend on the number of tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs import finished_run
from tfpipe.model import few_tokens, pretrained
from tfpipe.model.encoder import Encoder
from tfpipe.model.few_tokens import FEW, served_forward
from tfpipe.model.fused_weights import once_per_graph
from tfpipe.model.text_model import TextModel


@pytest.fixture(scope="module")
def model() -> TextModel:
    return pretrained.load(finished_run("classify").model)


def batch_of(rows: int, longest: int) -> dict[str, tf.Tensor]:
    """A batch with padding: a row has up to three tokens less than the longest."""
    random = np.random.default_rng(rows)
    lengths = longest - np.arange(rows) % 4
    mask = (np.arange(longest) < lengths[:, np.newaxis]).astype(np.int32)
    ids = random.integers(1, 40, (rows, longest)).astype(np.int32) * mask
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: tf.constant(value) for name, value in values.items()}


def compiled(forward: Callable[..., tf.Tensor]) -> Callable[[Mapping[str, Any]], np.ndarray]:
    spec = tf.TensorSpec([None, None], tf.int32)
    names = ("input_ids", "attention_mask", "token_type_ids")
    function = tf.function(
        lambda batch: forward(batch), input_signature=[dict.fromkeys(names, spec)], autograph=False
    )
    return lambda batch: function(batch).numpy()


@pytest.fixture
def few() -> dict[str, tf.Tensor]:
    batch = batch_of(4, 8)
    assert int(tf.reduce_sum(batch["attention_mask"])) <= FEW
    return batch


@pytest.fixture
def many() -> dict[str, tf.Tensor]:
    batch = batch_of(13, 9)
    assert int(tf.reduce_sum(batch["attention_mask"])) > FEW
    return batch


def test_answers_are_those_of_the_encoder(model: TextModel, few: Any, many: Any) -> None:
    encoder = model.frozen_encoder(tf.float32)
    forward = compiled(served_forward(encoder, model.head.compute, "float32"))
    for batch in (batch_of(1, 5), few, many, few):
        np.testing.assert_allclose(forward(batch), model.logits(batch), atol=1e-5)


def test_outputs_of_tokens_are_those_of_the_encoder(model: TextModel, few: Any, many: Any) -> None:
    encoder = model.frozen_encoder(tf.float32)
    forward = compiled(served_forward(encoder, Encoder.tokens, "float32"))
    for batch in (few, many):
        real = batch["attention_mask"].numpy() > 0
        found, expected = forward(batch)[real], encoder.tokens(batch).numpy()[real]
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("precision", "changes"), [("float32", True), ("bfloat16", False)])
def test_only_few_tokens_in_float32_have_plain_products(
    model: TextModel,
    few: Any,
    many: Any,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    changes: bool,
) -> None:
    encoder = model.frozen_encoder(tf.as_dtype(precision))
    exact = compiled(lambda batch: model.head.compute(encoder, batch))
    monkeypatch.setattr(few_tokens, "plain_product", lambda x, kernel, bias: 0.0 * (x @ kernel))
    forward = compiled(served_forward(encoder, model.head.compute, precision))
    np.testing.assert_allclose(forward(many), exact(many), atol=1e-2)
    assert np.allclose(forward(few), exact(few), atol=1e-2) is not changes


def test_passes_of_a_graph_share_their_weights() -> None:
    read = once_per_graph(lambda: {"kernel": tf.constant([1.0])})
    with tf.Graph().as_default():
        first = read()["kernel"]
        assert read()["kernel"] is first
    with tf.Graph().as_default():
        assert read()["kernel"] is not first
    assert read()["kernel"].numpy() == 1.0

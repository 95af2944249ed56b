"""Weights laid out and stored for an export: the same answers, without work on weights."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.test_encoder import SIX_LAYERS, TINY, build
from tfpipe.model.encoder import Encoder
from tfpipe.model.layout import lay_out, store


def batch_of(settings: dict, rows: int = 5, length: int = 11) -> dict[str, tf.Tensor]:
    random = np.random.default_rng(7)
    mask = np.arange(length)[None] < random.integers(1, length + 1, rows)[:, None]
    ids = random.integers(0, settings["vocab_size"], (rows, length)) * mask
    types = random.integers(0, 2, (rows, length)) * mask
    named = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    return {name: tf.constant(values, tf.int32) for name, values in named.items()}


@pytest.mark.parametrize("settings", [TINY, SIX_LAYERS], ids=["two layers", "six layers"])
@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_stored_weights_answer_as_live_ones(settings: dict, packed: bool) -> None:
    bert, batch = build(settings), batch_of(settings)
    stored = store(lay_out(bert, tf.float32), tf.float32)
    live, kept = Encoder(bert, packed=packed), Encoder(bert, packed=packed, stored=stored)
    real = tf.cast(batch["attention_mask"], tf.bool)
    for ask in (
        lambda encoder: encoder.logits(batch),
        lambda encoder: tf.boolean_mask(encoder.tokens(batch), real),
    ):
        np.testing.assert_allclose(ask(kept), ask(live), rtol=0, atol=2e-6)


def test_stored_weights_do_not_follow_the_model() -> None:
    bert, batch = build(TINY), batch_of(TINY)
    kept = Encoder(bert, stored=store(lay_out(bert, tf.float32), tf.float32))
    before = kept.logits(batch).numpy()
    for weight in bert.weights:
        weight.assign(weight * 0)
    np.testing.assert_array_equal(kept.logits(batch).numpy(), before)
    assert not np.allclose(Encoder(bert).logits(batch), before)


def test_a_narrow_type_halves_what_is_large_and_stays_close() -> None:
    bert, batch = build(SIX_LAYERS), batch_of(SIX_LAYERS)
    wide, narrow = (store(lay_out(bert, dtype), dtype) for dtype in (tf.float32, tf.bfloat16))

    def size(weights: dict[str, tf.Variable]) -> int:
        return sum(int(tf.size(one)) * one.dtype.size for one in weights.values())

    assert size(narrow) < 0.53 * size(wide)
    # Norms, pooler and head keep their digits.
    kept = [name for name, one in narrow.items() if one.dtype == tf.float32]
    assert all(n.startswith(("pooler", "head")) or n.endswith(("gamma", "beta")) for n in kept)
    close = Encoder(bert, tf.bfloat16, stored=narrow).logits(batch)
    np.testing.assert_allclose(close, Encoder(bert).logits(batch), atol=0.15)
    assert not np.array_equal(close, Encoder(bert).logits(batch))


def test_a_stored_graph_casts_and_joins_no_weights() -> None:
    bert, batch = build(TINY), batch_of(TINY)
    stored = store(lay_out(bert, tf.bfloat16), tf.bfloat16)
    encoder = Encoder(bert, tf.bfloat16, packed=True, stored=stored)
    graph = tf.function(lambda: encoder.logits(batch)).get_concrete_function().graph
    read = {op.outputs[0].name for op in graph.get_operations() if op.type == "ReadVariableOp"}
    assert len(read) > 10
    for op in graph.get_operations():
        if op.type in ("ConcatV2", "Mul"):
            assert not {one.name for one in op.inputs} & read or op.type == "Mul", op.name
        if op.type == "Cast":
            source = op.inputs[0]
            # The table of positions is small, and added in float32.
            assert source.name not in read or source.shape[0] == TINY["max_position_embeddings"]


@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_the_shape_of_the_answer_is_known_before_it_runs(packed: bool) -> None:
    encoder = Encoder(build(TINY), packed=packed)
    spec = {name: tf.TensorSpec([None, None], tf.int32) for name in batch_of(TINY)}
    ask = tf.function(lambda batch: encoder.logits(batch), input_signature=[spec])
    assert ask.get_concrete_function().structured_outputs.shape.as_list() == [None, 5]
    nothing = {name: tf.zeros([0, 0], tf.int32) for name in spec}
    assert not packed or ask(nothing).shape == (0, 5)

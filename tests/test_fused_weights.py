"""Weights laid out and stored for an export: the same answers, without work on weights."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.test_encoder import SIX_LAYERS, TINY, build
from tfpipe.model.encoder import Encoder
from tfpipe.model.fused_weights import FrozenWeights, lay_out
from tfpipe.model.presets import make_tiny


def store(bert: object, dtype: tf.DType = tf.float32) -> FrozenWeights:
    return FrozenWeights(lay_out(bert, dtype, bert.classifier), dtype)


def batch_of(settings: dict, rows: int = 5, length: int = 11) -> dict[str, tf.Tensor]:
    random = np.random.default_rng(7)
    mask = np.arange(length)[None] < random.integers(1, length + 1, rows)[:, None]
    ids = random.integers(0, settings["vocab_size"], (rows, length)) * mask
    types = random.integers(0, 2, (rows, length)) * mask
    named = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    return {name: tf.constant(values, tf.int32) for name, values in named.items()}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(TINY, id="two layers"),
        pytest.param(TINY | {"layer_norm_eps": 1e-5}, id="another epsilon"),
        pytest.param(SIX_LAYERS, id="six layers", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_stored_weights_answer_as_live_ones(settings: dict, packed: bool) -> None:
    bert, batch = build(settings), batch_of(settings)
    stored = store(bert)
    live, kept = (
        Encoder(bert, packed=packed, head=bert.classifier),
        Encoder(bert, packed=packed, stored=stored),
    )
    real = tf.cast(batch["attention_mask"], tf.bool)
    for ask in (
        lambda encoder: encoder.logits(batch),
        lambda encoder: tf.boolean_mask(encoder.tokens(batch), real),
    ):
        # As a graph, in which TensorFlow puts operations of oneDNN.
        asked = tf.function(functools.partial(ask, kept), autograph=False)()
        np.testing.assert_allclose(asked, ask(live), rtol=0, atol=1e-5)


def test_stored_weights_do_not_follow_the_model() -> None:
    bert, batch = build(TINY), batch_of(TINY)
    kept = Encoder(bert, stored=store(bert))
    before = kept.logits(batch).numpy()
    for weight in bert.weights:
        weight.assign(weight * 0)
    np.testing.assert_array_equal(kept.logits(batch).numpy(), before)
    assert not np.allclose(Encoder(bert, head=bert.classifier).logits(batch), before)


def test_a_narrow_type_halves_what_is_large_and_stays_close(tmp_path: Path) -> None:
    settings = SIX_LAYERS | {"num_hidden_layers": 2}
    bert, batch = build(settings), batch_of(settings)
    wide, narrow = store(bert), store(bert, tf.bfloat16)

    def size(stored: FrozenWeights) -> int:
        """Bytes of two functions that read all of it."""
        module = tf.Module()
        module.stored = stored
        for name in ("one", "other"):
            function = tf.function(lambda: [tf.reduce_sum(w) for w in stored().values()])
            setattr(module, name, function.get_concrete_function())
        folder = tmp_path / f"{id(stored)}"
        tf.saved_model.save(module, str(folder))
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    parameters = sum(int(tf.size(weight)) for weight in bert.weights)
    # Shared by both functions, with some room for the graph.
    assert 4 * parameters < size(wide) < 4.4 * parameters
    assert size(narrow) < 0.6 * size(wide)
    # Norms, pooler and head keep their digits.
    kept = [name for name, one in narrow().items() if one.dtype == np.float32]
    assert all(n.startswith(("pooler", "head")) or n.endswith(("gamma", "beta")) for n in kept)
    close = Encoder(bert, tf.bfloat16, stored=narrow).logits(batch)
    np.testing.assert_allclose(close, Encoder(bert, head=bert.classifier).logits(batch), atol=0.15)
    assert not np.array_equal(close, Encoder(bert, head=bert.classifier).logits(batch))


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16], ids=lambda dtype: dtype.name)
def test_a_stored_graph_casts_and_joins_no_weights(dtype: tf.DType) -> None:
    bert, batch = build(TINY), batch_of(TINY)
    encoder = Encoder(bert, dtype, packed=True, stored=store(bert, dtype))
    graph = tf.function(lambda: encoder.logits(batch)).get_concrete_function().graph
    operations = graph.get_operations()
    (call,) = [op for op in operations if op.type == "PartitionedCall" and len(op.outputs) > 10]
    weights = {one.name for one in call.outputs}
    weights |= {op.outputs[0].name for op in operations if op.type == "ReadVariableOp"}
    assert len(weights) > 15
    for op in operations:
        if {one.name for one in op.inputs} & weights:
            assert op.type != "ConcatV2", op.name
            # The table of positions is small, and added in float32.
            few = op.inputs[0].shape[0] == TINY["max_position_embeddings"]
            assert op.type != "Cast" or few, op.name


@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_the_shape_of_the_answer_is_known_before_it_runs(packed: bool) -> None:
    bert = build(TINY)
    encoder = Encoder(bert, packed=packed, head=bert.classifier)
    spec = {name: tf.TensorSpec([None, None], tf.int32) for name in batch_of(TINY)}
    ask = tf.function(encoder.logits, input_signature=[spec])
    assert ask.get_concrete_function().structured_outputs.shape.as_list() == [None, 5]
    nothing = {name: tf.zeros([0, 0], tf.int32) for name in spec}
    assert not packed or ask(nothing).shape == (0, 5)


def test_every_kernel_passes_the_transform() -> None:
    """A low-rank update and a mask, as adapters and pruning merge them."""
    model = make_tiny(["a", "b"], ["some words", "and more"], dropout=0.0)
    names: list[str] = []
    left = tf.Variable(tf.random.stateless_normal([64, 4], [1, 2]) / 8)
    right = tf.Variable(tf.random.stateless_normal([4, 64], [3, 4]) / 8)

    def transform(name: str, kernel: tf.Tensor) -> tf.Tensor:
        names.append(name)
        if name == "layer1/value":
            return kernel + left @ right
        return kernel * 0.0 if name == "layer0/intermediate" else kernel

    with tf.GradientTape() as tape:
        found = lay_out(model.bert, tf.float32, model.bert.classifier, transform)
        total = tf.add_n([tf.reduce_sum(found[name] ** 2) for name in found])
    layers = ("query", "key", "value", "attention_output", "output", "intermediate")
    expected = [f"layer{number}/{part}" for number in (0, 1) for part in layers]
    assert sorted(names) == sorted([*expected, "pooler", "head"])
    gradients = tape.gradient(total, [left, right])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)

    model.layers[1].attention.self_attention.value.kernel.assign_add(left @ right)
    model.layers[0].intermediate.dense.kernel.assign(tf.zeros([64, 256]))
    merged = lay_out(model.bert, tf.float32, model.bert.classifier)
    assert found.keys() == merged.keys()
    for name, value in merged.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)

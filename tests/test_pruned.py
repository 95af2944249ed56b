"""Importance ranks what a model does without lowest, and pruning keeps what is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.compressing.importance import choose_best, measure_importance
from tfpipe.compressing.layer_choice import choose_layers
from tfpipe.compressing.training_batches import draw_batches
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Columns, Examples
from tfpipe.model import presets
from tfpipe.model.adapters import AdapterSettings
from tfpipe.model.head import Head
from tfpipe.model.pruned import list_attention_outputs, list_outputs, prune, prune_heads
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.classify.task import Classify
from tfpipe.training.objective import TaskLoss

TEXTS = ["my card is lost", "where is my money", "it rains today", "the card", "money back please"]
LABELS = ["card", "money", "rain", "card", "money"]
NAMES = sorted(set(LABELS))
DEAD = (3, 200)


@pytest.fixture
def model() -> TextModel:
    tf.keras.utils.set_random_seed(3)
    return presets.make_tiny(NAMES, TEXTS * 2, dropout=0.0)


def labelled(model: TextModel) -> EncodedDataset:
    examples = Examples(TEXTS, None, LABELS, "texts.tsv", Columns())
    return Classify(NAMES).label(examples, model.tokenizer, 16)


def measured(model: TextModel, batch_size: int = 8) -> np.ndarray:
    drawn = draw_batches(labelled(model), batch_size, 1, 100)
    return measure_importance(model, TaskLoss(Classify(NAMES)), drawn, list_outputs(model), 1)


def chosen(model: TextModel, count: int) -> list[int]:
    return choose_layers(model, TaskLoss(Classify(NAMES)), labelled(model), 8, 1, count)


def logits(model: TextModel) -> np.ndarray:
    return model.logits(model.tokenizer(TEXTS)).numpy()


def mean_loss(model: TextModel) -> float:
    gold = tf.constant([NAMES.index(label) for label in LABELS])
    values = tf.cast(model.logits(model.tokenizer(TEXTS)), tf.float64)
    return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(gold, values)))


def test_importance_is_the_slope_of_the_loss_by_a_gate(model: TextModel) -> None:
    found = measured(model)
    assert found.shape == (2, 256)
    step = 0.05
    for layer, unit in ((0, 5), (1, 17), (1, int(found[1].argmax()))):
        kernel = list_outputs(model)[layer]
        before, losses = kernel.numpy(), []
        for factor in (1 + step, 1 - step):
            value = before.copy()
            value[unit] *= factor
            kernel.assign(value)
            losses.append(mean_loss(model))
        kernel.assign(before)
        slope = abs(losses[0] - losses[1]) / (2 * step)
        assert slope == pytest.approx(found[layer, unit], rel=0.02, abs=2e-5)


def test_dead_units_are_the_least_important_and_their_removal_changes_nothing(
    model: TextModel,
) -> None:
    for kernel in list_outputs(model):
        value = kernel.numpy()
        value[list(DEAD)] = 0.0
        kernel.assign(value)
    found = measured(model, batch_size=2)
    assert not found[:, list(DEAD)].any() and (np.delete(found, DEAD, 1) > 0).all()
    units = choose_best(found, 254)
    for of_layer in units:
        assert of_layer.tolist() == [unit for unit in range(256) if unit not in DEAD]
    smaller = prune(model, [0, 1], units)
    assert smaller.config.intermediate_size == 254 and model.config.intermediate_size == 256
    np.testing.assert_allclose(logits(smaller), logits(model), atol=1e-6)
    assert model.parameters - smaller.parameters == 2 * 2 * (2 * 64 + 1)


@pytest.mark.parametrize("dead", [0, 1])
def test_the_removal_of_a_layer_without_output_changes_nothing(model: TextModel, dead: int) -> None:
    layer = model.layers[dead]
    for dense in (layer.attention.dense_output.dense, layer.bert_output.dense):
        for variable in dense.weights:
            variable.assign(tf.zeros_like(variable))
    smaller = prune(model, [1 - dead], [np.arange(256)])
    assert len(smaller.layers) == smaller.config.num_hidden_layers == 1
    # What is left of the layer are norms of what is normalised.
    np.testing.assert_allclose(logits(smaller), logits(model), atol=1e-5)


def test_the_layer_whose_removal_costs_least_is_removed(model: TextModel) -> None:
    units = [np.arange(256)] * 3
    # The third layer is the first one with other queries.
    deeper = prune(model, [0, 1, 0], units)
    query = deeper.layers[2].attention.self_attention.query.kernel
    query.assign(-8 * query)
    kept = [0, 1, 2]
    for count in (2, 1):
        others = [[layer for layer in kept if layer != removed] for removed in kept]
        kept = min(others, key=lambda layers: mean_loss(prune(deeper, layers, units[:count])))
        assert chosen(deeper, count) == kept
    assert chosen(deeper, 3) == [0, 1, 2]


def test_parts_are_kept_in_their_order(model: TextModel) -> None:
    units = [np.array([7, 9, 250])]
    smaller = prune(model, [1], units)
    old, new = model.layers[1], smaller.layers[0]
    for name in ("query", "key", "value"):
        one, other = (getattr(of.attention.self_attention, name) for of in (old, new))
        np.testing.assert_array_equal(one.kernel, other.kernel)
    np.testing.assert_array_equal(
        old.attention.dense_output.dense.kernel, new.attention.dense_output.dense.kernel
    )
    inner, outer = old.intermediate.dense, old.bert_output.dense
    np.testing.assert_array_equal(new.intermediate.dense.kernel, inner.kernel.numpy()[:, units[0]])
    np.testing.assert_array_equal(new.intermediate.dense.bias, inner.bias.numpy()[units[0]])
    np.testing.assert_array_equal(new.bert_output.dense.kernel, outer.kernel.numpy()[units[0]])
    np.testing.assert_array_equal(new.bert_output.dense.bias, outer.bias)


def test_equal_importance_keeps_the_first() -> None:
    found = choose_best(np.array([[2.0, 1.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0]]), 2)
    assert [units.tolist() for units in found] == [[0, 3], [0, 1]]


def test_only_as_many_examples_are_read(model: TextModel) -> None:
    for most, batch_size, expected in ((2, 2, 2), (3, 2, 4), (100, 2, 5), (1, 8, 5)):
        batches, examples = draw_batches(labelled(model), batch_size, 1, most)
        weights = sum(float(tf.reduce_sum(batch["weight"])) for batch in batches)
        # A batch that is not full may be among those drawn.
        assert examples == weights and expected - 1 <= weights <= expected


def test_a_head_for_each_token_is_pruned_too(model: TextModel) -> None:
    whole = presets.make_tiny(["O", "B-a"], TEXTS * 2, head=Head("token"))
    smaller = prune(whole, [0], [np.arange(10)])
    assert smaller.head.kind == "token" and logits(smaller).shape == logits(whole).shape


def test_a_head_without_output_is_removed_and_changes_nothing(model: TextModel) -> None:
    for layer, kernel in zip((1, 0), list_attention_outputs(model), strict=True):
        value = kernel.numpy()
        value[32 * layer : 32 * (layer + 1)] = 0.0
        kernel.assign(value)
    drawn, kernels = draw_batches(labelled(model), 2, 1, 100), list_attention_outputs(model)
    found = measure_importance(model, TaskLoss(Classify(NAMES)), drawn, kernels, 32)
    heads = choose_best(found, 1)
    assert [kept.tolist() for kept in heads] == [[0], [1]] and found[0, 1] == found[1, 0] == 0
    smaller = prune_heads(model, heads)
    assert smaller.config.num_attention_heads == 1 and smaller.config.head_width == 32
    np.testing.assert_allclose(logits(smaller), logits(model), atol=1e-5)
    # Stock TFBert computes the same with the zeros, and an export does without them.
    stock = smaller.stock_logits(smaller.tokenizer(TEXTS)).numpy()
    np.testing.assert_allclose(stock, logits(smaller), atol=1e-5)
    weights = smaller.weights_of_pass(tf.float32, merged=True)
    assert weights["layer0/projected/kernel"].shape == (64, 3 * 32)
    assert weights["layer1/attention_output/kernel"].shape == (32, 64)


def test_zeros_of_removed_heads_stay_in_training(model: TextModel) -> None:
    smaller = prune_heads(model, [np.array([1]), np.array([0])])
    batch = {**smaller.tokenizer(TEXTS), "label": tf.zeros([len(TEXTS)], tf.int32)}
    variables = [
        v for v in smaller.weights if "/self/" in v.name or "output/dense/kernel" in v.name
    ]
    with tf.GradientTape() as tape:
        loss = TaskLoss(Classify(NAMES))(smaller.logits, batch | {"weight": tf.ones([len(TEXTS)])})
    slopes = tape.gradient(loss, variables)
    for variable, slope in zip(variables, slopes, strict=True):
        if "/self/" in variable.name or "/attention/output/" in variable.name:
            axis = -1 if "/self/" in variable.name else 0
            for values in (variable, slope):
                assert not np.take(values.numpy(), range(32, 64), axis=axis).any(), variable.name
            assert np.any(slope.numpy()) or "key/bias" in variable.name


@pytest.mark.parametrize("method", ["lora", "dora", "prefix"])
def test_an_adapter_on_pruned_heads(model: TextModel, method: str) -> None:
    smaller = prune_heads(model, [np.array([1]), np.array([0])])
    adapted = smaller.with_adapter(method, AdapterSettings())
    for variable in adapted.trainable_variables:
        variable.assign_add(0.1 * tf.ones_like(variable))
    beside = adapted.logits(adapted.tokenizer(TEXTS)).numpy()
    assert np.abs(beside - logits(smaller)).max() > 1e-4
    if adapted.has_stock_graph:
        frozen = adapted.head.of_encoder(adapted.frozen_encoder(tf.float32))
        np.testing.assert_allclose(frozen(adapted.tokenizer(TEXTS)), beside, atol=1e-4)

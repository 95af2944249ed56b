"""AdamW by its formula, a rate for each layer, rows of an embedding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from transformers import AdamWeightDecay

from tfpipe.library_internals import create_slots
from tfpipe.model.presets import make_tiny
from tfpipe.model.text_model import TextModel
from tfpipe.training.adamw import LayerwiseAdamW
from tfpipe.training.optimizer import NO_DECAY, is_decayed, make_optimizer, rate_factors
from tfpipe.training.schedules import LinearWarmupDecay
from tfpipe.training.strategy import make_strategy

PREFIX = "tf_bert_for_sequence_classification/"
SETTINGS = {
    "weight_decay_rate": 0.1,
    "epsilon": 1e-6,
    "exclude_from_weight_decay": NO_DECAY,
}


def tiny() -> TextModel:
    return make_tiny(["a", "b"], ["some words", "and more"])


def updated(make: Callable[[], AdamWeightDecay], steps: int = 3) -> list[np.ndarray]:
    """Two variables, one without decay, after some steps of a compiled update."""
    random = np.random.default_rng(5)
    variables = [
        tf.Variable(random.normal(size=(6, 4)), dtype=tf.float32, name="layer/kernel"),
        tf.Variable(random.normal(size=4), dtype=tf.float32, name="layer/bias"),
    ]
    optimizer = make()
    create_slots(optimizer, variables)

    @tf.function
    def step(gradients: list[tf.Tensor]) -> None:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    for _ in range(steps):
        step([tf.constant(random.normal(size=v.shape), tf.float32) for v in variables])
    return [variable.numpy() for variable in variables]


def test_factors_of_one_are_stock_adamw() -> None:
    schedule = LinearWarmupDecay(1e-2, 2, 10)
    stock = updated(lambda: AdamWeightDecay(learning_rate=schedule, **SETTINGS))
    ours = updated(lambda: LayerwiseAdamW(lambda _: 1.0, learning_rate=schedule, **SETTINGS))
    for one, other in zip(stock, ours, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_factor_is_a_rate_of_its_own() -> None:
    halved = updated(
        lambda: LayerwiseAdamW(
            lambda name: 0.5 if "kernel" in name else 1.0,
            learning_rate=LinearWarmupDecay(1e-2, 2, 10),
            **SETTINGS,
        )
    )
    slow, fast = (
        updated(
            lambda r=rate: AdamWeightDecay(learning_rate=LinearWarmupDecay(r, 2, 10), **SETTINGS)
        )
        for rate in (5e-3, 1e-2)
    )
    # The factor is rounded once more where a decay is taken off.
    np.testing.assert_allclose(halved[0], slow[0], rtol=1e-6)
    np.testing.assert_array_equal(halved[1], fast[1])
    assert np.abs(slow[0] - fast[0]).max() > 1e-3


def test_the_formula() -> None:
    """Loshchilov and Hutter 2019, algorithm 2, with epsilon as in Kingma and Ba's section 2.1."""
    random = np.random.default_rng(5)
    weights = [random.normal(size=(6, 4)), random.normal(size=4)]
    moments = [[np.zeros_like(w), np.zeros_like(w)] for w in weights]
    schedule = LinearWarmupDecay(1e-2, 2, 10)
    for step in range(1, 4):
        for i, factor, decay in ((0, 0.3, 0.1), (1, 1.0, 0.0)):
            gradient, rate = (
                random.normal(size=weights[i].shape),
                factor * float(schedule(step - 1)),
            )
            m = moments[i][0] = 0.9 * moments[i][0] + 0.1 * gradient
            v = moments[i][1] = 0.999 * moments[i][1] + 0.001 * gradient**2
            corrected = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            weights[i] = weights[i] * (1 - rate * decay) - corrected * m / (np.sqrt(v) + 1e-6)
    found = updated(
        lambda: LayerwiseAdamW(
            lambda name: 0.3 if "kernel" in name else 1.0, learning_rate=schedule, **SETTINGS
        )
    )
    for one, other in zip(found, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_slices_get_the_factor_too() -> None:
    table = tf.Variable(np.ones((4, 2)), dtype=tf.float32, name="x/embeddings/table")
    tables = []
    for factor in (1.0, 0.25):
        copy = tf.Variable(table, name="x/embeddings/table")
        optimizer = LayerwiseAdamW(lambda _, f=factor: f, learning_rate=1e-2, weight_decay_rate=0.1)
        slices = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([2]), tf.constant([4, 2]))
        optimizer.apply_gradients([(slices, copy)])
        tables.append(1 - copy.numpy())
    assert (tables[0][2] > 0).all()
    np.testing.assert_allclose(tables[1], tables[0] / 4, rtol=1e-3)


def test_factors_of_layers() -> None:
    model = tiny()
    factor = rate_factors(model, 0.5, 3.0)
    expected = {
        "classifier/kernel": 3.0,
        "bert/pooler/dense/bias": 3.0,
        "bert/encoder/layer_._1/output/dense/kernel": 1.0,
        "bert/encoder/layer_._0/attention/self/query/kernel/replica_1": 0.5,
        "bert/embeddings/word_embeddings/weight": 0.25,
        "bert/embeddings/LayerNorm/gamma": 0.25,
    }
    assert {name: factor(f"{PREFIX}{name}:0") for name in expected} == expected
    # Every weight of a real model is in one of the groups.
    assert {factor(weight.name) for weight in model.weights} == {3.0, 1.0, 0.5, 0.25}
    assert model.depth_of("x/bert/encoder/layer_._10/output/dense/bias:0") == 11


@pytest.mark.parametrize("strategy_name", ["one_device", "mirrored"])
def test_layers_move_by_their_rates(strategy_name: str) -> None:
    strategy, _ = make_strategy(strategy_name, 0)
    schedule = LinearWarmupDecay(1e-3, 1, 10)
    with strategy.scope():
        model = tiny()
        bert = model.bert
        optimizer = make_optimizer(schedule, 0.0, model, layer_decay=0.5, head_rate=4e-3)
    before = {weight.name: weight.numpy() for weight in bert.weights}

    @tf.function
    def step() -> None:
        def replica() -> None:
            pairs = [(tf.ones(v.shape), v) for v in bert.trainable_variables]
            optimizer.apply_gradients(pairs, experimental_aggregate_gradients=False)

        strategy.run(replica)

    step()
    # The first step of Adam moves each weight by its rate, whatever the gradient's size.
    for weight in bert.weights:
        moved = before[weight.name] - weight.numpy()
        name = weight.name
        rate = 4e-3 if "/pooler/" in name or "classifier/" in name else 1e-3
        rate *= 0.5 if "layer_._0" in name else 0.25 if "/embeddings/" in name else 1.0
        np.testing.assert_allclose(moved, rate, rtol=1e-2)


def test_no_decay_on_biases_and_norms() -> None:
    model = tiny()
    bert = model.bert
    optimizer = make_optimizer(LinearWarmupDecay(1e-3, 1, 10), 0.1, model)
    decayed = [v.name for v in bert.weights if optimizer._do_use_weight_decay(v.name)]
    assert decayed and all("kernel" in name or "embeddings" in name for name in decayed)
    assert not any("bias" in name or "LayerNorm" in name for name in decayed)
    assert decayed == [v.name for v in bert.weights if is_decayed(v.name)]


def test_slices_move_rows_as_the_dense_kernel_does_and_leave_unseen_rows_alone() -> None:
    random = np.random.default_rng(1)
    start = random.normal(size=(40, 6)).astype(np.float32)
    # Every row but the last ten is in the first batch; in the others rows come twice, or not.
    chosen = [np.arange(30), *(random.integers(0, 30, 30) for _ in range(12))]
    values = [random.normal(size=(30, 6)).astype(np.float32) for _ in chosen]
    settings = {**SETTINGS, "learning_rate": 0.01}
    tables = []
    for dense in (True, False):
        table = tf.Variable(start, name="embeddings/weight")
        optimizer = LayerwiseAdamW(lambda _: 1.0, **settings)

        @tf.function
        def step(rows, slices, table=table, optimizer=optimizer, dense=dense):
            gradient = tf.IndexedSlices(slices, rows, tf.constant([40, 6]))
            gradient = tf.convert_to_tensor(gradient) if dense else gradient
            optimizer.apply_gradients([(gradient, table)])

        create_slots(optimizer, [table])
        for rows, slices in zip(chosen, values, strict=True):
            step(tf.constant(rows), tf.constant(slices))
        tables.append(table.numpy())
    np.testing.assert_allclose(tables[1][:30], tables[0][:30], atol=1e-6)
    np.testing.assert_array_equal(tables[1][30:], start[30:])
    assert np.abs(tables[0] - start)[:30].max() > 0.05


@pytest.mark.parametrize("dense", [True, False])
def test_moments_of_used_rows_alone_make_the_same_steps(dense: bool) -> None:
    random = np.random.default_rng(1)
    start = random.normal(size=(40, 6)).astype(np.float32)
    used = np.array([3, 4, 9, 20, 39], np.int32)
    batches = [(random.choice(used, 7), random.normal(size=(7, 6))) for _ in range(5)]
    tables = []
    for kept in (None, used):
        table = tf.Variable(start, name="embeddings/word_embeddings/weight")
        optimizer = LayerwiseAdamW(lambda _: 1.0, kept, **SETTINGS, learning_rate=0.01)
        create_slots(optimizer, [table])
        for rows, slices in batches:
            gradient = tf.IndexedSlices(
                tf.constant(slices, tf.float32), tf.constant(rows), tf.constant([40, 6])
            )
            as_tensor = dense and kept is not None
            gradient = tf.convert_to_tensor(gradient) if as_tensor else gradient
            optimizer.apply_gradients([(gradient, table)])
        tables.append(table.numpy())
    assert optimizer.get_slot(table, "m").shape == [5, 6]
    assert (tables[0] != start).any(1).nonzero()[0].tolist() == sorted(
        {int(row) for rows, _ in batches for row in rows}
    )
    if dense:
        # A row of zeros is a row that some batch has used.
        first = np.array(sorted({int(row) for row in batches[0][0]}))
        tables = [table[first] for table in tables]
    np.testing.assert_allclose(tables[1], tables[0], atol=1e-6)

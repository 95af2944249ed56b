"""The fast graph equals stock TFBert: outputs, gradients, masks, dropout."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from transformers import BertConfig, TFBertForSequenceClassification

from tfpipe.model.encoder import Encoder, UnsupportedBert
from tfpipe.model.operations import drop

TINY = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 24,
}
# As MiniLM, with a small vocabulary.
SIX_LAYERS = {
    "vocab_size": 300,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 64,
    "layer_norm_eps": 1e-12,
}


def build(settings: dict, dropout: float = 0.0, identity_pooler: bool = False, **more: object):
    """A stock TFBert with random weights that leave no term silent."""
    tf_keras.utils.set_random_seed(3)
    config = BertConfig(
        **settings,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=5,
        **more,
    )
    bert = TFBertForSequenceClassification(config)
    bert(bert.dummy_inputs)
    random = np.random.default_rng(4)
    for weight in bert.weights:
        if weight.shape.rank == 1:
            # Fresh biases are 0 and fresh gammas 1: a term left out would not be seen.
            weight.assign_add(random.normal(0, 0.1, weight.shape).astype(np.float32))
        else:
            weight.assign(weight * 2)
    if identity_pooler:
        kernel = bert.bert.pooler.dense.kernel
        kernel.assign(np.eye(kernel.shape[0], dtype=np.float32))
    return bert


def make_batch(settings: dict, lengths: list[int], width: int | None = None) -> dict:
    """Random ids of these lengths, two token types, padding behind."""
    random = np.random.default_rng(5)
    width = width or max(lengths)
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int32)
    ids = random.integers(1, settings["vocab_size"], mask.shape) * mask
    types = random.integers(0, 2, mask.shape) * mask
    return {
        "input_ids": tf.constant(ids, tf.int32),
        "token_type_ids": tf.constant(types, tf.int32),
        "attention_mask": tf.constant(mask),
    }


def stock_logits(bert: TFBertForSequenceClassification, batch: dict, training: bool = False):
    return bert(**batch, training=training).logits


def value_and_gradients(bert, forward):
    """Logits, and the gradient of a loss that weighs every logit differently."""
    with tf.GradientTape() as tape:
        logits = forward()
        weights = tf.reshape(tf.range(tf.size(logits), dtype=tf.float32), tf.shape(logits))
        loss = tf.reduce_sum(tf.sin(weights) * logits) / tf.cast(tf.shape(logits)[0], tf.float32)
    gradients = tape.gradient(loss, bert.trainable_variables)
    return logits, [tf.convert_to_tensor(gradient) for gradient in gradients]


def compile_encoder(bert, encoder):
    """`value_and_gradients` of the encoder as a graph, for batches of any shape."""
    spec = dict.fromkeys(make_batch(TINY, [1]), tf.TensorSpec([None, None], tf.int32))
    compute = lambda batch: value_and_gradients(bert, lambda: encoder.logits(batch))  # noqa: E731
    return tf.function(compute, input_signature=[spec], autograph=False)


def check_equal(bert, batch, found, gradients):
    """They are those of stock TFBert."""
    expected, slopes = value_and_gradients(bert, lambda: stock_logits(bert, batch))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(gradients) == len(slopes) == len(bert.trainable_variables)
    for variable, slope, gradient in zip(bert.trainable_variables, slopes, gradients, strict=True):
        np.testing.assert_allclose(gradient, slope, atol=1e-5, err_msg=variable.name)


BATCHES = {
    "padded": ([3, 9, 1, 14], None),
    "one": ([7], None),
    "length 1": ([1, 1, 1], None),
    "wide padding": ([2, 5], 20),
    "longest": ([24, 24, 11], None),
}


@pytest.fixture(scope="module", params=[False, True], ids=["padded", "packed"])
def tiny(request: pytest.FixtureRequest):
    """A model, its encoder, and what the encoder compiles to."""
    bert = build(TINY)
    encoder = Encoder(bert, packed=request.param, head=bert.classifier)
    return bert, encoder, compile_encoder(bert, encoder)


@pytest.mark.parametrize("lengths", BATCHES)
def test_equal_to_stock_forward_and_backward(lengths: str, tiny) -> None:
    bert, encoder, compiled = tiny
    batch = make_batch(TINY, *BATCHES[lengths])
    check_equal(bert, batch, *compiled(batch))
    # Of a known shape, too.
    check_equal(bert, batch, *value_and_gradients(bert, lambda: encoder.logits(batch)))


@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
def test_six_layers_equal_stock(packed: bool) -> None:
    bert = build(SIX_LAYERS, identity_pooler=True)
    batch = make_batch(SIX_LAYERS, [17, 5, 40])
    encoder = Encoder(bert, packed=packed, head=bert.classifier)
    check_equal(bert, batch, *compile_encoder(bert, encoder)(batch))


def test_tokens_and_pooled_equal_the_bare_model() -> None:
    bert = build(TINY)
    batch = make_batch(TINY, [6, 2, 9])
    expected = bert.bert(**batch)
    mask = tf.cast(batch["attention_mask"], tf.float32)[..., tf.newaxis]
    for packed in (False, True):
        encoder = Encoder(bert, packed=packed, head=bert.classifier)
        found = encoder.tokens(batch)
        np.testing.assert_allclose(found * mask, expected.last_hidden_state * mask, atol=1e-5)
        np.testing.assert_allclose(encoder.pooled(batch), expected.pooler_output, atol=1e-5)


def test_holes_and_empty_rows_in_the_mask() -> None:
    bert = build(TINY)
    batch = make_batch(TINY, [6, 6, 6])
    mask = [[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0]]
    batch["attention_mask"] = tf.constant(mask, tf.int32)
    expected = stock_logits(bert, batch)
    np.testing.assert_allclose(
        Encoder(bert, head=bert.classifier).logits(batch), expected, atol=1e-5
    )
    packed = Encoder(bert, packed=True, head=bert.classifier).logits(batch)
    # A row without any token has no answer; stock takes the mean over its padding.
    np.testing.assert_allclose(packed[:2], expected[:2], atol=1e-5)


@pytest.mark.parametrize("name", ["gelu_new", "relu", "silu", "tanh"])
def test_activations_equal_stock(name: str) -> None:
    bert = build(TINY, hidden_act=name)
    batch = make_batch(TINY, [6, 2, 9])
    np.testing.assert_allclose(
        Encoder(bert, head=bert.classifier).logits(batch), stock_logits(bert, batch), atol=1e-5
    )


@pytest.mark.parametrize(
    "settings, named",
    [({"hidden_act": "mish"}, "mish"), ({"is_decoder": True}, "decoder")],
)
def test_what_it_does_not_compute_is_refused(settings: dict, named: str) -> None:
    with pytest.raises(UnsupportedBert, match=named):
        Encoder(build(TINY, **settings))


def test_relative_positions_are_refused() -> None:
    bert = build(TINY)
    bert.config.position_embedding_type = "relative_key"
    with pytest.raises(UnsupportedBert, match="relative_key"):
        Encoder(bert, head=bert.classifier)


@pytest.mark.parametrize("dtype, bound", [("bfloat16", 0.02), ("float16", 0.005)])
def test_narrow_products_stay_close(dtype: str, bound: float) -> None:
    bert = build(SIX_LAYERS)
    batch = make_batch(SIX_LAYERS, [17, 5, 9])
    encoder = Encoder(bert, dtype, head=bert.classifier)
    expected, slopes = value_and_gradients(bert, lambda: stock_logits(bert, batch))
    found, gradients = compile_encoder(bert, encoder)(batch)
    assert found.dtype == tf.float32
    scale = np.abs(expected).max()
    assert 0 < np.abs(found - expected).max() < bound * scale
    norm = tf.linalg.global_norm(slopes)
    errors = [found - slope for found, slope in zip(gradients, slopes, strict=True)]
    assert tf.linalg.global_norm(errors) < 2 * bound * norm


def test_dropout_keeps_the_rate_and_the_mean() -> None:
    x = tf.ones([300, 401])
    dropped = drop(x, 0.1, tf.constant([1, 2])).numpy()
    # 120,300 draws: five standard deviations of the share are 0.0043.
    assert abs((dropped == 0).mean() - 0.1) < 0.0043
    assert abs(dropped.mean() - 1) < 0.006
    assert len(np.unique(dropped)) == 2
    again, other = (drop(x, 0.1, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 3]))
    assert (again == dropped).all() and (other != dropped).any()
    # Odd and even places share a random word; they must not share their fate.
    even, odd = dropped[:, :400:2] == 0, dropped[:, 1:400:2] == 0
    assert abs((even & odd).mean() - 0.01) < 0.002


def count_up() -> Callable[[], tf.Tensor]:
    counter = itertools.count()
    return lambda: tf.constant([3, next(counter)])


def test_dropout_in_training_alone_and_by_seed() -> None:
    bert = build(TINY, dropout=0.1)
    encoder = Encoder(bert, head=bert.classifier)
    batch = make_batch(TINY, [6, 2, 9])
    calm = encoder.logits(batch)
    np.testing.assert_allclose(calm, stock_logits(bert, batch), atol=1e-5)
    one, two = (encoder.logits(batch, training=True, seeds=count_up()) for _ in range(2))
    assert (one.numpy() == two.numpy()).all() and np.abs(one - calm).max() > 1e-3
    free = encoder.logits(batch, training=True)
    assert np.abs(free - encoder.logits(batch, training=True)).max() > 1e-3


def test_dropout_scatters_the_logits_as_stock_does() -> None:
    bert = build(TINY, dropout=0.1)
    encoder = Encoder(bert, head=bert.classifier)
    batch = make_batch(TINY, [7] * 500)
    batch = {name: tf.repeat(value[:1], 500, axis=0) for name, value in batch.items()}
    expected = np.array(stock_logits(bert, batch, training=True))
    found = np.array(encoder.logits(batch, training=True))
    # Standard errors at 500 rows: 4.5 % of a deviation for the mean, 3.2 % for the deviation.
    deviation = expected.std(axis=0)
    assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) < 0.3 * deviation).all()
    np.testing.assert_allclose(found.std(axis=0), deviation, rtol=0.25)


def test_replicas_see_their_own_variables() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        bert = build(TINY)
        encoder = Encoder(bert, head=bert.classifier)
    batch = make_batch(TINY, [6, 2, 9])

    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(encoder.logits(batch) ** 2)
        kernel = bert.bert.encoder.layer[0].attention.self_attention.query.kernel
        return loss, tape.gradient(loss, kernel)

    losses, slopes = tf.function(lambda: strategy.run(gradient))()
    expected, slope = gradient()
    for found in strategy.experimental_local_results(losses):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    for found in strategy.experimental_local_results(slopes):
        np.testing.assert_allclose(found, slope, atol=1e-5)

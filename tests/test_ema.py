"""Frozen layers stay, dropout is as set, averages are averages and come back from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfpipe.config import TrainConfig
from tfpipe.errors import UserError
from tfpipe.model.presets import make_tiny
from tfpipe.training.ema import ExponentialMovingAverage
from tfpipe.training.strategy import make_strategy
from tfpipe.training_run import configure_layers


def prepared(**values: object):
    model = make_tiny(["a", "b"], ["some words", "and more"])
    configure_layers(model, TrainConfig(**values))  # type: ignore[arg-type]
    return model.bert


def test_freezing() -> None:
    bert = prepared()
    assert len(bert.trainable_variables) == len(bert.weights)
    learning = [v.name for v in prepared(freeze_layers=1).trainable_variables]
    assert learning and not any("embeddings" in n or "layer_._0" in n for n in learning)
    assert any("layer_._1" in name for name in learning)
    learning = [v.name for v in prepared(freeze_embeddings=True).trainable_variables]
    assert any("layer_._0" in n for n in learning) and not any("embeddings" in n for n in learning)
    heads = [v.name for v in prepared(freeze_layers=2).trainable_variables]
    assert len(heads) == 4 and all("pooler" in n or "classifier" in n for n in heads)
    with pytest.raises(UserError, match="--freeze-layers 3, the model has 2"):
        prepared(freeze_layers=3)


def test_dropout() -> None:
    bert = prepared(hidden_dropout=0.3, attention_dropout=0.0)
    rates = [m.rate for m in bert.submodules if isinstance(m, tf_keras.layers.Dropout)]
    # Embeddings, two a layer, the head; one in each layer's attention.
    assert sorted(rates) == [0.0] * 2 + [0.3] * 6
    assert all(
        layer.attention.self_attention.dropout.rate == 0 for layer in bert.bert.encoder.layer
    )
    assert bert.config.hidden_dropout_prob == bert.config.classifier_dropout == 0.3
    assert bert.config.attention_probs_dropout_prob == 0.0
    before = {m.rate for m in prepared().submodules if isinstance(m, tf_keras.layers.Dropout)}
    assert before == {0.1}
    ids = tf.constant([[2, 5, 6, 3]])
    still = prepared(hidden_dropout=0.0, attention_dropout=0.0)
    np.testing.assert_array_equal(still(ids, training=True)[0], still(ids, training=True)[0])
    assert np.abs(bert(ids, training=True)[0] - bert(ids, training=True)[0]).max() > 0


@pytest.mark.parametrize("name", ["one_device", "mirrored"])
def test_averages(name: str, tmp_path: Path) -> None:
    strategy, _ = make_strategy(name, 0)
    with strategy.scope():
        variable = tf.Variable([1.0, -2.0])
        average = ExponentialMovingAverage([variable], decay=0.5)
    expected = np.array([1.0, -2.0])

    update = tf.function(average.update)

    for updates in range(12):
        variable.assign_add([1.0, 3.0])
        decay = min(0.5, (1 + updates) / (10 + updates))
        expected = decay * expected + (1 - decay) * variable.numpy()
        update()
    np.testing.assert_allclose(average.averages[0].numpy(), expected, rtol=1e-5)
    assert int(average.updates.numpy()) == 12

    # In place of the weights for a look, and back to the bit.
    weights, averaged = variable.numpy().copy(), average.averages[0].numpy().copy()
    with pytest.raises(ValueError, match="a look"), average.in_place():
        np.testing.assert_array_equal(variable.numpy(), averaged)
        for part in strategy.experimental_local_results(variable):
            np.testing.assert_array_equal(part.numpy(), averaged)
        raise ValueError("a look that went wrong")
    np.testing.assert_array_equal(variable.numpy(), weights)
    np.testing.assert_array_equal(average.averages[0].numpy(), averaged)

    # Through a checkpoint.
    path = tf.train.Checkpoint(average=average).save(str(tmp_path / "state"))
    with strategy.scope():
        other = ExponentialMovingAverage([tf.Variable([0.0, 0.0])], decay=0.5)
    tf.train.Checkpoint(average=other).restore(path).assert_consumed()
    np.testing.assert_array_equal(other.averages[0].numpy(), averaged)
    assert int(other.updates.numpy()) == 12

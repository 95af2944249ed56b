"""One step means the same on one replica, on two, and in parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.tiny import write_messages
from tfpipe.data.batches import compile_for, plan_training, read_batches
from tfpipe.data.encode import encode
from tfpipe.data.read import Columns, read_examples
from tfpipe.model.sources import make_tiny
from tfpipe.tasks.classify import Classify
from tfpipe.training.defaults import default_epochs, default_rate
from tfpipe.training.optimizer import LinearWarmupDecay, make_optimizer
from tfpipe.training.step import make_train_step
from tfpipe.training.strategy import make_strategy

STEPS = 20


def train_steps(folder: Path, strategy_name: str, parts: int, weight: float = 3.0) -> np.ndarray:
    """All weights, in one row, after 20 steps without dropout; the first label weighs more."""
    examples = read_examples(write_messages(folder / "messages.tsv", rows=150), Columns())
    task = Classify.from_labels(examples.labels or [])
    gold = task.gold(examples)
    weights = np.where(gold == 0, weight, 1.0)
    strategy, _ = make_strategy(strategy_name, 0)
    tf_keras.utils.set_random_seed(7)
    with strategy.scope():
        model = make_tiny(task.label_names, examples.texts, dropout=0.0)
        optimizer = make_optimizer(LinearWarmupDecay(1e-4, 2, STEPS), 0.01, model.bert)
    encoded = encode(examples, model.tokenizer, 16)
    # 150 rows in batches of 15: no batch divides evenly over 2 replicas or 4 parts.
    plans = [
        plan_training(encoded.lengths, 15, strategy.num_replicas_in_sync, parts, (1, epoch))
        for epoch in range(2)
    ]
    step = make_train_step(strategy, model, task, optimizer, clip_norm=1.0, parts=parts)
    compiled = None
    for plan in plans:
        batches = read_batches(encoded, plan, strategy, gold, weights)
        compiled = compiled or compile_for(batches, step)
        for batch in batches:
            results = compiled(batch)
            assert np.isfinite(results["loss"]) and results["gradient_norm"] > 0
    assert int(optimizer.iterations.numpy()) == STEPS
    # A bias on the keys shifts all scores of a query alike: its gradient is zero but for rounding,
    # and Adam would blow the rounding up.
    kept = [weight for weight in model.bert.weights if "key/bias" not in weight.name]
    return np.concatenate([weight.numpy().ravel() for weight in kept])


def test_replicas_and_parts_give_equal_weights(tmp_path: Path) -> None:
    one = train_steps(tmp_path, "one_device", 1)
    two = train_steps(tmp_path, "mirrored", 1)
    parts = train_steps(tmp_path, "one_device", 4)
    np.testing.assert_allclose(two, one, atol=1e-5)
    np.testing.assert_allclose(parts, one, atol=1e-5)
    unweighted = train_steps(tmp_path, "one_device", 1, weight=1.0)
    assert np.abs(unweighted - one).max() > 1e-4


def test_rate_rises_and_falls() -> None:
    schedule = LinearWarmupDecay(1.0, warmup=4, steps=20)
    rates = [float(schedule(tf.constant(step))) for step in range(21)]
    assert rates[0] == pytest.approx(0.25) and max(rates) == pytest.approx(1.0)
    assert rates[3] == pytest.approx(1.0) and rates[12] == pytest.approx(0.5) and rates[20] == 0
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_default_rate_falls_with_width() -> None:
    assert default_rate(768) == pytest.approx(5e-5)
    assert default_rate(1024) < default_rate(768) < default_rate(384) < default_rate(64) <= 3e-3


def test_small_files_get_more_epochs() -> None:
    assert [default_epochs(steps) for steps in (1, 59, 100, 5000)] == [10, 7, 4, 4]


def test_no_decay_on_biases_and_norms() -> None:
    model = make_tiny(["a", "b"], ["some words", "and more"])
    optimizer = make_optimizer(LinearWarmupDecay(1e-3, 1, 10), 0.1, model.bert)
    decayed = [v.name for v in model.bert.weights if optimizer._do_use_weight_decay(v.name)]
    assert decayed and all("kernel" in name or "embeddings" in name for name in decayed)
    assert not any("bias" in name or "LayerNorm" in name for name in decayed)

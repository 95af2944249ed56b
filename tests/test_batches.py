"""Batches of like length: nothing lost, nothing twice, the same for one replica and for two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.data.batches import Plan, plan_reading, plan_training, read_batches
from tfpipe.data.encoded import Encoded
from tfpipe.data.replicas import compile_for

Batch = dict[str, np.ndarray]
PAD = 7


def random_lengths(rows: int, seed: int = 0) -> np.ndarray:
    """Long-tailed, as texts are."""
    random = np.random.default_rng(seed)
    return np.minimum(3 + random.exponential(20, rows).astype(np.int64), 128)


def encoded_of(lengths: np.ndarray) -> Encoded:
    """Row i holds 100 * i + 1, 100 * i + 2, ...; its second half is of type 1."""
    ids = np.concatenate([100 * i + 1 + np.arange(n) for i, n in enumerate(lengths)])
    types = np.concatenate([np.arange(n) >= n // 2 for n in lengths])
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    full = lengths.astype(np.int32)
    return Encoded(ids.astype(np.int32), types.astype(np.int32), splits, full, PAD)


@pytest.fixture(params=["one", "two"])
def strategy(request: pytest.FixtureRequest) -> tf.distribute.Strategy:
    if request.param == "one":
        return tf.distribute.OneDeviceStrategy("CPU:0")
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def read(strategy: tf.distribute.Strategy, batches: Any) -> Iterator[list[Batch]]:
    """Every step's batches, one of each replica, as arrays."""
    for batch in batches:
        local = {name: strategy.experimental_local_results(v) for name, v in batch.items()}
        replicas = range(strategy.num_replicas_in_sync)
        yield [{name: values[r].numpy() for name, values in local.items()} for r in replicas]


# ---- plans ----------------------------------------------------------------------------------


def assert_whole(plan: Plan, lengths: np.ndarray, batch_size: int) -> None:
    assert sorted(plan.rows[plan.rows >= 0]) == list(range(len(lengths)))
    assert len(plan) == -(-len(lengths) // batch_size)
    for step in range(len(plan)):
        rows = plan.rows[step][plan.rows[step] >= 0]
        assert 1 <= plan.examples(step) == len(rows) <= batch_size
        assert plan.widths[step] == lengths[rows].max()
        assert plan.tokens(step) == lengths[rows].sum()
        assert plan.places(step) == plan.widths[step] * plan.rows[step].size
        # A batch that is not full is shared out: no replica has two rows more than another.
        shares = (plan.rows[step] >= 0).sum(axis=1)
        assert shares.max() - shares.min() <= 1


@pytest.mark.parametrize("rows", [1, 2, 7, 32, 33, 500])
@pytest.mark.parametrize("batch_size", [1, 8, 32])
@pytest.mark.parametrize("replicas", [1, 2, 3])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_an_epoch_holds_every_row_once(
    rows: int, batch_size: int, replicas: int, parts: int
) -> None:
    lengths = random_lengths(rows)
    plan = plan_training(lengths, batch_size, replicas, parts, (1, 0))
    assert_whole(plan, lengths, batch_size)
    assert plan.rows.shape[1] == replicas
    assert plan.rows.shape[2] % parts == 0
    # Room is made for the largest batch and for no more than sharing it out needs.
    largest = min(rows, batch_size)
    assert largest <= plan.rows[0].size < largest + replicas * parts
    assert_whole(plan_reading(lengths, batch_size, replicas), lengths, batch_size)


def test_equal_seeds_give_equal_plans_and_epochs_differ() -> None:
    lengths = random_lengths(3000)
    plans = [plan_training(lengths, 16, 2, 1, seed) for seed in ((1, 0), (1, 0), (1, 1), (2, 0))]
    np.testing.assert_array_equal(plans[0].rows, plans[1].rows)
    np.testing.assert_array_equal(plans[0].widths, plans[1].widths)
    for other in plans[2:]:
        batches = {frozenset(rows.ravel()) for rows in plans[0].rows}
        assert not batches & {frozenset(rows.ravel()) for rows in other.rows}


def test_replicas_and_parts_do_not_change_who_meets_whom() -> None:
    lengths = random_lengths(500)
    plans = [plan_training(lengths, 16, r, p, (1, 0)) for r, p in ((1, 1), (2, 1), (3, 4))]
    batches = [[sorted(rows[rows >= 0]) for rows in plan.rows] for plan in plans]
    assert batches[0] == batches[1] == batches[2]


def test_padding_nearly_vanishes_and_the_order_stays_random() -> None:
    lengths = random_lengths(8000)
    plan = plan_training(lengths, 32, 1, 1, (1, 0))

    def padding(widths: np.ndarray) -> float:
        return 1 - lengths.sum() / (widths.sum() * 32)

    order = np.random.default_rng(0).permutation(8000).reshape(-1, 32)
    assert padding(plan.widths) < 0.1 * padding(lengths[order].max(axis=1))
    # The widths of neighbouring steps have nothing to do with each other.
    assert abs(np.corrcoef(plan.widths[:-1], plan.widths[1:])[0, 1]) < 0.25


def test_reading_begins_with_the_longest() -> None:
    plan = plan_reading(random_lengths(300), 32, 2)
    assert list(plan.widths) == sorted(plan.widths, reverse=True)


# ---- batches --------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3, 21, 64])
def test_batches_hold_what_the_plan_says(strategy: tf.distribute.Strategy, rows: int) -> None:
    lengths = random_lengths(rows)
    encoded = encoded_of(lengths)
    gold = np.arange(rows, dtype=np.int32) % 7
    weights = np.linspace(0.5, 2, rows)
    plan = plan_training(lengths, 8, strategy.num_replicas_in_sync, 2, (1, 0))
    steps = list(read(strategy, read_batches(encoded, plan, strategy, {"label": gold}, weights)))
    assert len(steps) == len(plan)
    for step, replicas in enumerate(steps):
        for planned, batch in zip(plan.rows[step], replicas, strict=True):
            assert batch["input_ids"].shape == (len(planned), plan.widths[step])
            assert {v.dtype.name for v in batch.values()} == {"int32", "float32"}
            for place, row in enumerate(planned):
                if row < 0:
                    assert batch["weight"][place] == 0
                    assert batch["attention_mask"][place].any()
                    continue
                start, end = encoded.splits[row : row + 2]
                missing = plan.widths[step] - (end - start)
                for name, values, pad in (
                    ("input_ids", encoded.ids[start:end], PAD),
                    ("token_type_ids", encoded.token_types[start:end], 0),
                    ("attention_mask", np.ones(end - start, np.int32), 0),
                ):
                    expected = np.append(values, np.full(missing, pad))
                    np.testing.assert_array_equal(batch[name][place], expected)
                assert batch["label"][place] == gold[row]
                assert batch["weight"][place] == np.float32(weights[row])


def test_weights_of_an_epoch_add_up(strategy: tf.distribute.Strategy) -> None:
    lengths = random_lengths(45)
    plan = plan_training(lengths, 8, strategy.num_replicas_in_sync, 4, (1, 0))
    steps = read(strategy, read_batches(encoded_of(lengths), plan, strategy))
    assert sum(batch["weight"].sum() for replicas in steps for batch in replicas) == 45


@pytest.mark.parametrize("first", [0, 1, 5, 8])
def test_a_resumed_epoch_is_the_tail_of_the_whole(
    strategy: tf.distribute.Strategy, first: int
) -> None:
    lengths = random_lengths(64)
    encoded = encoded_of(lengths)
    plan = plan_training(lengths, 8, strategy.num_replicas_in_sync, 1, (1, 2))
    whole = list(read(strategy, read_batches(encoded, plan, strategy)))
    tail = list(read(strategy, read_batches(encoded, plan, strategy, first=first)))
    assert len(tail) == len(plan) - first
    for expected, found in zip(whole[first:], tail, strict=True):
        for one, other in zip(expected, found, strict=True):
            for name, values in one.items():
                np.testing.assert_array_equal(values, other[name])


def test_reading_restores_the_order_of_the_rows(strategy: tf.distribute.Strategy) -> None:
    lengths = random_lengths(50)
    encoded = encoded_of(lengths)
    plan = plan_reading(lengths, 8, strategy.num_replicas_in_sync)
    firsts = np.zeros(50, np.int64)
    batches = read(strategy, read_batches(encoded, plan, strategy))
    for rows_of_replicas, replicas in zip(plan.rows, batches, strict=True):
        for rows, batch in zip(rows_of_replicas, replicas, strict=True):
            firsts[rows[rows >= 0]] = batch["input_ids"][rows >= 0, 0]
    np.testing.assert_array_equal(firsts, 100 * np.arange(50) + 1)


def test_one_graph_serves_batches_of_every_width(strategy: tf.distribute.Strategy) -> None:
    lengths = random_lengths(64)
    plan = plan_reading(lengths, 8, strategy.num_replicas_in_sync)
    traces = []

    def count(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        traces.append(1)
        sums = strategy.run(lambda part: tf.reduce_sum(part["attention_mask"]), args=(batch,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    total = 0
    batches = read_batches(encoded_of(lengths), plan, strategy)
    compiled: Any = compile_for(batches, count)
    for batch in batches:
        total += int(compiled(batch))
    assert len(set(plan.widths)) > 3
    assert total == lengths.sum()
    assert compiled.experimental_get_tracing_count() == 1

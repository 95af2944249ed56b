"""Batches: concatenated, padded, run, and split without a visible effect."""

from __future__ import annotations

import time

import grpc
import numpy as np
import pytest

from serving.server import metrics
from serving.server.request import RequestContext
from tests.blocking_batcher import PATIENCE, STRING, block_batches, refusal, rows


@pytest.fixture
def start():
    with block_batches() as start:
        yield start


def test_only_requests_of_one_kind_share_a_batch(start):
    clients = start()
    clients.occupy()
    both = clients.send([1.0], ["double", "text"])
    turned = clients.send([2.0], ["text", "double"])
    wide = clients.send([[1.0, 2.0]])
    wider = clients.send([[1.0, 2.0, 3.0]])
    integer = clients.send([3])
    single = clients.send(np.array([4], np.float32))
    clients.model.go.set()
    assert (rows(both, 0), rows(both, 1)) == ([2], [b"2"])
    assert (rows(turned, 0), rows(turned, 1)) == ([b"2"], [4])
    assert rows(wide) == [[2, 4]] and rows(wider) == [[2, 4, 6]]
    assert rows(integer) == [6] and rows(single) == [8]
    assert single.result()[0][1].dtype == np.float32
    assert clients.model.sizes == [1, 2, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "feeds, text",
    [
        (
            {"x": np.zeros(5)},
            "Task size 5 is larger than maximum input batch size 4",
        ),
        (
            {"x": np.float32(1)},
            "Batching Run() input tensors must have at least one dimension",
        ),
        (
            {"x": np.zeros(2), "y": np.zeros((3, 2))},
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
    ],
)
def test_what_cannot_be_batched_is_refused(start, feeds, text):
    clients = start(max_batch_size=4)
    future = clients.pool.submit(clients.batcher.run, feeds, ["double"], RequestContext())
    assert refusal(future) == (grpc.StatusCode.INVALID_ARGUMENT, text)
    assert not clients.model.sizes


def test_what_has_no_rows_runs_by_itself(start):
    clients = start()
    clients.model.go.set()
    assert clients.batcher.run({}, ["bytes"], RequestContext()) == [(STRING, b"one")]
    assert clients.batcher.run({"x": np.zeros((0, 3))}, ["double"], RequestContext())[0][
        1
    ].shape == (0, 3)


def test_a_large_request_is_split_and_joined(start):
    clients = start(
        max_batch_size=10,
        enable_large_batch_splitting=True,
        max_execution_batch_size=3,
        max_enqueued_batches=3,
    )
    clients.occupy()
    first = clients.send([1.0], ["double", "text"])
    large = clients.send(np.arange(7.0), ["text", "double"])
    assert refusal(clients.send([1.0, 1.0], ["double", "text"])) == (
        grpc.StatusCode.UNAVAILABLE,
        "The batch scheduling queue to which this task was submitted is full; task size is 2 but "
        "scheduling capacity is only 1 (num_enqueued_batches=3, max_enqueued_batches=3, "
        "open_batch_size=2, max_execution_batch_size=3)",
    )
    clients.model.go.set()
    assert rows(first) == [2]
    assert rows(large, 1) == (np.arange(7.0) * 2).tolist()
    assert rows(large, 0) == [b"3"] * 5 + [b"2"] * 2
    assert max(clients.model.sizes) == 3
    assert refusal(clients.send(np.zeros(11))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Task size 11 is larger than maximum input batch size 10",
    )


def test_one_parts_error_is_the_requests_error(start):
    clients = start(enable_large_batch_splitting=True, max_execution_batch_size=2)
    clients.occupy()
    bad = clients.send([1.0, 1.0, -3.0, 1.0, 1.0])
    good = clients.send([4.0])
    clients.model.go.set()
    assert refusal(bad) == (grpc.StatusCode.INVALID_ARGUMENT, "negative: -3")
    assert rows(good) == [8]


def test_batches_are_padded_up_to_an_allowed_size(start):
    clients = start(max_batch_size=8, allowed_batch_sizes=(1, 4, 8))
    clients.occupy()
    two, last = clients.send([1.0, 2.0]), clients.send([3.0])
    clients.model.go.set()
    assert rows(two) == [2, 4] and rows(last) == [6]
    assert clients.model.feeds[1].tolist() == [1, 2, 3, 3]
    assert rows(clients.send([5.0, 6.0])) == [10, 12]
    assert clients.model.feeds[2].tolist() == [5, 6, 5, 5]


def test_a_bad_request_does_not_fail_its_mates(start):
    clients = start()
    clients.occupy()
    values = [1, -2, 3, 4, 5, -6, 7, 8]
    futures = [clients.send([float(value)]) for value in values]
    clients.model.go.set()
    for value, future in zip(values, futures, strict=True):
        if value < 0:
            assert refusal(future) == (grpc.StatusCode.INVALID_ARGUMENT, f"negative: {value}")
        else:
            assert rows(future) == [2 * value]
    assert clients.model.sizes[1] == 8


@pytest.mark.parametrize(
    "output, text",
    [
        ("scalar", "Batched output tensor has 0 dimensions"),
        ("bytes", "Batched output tensor has 0 dimensions"),
        (
            "surplus",
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
            "sizes of the input tensors",
        ),
    ],
)
def test_outputs_without_a_row_for_each_row_are_refused(start, output, text):
    clients = start()
    clients.occupy()
    futures = [clients.send([1.0], ["double", output]) for _ in range(2)]
    clients.model.go.set()
    assert [refusal(future) for future in futures] == [
        (grpc.StatusCode.FAILED_PRECONDITION, text)
    ] * 2


def test_a_mistake_of_ours_reaches_the_caller_and_costs_no_thread(start):
    clients = start()
    clients.model.go.set()
    assert isinstance(clients.send([1.0], ["broken"]).exception(PATIENCE), ZeroDivisionError)
    assert rows(clients.send([1.0])) == [2]


def test_a_batch_may_run_until_its_last_deadline(start):
    clients = start()
    clients.occupy()
    later = time.monotonic() + 2 * PATIENCE
    for seconds in (1000, 2000):
        clients.send([1.0], call=RequestContext(deadline=later + seconds))
        clients.send([1.0], ["text"], call=RequestContext(deadline=later + seconds))
    last = clients.send([1.0], ["text"])
    clients.model.go.set()
    rows(last)
    assert 2000 <= clients.model.timeouts[1] <= 2000 + 2 * PATIENCE
    assert clients.model.timeouts[2] is None


def test_batches_are_counted(start):
    counted = [
        metrics.BATCH_QUEUING_LATENCY,
        metrics.BATCH_INPUT_SIZE,
        metrics.BATCH_WRAPPED_RUN_COUNT,
        metrics.BATCH_PROCESSED_SIZE,
        metrics.BATCH_PADDING_SIZE,
        metrics.QUEUE_TIME,
        metrics.BATCH_SIZE,
    ]
    before = [metric.total() for metric in counted]
    clients = start(max_batch_size=4, allowed_batch_sizes=(1, 4))
    busy = clients.occupy()
    waiting = [clients.send([1.0]) for _ in range(2)]
    clients.model.go.set()
    for future in [busy, *waiting]:
        rows(future)
    grown = [metric.total() - old for metric, old in zip(counted, before, strict=True)]
    assert grown == [3, 3, 2, 2, 2, 3, 2]
    page = metrics.exposition()
    assert (
        ':tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name="test' in page
    )
    assert 'padding_size_sum{execution_batch_size="4"}' in page

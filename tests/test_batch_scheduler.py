"""Which requests run together, when, and which are refused or left out."""

from __future__ import annotations

import threading
import time

import grpc
import numpy as np
import pytest

from serving.server.batching.batch_scheduler import BatchScheduler
from serving.server.request import RequestContext
from tests.blocking_batcher import FLOAT, PATIENCE, block_batches, refusal, rows
from tests.support.waiting import wait_until


@pytest.fixture
def start():
    with block_batches() as start:
        yield start


def test_what_waits_while_the_threads_are_busy_runs_as_one(start):
    clients = start()
    busy = clients.occupy()
    waiting = [clients.send([float(n), n + 0.5]) for n in range(1, 6)]
    clients.model.go.set()
    assert rows(busy) == [0]
    assert [rows(future) for future in waiting] == [[2 * n, 2 * n + 1] for n in range(1, 6)]
    assert clients.model.sizes == [1, 10]
    datatype, values = waiting[0].result()[0]
    # A view of the batch's answer, not a copy.
    assert datatype == FLOAT and values.base is not None


def test_a_batch_is_never_larger_than_it_may_be(start):
    clients = start(max_batch_size=4, max_enqueued_batches=10)
    clients.occupy()
    waiting = [clients.send([float(n)] * 3) for n in range(3)]
    waiting.append(clients.send([7.0]))
    clients.model.go.set()
    assert [rows(future) for future in waiting] == [[0] * 3, [2] * 3, [4] * 3, [14]]
    assert clients.model.sizes == [1, 3, 3, 4]


def test_a_full_queue_refuses_at_once(start):
    clients = start(max_batch_size=2, max_enqueued_batches=2)
    clients.occupy()
    waiting = [clients.send([1.0]) for _ in range(3)]
    assert refusal(clients.send([1.0, 2.0])) == (
        grpc.StatusCode.UNAVAILABLE,
        "The batch scheduling queue to which this task was submitted is full; currently 2 "
        "batches enqueued and max_enqueued_batches is 2",
    )
    # One row still fits, and another queue is not full.
    waiting += [clients.send([1.0]), clients.send([1.0], ["text"])]
    assert refusal(clients.send([1.0]))[0] is grpc.StatusCode.UNAVAILABLE
    clients.model.go.set()
    for future in waiting:
        assert len(rows(future)) == 1
    assert rows(clients.send([1.0])) == [2]


def test_expired_requests_free_space_in_a_full_queue(start):
    clients = start(max_batch_size=1, max_enqueued_batches=2)
    clients.occupy()
    gone = threading.Event()
    left = [clients.send([-1.0], call=RequestContext(cancelled=gone.is_set)) for _ in range(2)]
    gone.set()
    stays = clients.send([1.0])
    clients.model.go.set()
    assert rows(stays) == [2]
    assert [refusal(future)[0] for future in left] == [grpc.StatusCode.CANCELLED] * 2
    assert clients.model.sizes == [1, 1]


def test_ever_new_widths_do_not_fill_the_memory(start):
    clients = start(max_batch_size=1, max_enqueued_batches=1)
    clients.occupy()
    waiting = [clients.send(np.zeros((1, width))) for width in range(16)]
    code, text = refusal(clients.send(np.zeros((1, 16))))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert text.endswith("currently 16 batches enqueued and max_enqueued_batches is 16")
    clients.model.go.set()
    assert [len(rows(future)[0]) for future in waiting] == list(range(16))
    assert not clients.batcher.queues.queues


def test_a_caller_leaves_at_its_deadline_though_no_thread_is_free(start):
    clients = start()
    busy = clients.occupy()
    hasty = clients.send([1.0], call=RequestContext(deadline=time.monotonic() + 0.05))
    assert refusal(hasty) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Run() timeout exceeded while waiting in batching queue",
    )
    assert clients.batcher.waiting == 0 and not busy.done()
    clients.model.go.set()
    assert rows(busy) == [0]
    assert clients.model.sizes == [1]


def test_a_caller_leaves_at_its_deadline_while_its_batch_runs(start):
    clients = start()
    hasty = clients.send([1.0], call=RequestContext(deadline=time.monotonic() + 0.5))
    assert refusal(hasty)[0] in (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # On a machine too slow to begin the run in time.
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )


def test_expired_requests_are_not_run(start):
    clients = start()
    clients.occupy()
    stays = [clients.send([1.0])]
    gone = clients.send([2.0], call=RequestContext(cancelled=lambda: True))
    stays.append(clients.send([3.0]))
    clients.model.go.set()
    assert refusal(gone)[0] is grpc.StatusCode.CANCELLED
    assert [rows(future) for future in stays] == [[2], [6]]
    assert clients.model.feeds[1].tolist() == [1, 3]


def test_an_unfilled_batch_waits_for_the_timeout_and_a_full_one_does_not(start):
    hour = 3600 * 10**6
    clients = start(max_batch_size=2, batch_timeout_micros=hour)
    clients.model.go.set()
    waiting = [clients.send([1.0])]
    assert clients.batcher.waiting == 1
    waiting.append(clients.send([2.0]))
    assert [rows(future) for future in waiting] == [[2], [4]]
    assert clients.model.sizes == [2]
    patient = start(batch_timeout_micros=20_000)
    patient.model.go.set()
    assert rows(patient.send([1.0])) == [2]


def test_an_earlier_timeout_wakes_waiting_threads(start):
    scheduler = BatchScheduler("test_threads", 2)
    slow = start(scheduler=scheduler, batch_timeout_micros=3600 * 10**6)
    quick = start(scheduler=scheduler, batch_timeout_micros=1000)
    slow.model.go.set()
    quick.model.go.set()
    slow.send([1.0])
    for _ in range(5):
        assert rows(quick.send([1.0])) == [2]
    assert slow.batcher.waiting == 1


def test_no_model_starves_another(start):
    scheduler = BatchScheduler("test_threads", 1)
    greedy = start(scheduler=scheduler, max_batch_size=1)
    modest = start(scheduler=scheduler, max_batch_size=2)
    greedy.occupy()
    waiting = [greedy.send([1.0]) for _ in range(5)]
    one = modest.send([1.0, 1.0])
    modest.model.sizes = greedy.model.sizes
    modest.model.go.set()
    greedy.model.go.set()
    for future in [one, *waiting]:
        rows(future)
    assert greedy.model.sizes.index(2) <= 2


def test_as_many_batches_run_at_once_as_there_are_threads(start):
    clients = start(threads=3, max_batch_size=1)
    running = [clients.send([1.0]) for _ in range(3)]
    wait_until(lambda: clients.model.sizes == [1, 1, 1])
    waits = clients.send([2.0])
    assert clients.batcher.waiting == 1
    clients.model.go.set()
    assert [rows(future) for future in [*running, waits]] == [[2]] * 3 + [[4]]


def test_closing_ends_what_waits_and_then_the_threads(start):
    clients = start()
    busy = clients.occupy()
    waiting = clients.send([1.0])
    threads = [thread for thread in threading.enumerate() if "test_threads" in thread.name]
    assert threads
    clients.batcher.close()
    assert refusal(waiting)[0] is grpc.StatusCode.UNAVAILABLE
    assert refusal(clients.send([1.0]))[0] is grpc.StatusCode.UNAVAILABLE
    clients.model.go.set()
    assert rows(busy) == [0]
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_many_clients_each_get_their_own_rows(start):
    clients = start(threads=3, max_batch_size=7, batch_timeout_micros=100)
    clients.model.go.set()

    def ask(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(30):
            x = random.random(size=(random.integers(1, 5), random.integers(1, 4)))
            [(_, double)] = clients.batcher.run({"x": x}, ["double"], RequestContext())
            assert np.array_equal(double, 2 * x)

    for future in [clients.pool.submit(ask, seed) for seed in range(16)]:
        future.result(PATIENCE)
    assert clients.batcher.waiting == 0 and not clients.batcher.queues.queues

"""Retries of serving.client: only what was not run, within the deadline."""

from __future__ import annotations

import threading
import time

import grpc
import pytest

from serving.client import (
    Client,
    DeadlineExceeded,
    InvalidRequest,
    ServerFault,
    ServerOverloaded,
    ServerUnavailable,
)
from serving.client.request_flow import (
    LONGEST_PAUSE_SECONDS,
    Pause,
    RetryingSender,
    Send,
    find_longest_pause,
)
from serving.client.requests import STATUS, ModelSelector, build_status
from tests.scripted_server import ScriptedServer, always, classify, refuse, silent_address

CODE = grpc.StatusCode
FULL_QUEUE = (
    "The batch scheduling queue to which this task was submitted is full; currently 10 batches "
    "enqueued and max_enqueued_batches is 10"
)
NOT_RUN = [
    (CODE.UNAVAILABLE, "connection reset"),
    (CODE.UNAVAILABLE, FULL_QUEUE),
    (CODE.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"),
]
WRONG_OR_RUN = [
    (CODE.INVALID_ARGUMENT, "input size does not match signature", InvalidRequest),
    (CODE.FAILED_PRECONDITION, 'Serving signature key "x" not found.', InvalidRequest),
    (CODE.INTERNAL, "boom", ServerFault),
    (CODE.UNKNOWN, "boom", ServerFault),
    (CODE.DEADLINE_EXCEEDED, "", DeadlineExceeded),
    (
        CODE.RESOURCE_EXHAUSTED,
        "Run() timeout exceeded while waiting in batching queue",
        ServerOverloaded,
    ),
    (CODE.RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)", InvalidRequest),
]


@pytest.mark.parametrize("code, details", NOT_RUN, ids=str)
def test_what_was_not_run_is_sent_again(code, details):
    with ScriptedServer(refuse(2, code, details)) as server, Client(server.address) as client:
        assert [answer.label for answer in client.classify(["a", "b"])] == ["a", "b"]
    assert server.count("Predict") == 3


@pytest.mark.parametrize("code, details, kind", WRONG_OR_RUN, ids=str)
def test_what_is_wrong_or_was_run_is_not_sent_again(code, details, kind):
    with (
        ScriptedServer(refuse(1, code, details)) as server,
        Client(server.address) as client,
        pytest.raises(kind) as caught,
    ):
        client.classify(["a"])
    assert server.count("Predict") == 1
    assert (caught.value.code, caught.value.details) == (code, details)


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_are_counted_and_the_last_error_raised(retries):
    script = refuse(99, CODE.UNAVAILABLE, FULL_QUEUE)
    with (
        ScriptedServer(script) as server,
        Client(server.address, retries=retries) as client,
        pytest.raises(ServerOverloaded, match="max_enqueued_batches is 10") as caught,
    ):
        client.classify(["a"])
    assert server.count("Predict") == 1 + retries
    assert isinstance(caught.value, ServerUnavailable)
    assert server.address in str(caught.value) and "`parallel`" in str(caught.value)


def test_no_attempt_begins_after_the_deadline():
    with (
        ScriptedServer(refuse(10**6, CODE.UNAVAILABLE, "not now")) as server,
        Client(server.address, timeout=0.5, retries=10**6) as client,
    ):
        # It would go on for days.
        with pytest.raises((ServerUnavailable, DeadlineExceeded)):
            client.classify(["a"])
        assert 1 <= server.count("Predict") < 1000


def test_a_server_that_is_silent_costs_the_timeout_and_no_more():
    with silent_address() as address, Client(address, timeout=0.3) as client:
        with pytest.raises(DeadlineExceeded, match="within 0.3 s"):
            client.classify(["a"])
        with pytest.raises(DeadlineExceeded, match="within 0.2 s"):
            client.classify(["a"], timeout=0.2)


def fail_every_attempt(sender: RetryingSender, timeout: float, failure: grpc.RpcError):
    """Steps of a flow whose every attempt fails, and its final error."""
    flow = sender.send(STATUS, build_status(ModelSelector("m")), timeout)
    steps = [next(flow)]
    while True:
        try:
            last = steps[-1]
            steps.append(flow.throw(failure) if isinstance(last, Send) else next(flow))
        except ServerUnavailable as error:
            return steps, error


class Refusal(grpc.RpcError):
    def code(self):
        return CODE.UNAVAILABLE

    def details(self):
        return "not now"


def test_pauses_are_random_and_grow_to_a_limit():
    runs = [
        fail_every_attempt(RetryingSender("nowhere", ModelSelector("m"), 8), 10**6, Refusal())[0]
        for _ in range(50)
    ]
    for steps in runs:
        assert [type(step) for step in steps] == [Send, Pause] * 8 + [Send]
        for attempt, pause in enumerate(steps[1::2]):
            assert 0 <= pause.seconds <= find_longest_pause(attempt) <= LONGEST_PAUSE_SECONDS
    assert len({steps[1].seconds for steps in runs}) > 1
    assert max(steps[-2].seconds for steps in runs) > find_longest_pause(0)


def test_a_pause_that_outlasts_the_deadline_is_not_begun():
    steps, error = fail_every_attempt(
        RetryingSender("nowhere", ModelSelector("m"), 10**6), 0.05, Refusal()
    )
    # Steps cost no time here, so the pauses that were begun must fit into the timeout one by one.
    pauses = [step.seconds for step in steps if isinstance(step, Pause)]
    assert all(seconds < 0.05 for seconds in pauses)
    assert all(step.seconds <= 0.05 for step in steps if isinstance(step, Send))
    assert error.code is CODE.UNAVAILABLE


def test_requests_run_side_by_side_up_to_the_bound_and_come_in_order():
    together = threading.Barrier(3)

    def script(method, request, context):
        together.wait(timeout=30)
        return classify(request)

    texts = [str(number) for number in range(12)]
    with (
        ScriptedServer(script) as server,
        Client(server.address, texts_per_request=2, parallel=3) as client,
    ):
        assert [answer.label for answer in client.classify(texts)] == texts
    assert server.most_at_once == 3 and server.count("Predict") == 6


def test_one_failure_cancels_the_others_and_is_the_error():
    cancelled, waiting = threading.Event(), threading.Event()

    def script(method, request, context):
        if b"wrong" in request.inputs["text"].string_val:
            assert waiting.wait(30)
            context.abort(CODE.INVALID_ARGUMENT, "assertion failed: wrong")
        context.add_callback(cancelled.set)
        waiting.set()
        assert cancelled.wait(30)
        return classify(request)

    texts = ["slow", "wrong", *(str(number) for number in range(50))]
    with (
        ScriptedServer(script) as server,
        Client(server.address, texts_per_request=1, parallel=2, timeout=60) as client,
    ):
        with pytest.raises(InvalidRequest, match="assertion failed: wrong"):
            client.classify(texts)
        assert cancelled.wait(30)
        assert server.count("Predict") == 2


def test_one_failure_ends_the_pauses_of_the_others():
    def script(method, request, context):
        if b"wrong" in request.inputs["text"].string_val:
            # Only once the other one is in its pauses.
            while server.count("Predict") < 3:
                assert context.is_active()
                time.sleep(0.01)
            context.abort(CODE.INTERNAL, "boom")
        return context.abort(CODE.UNAVAILABLE, "not now")

    with (
        ScriptedServer(script) as server,
        Client(server.address, texts_per_request=1, retries=10**6, timeout=600) as client,
        pytest.raises(ServerFault, match="boom"),
    ):
        client.classify(["late", "wrong"])


def test_equal_texts_are_sent_once():
    with ScriptedServer(always(classify)) as server, Client(server.address) as client:
        answers = client.classify(["a", "b", "a", b"a", "b", "c"])
        assert [answer.label for answer in answers] == ["a", "b", "a", "a", "b", "c"]
        assert server.calls[0][1].inputs["text"].string_val == [b"a", b"b", b"c"]
        answers = client.classify(["a", "a", "b", "a"], text_pairs=["x", "y", "x", "x"])
        assert [answer.label for answer in answers] == ["a|x", "a|y", "b|x", "a|x"]
        assert len(server.calls[1][1].inputs["text"].string_val) == 3
        with pytest.raises(ValueError, match="read-only"):
            answers[0].scores[:] = 0


def test_requests_are_cut_by_count_and_by_bytes():
    texts = ["x" * 40 + str(number) for number in range(5)] + ["y" * 1000, "z", "é" * 30]
    with (
        ScriptedServer(always(classify)) as server,
        Client(server.address, texts_per_request=3, bytes_per_request=150, parallel=1) as client,
    ):
        labels = [answer.label for answer in client.classify(text for text in texts)]
    assert labels == texts
    sizes = [len(request.inputs["text"].string_val) for _, request, _ in server.calls]
    assert sizes == [3, 2, 1, 2]

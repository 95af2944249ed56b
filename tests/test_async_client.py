"""AsyncClient: verbs and options of Client, and behaviour in asyncio."""

from __future__ import annotations

import asyncio
import inspect
import threading

import grpc
import numpy as np
import pytest

from serving.client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    RequestCancelled,
    ServerUnavailable,
    Version,
)
from tests.scripted_server import ScriptedServer, always, classify, refuse, silent_address
from tests.serving_models import TASK_LABELS, save_classifier, save_task, serve

CODE = grpc.StatusCode
VERBS = ("multilabel", "regress", "tag", "search", "answer")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    save_classifier(folder / "support" / "7")
    for verb in VERBS:
        save_task(folder / verb / "1", verb)
    with serve(**{name: folder / name for name in ("support", *VERBS)}) as application:
        yield application.grpc_address


def test_the_same_arguments_and_verbs():
    assert inspect.signature(AsyncClient) == inspect.signature(Client)

    def parameters(kind, name):
        return [str(p) for p in inspect.signature(getattr(kind, name)).parameters.values()]

    verbs = [name for name in vars(Client) if not name.startswith("_")]
    assert set(verbs) == {name for name in vars(AsyncClient) if not name.startswith("_")}
    assert {"classify", "predict", "metadata", "status", "wait_until_ready", *VERBS} < set(verbs)
    for verb in verbs:
        assert parameters(AsyncClient, verb) == parameters(Client, verb)
        assert inspect.iscoroutinefunction(getattr(AsyncClient, verb))


def test_every_verb_answers_as_the_synchronous_one(address):
    asked = {
        "multilabel": (["happy", "sad", "happy", ""],),
        "regress": (["a", "bc", "a"], ["", "", ""]),
        "tag": (["ANNA met BOB", "nobody", "ANNA met BOB"],),
        "search": (["where?", "", "where?"],),
        "answer": (["Wo?!", "Ja"], ["It is in Köln", "in 北京"]),
    }

    async def ask(verb, columns):
        async with AsyncClient(address, model=verb, texts_per_request=1) as client:
            return await getattr(client, verb)(*columns)

    for verb, columns in asked.items():
        answers = asyncio.run(ask(verb, columns))
        with Client(address, model=verb) as client:
            expected = getattr(client, verb)(*columns)
        if verb == "multilabel":
            assert [a.active_labels for a in answers] == [["happy"], ["sad"], ["happy"], []]
            assert all(answer.labels == tuple(TASK_LABELS) for answer in answers)
        else:
            assert answers == expected


def test_classify_predict_metadata_status_and_waiting(address):
    async def ask():
        async with AsyncClient(address, model="support", texts_per_request=2) as client:
            await client.wait_until_ready(30)
            texts = ["hi", "Where is my card?", "", "hi"]
            labels = [answer.label for answer in await client.classify(texts)]
            assert labels == ["short", "long", "short", "short"]
            assert await client.classify([]) == []
            outputs = await client.predict({"x": np.ones([1, 3], np.float32)}, "multiply")
            assert outputs["total"] == 21
            assert (await client.metadata()).version == 7
            assert await client.status() == [Version(7, "AVAILABLE", "")]
        async with AsyncClient(address, model="other") as client:
            with pytest.raises(ModelNotFound, match="model 'other'"):
                await client.classify(["hi"])
            with pytest.raises(DeadlineExceeded, match="was not ready within 0.3 s"):
                await client.wait_until_ready(0.3)

    asyncio.run(ask())


def test_requests_run_side_by_side_up_to_the_bound_and_come_in_order():
    together = threading.Barrier(3)

    def script(method, request, context):
        together.wait(timeout=30)
        return classify(request)

    texts = [str(number) for number in range(12)]

    async def ask(address):
        async with AsyncClient(address, texts_per_request=2, parallel=3) as client:
            return await client.classify(text for text in texts)

    with ScriptedServer(script) as server:
        answers = asyncio.run(ask(server.address))
    assert [answer.label for answer in answers] == texts
    assert server.most_at_once == 3 and server.count("Predict") == 6


def test_tasks_share_a_client():
    async def ask(address):
        async with AsyncClient(address) as client:
            asked = [client.classify([str(number)]) for number in range(20)]
            return [answers[0].label for answers in await asyncio.gather(*asked)]

    with ScriptedServer(always(classify)) as server:
        assert asyncio.run(ask(server.address)) == [str(number) for number in range(20)]


@pytest.mark.parametrize("times, sent", [(2, 3), (99, 4)])
def test_what_was_not_run_is_sent_again(times, sent):
    async def ask(address):
        async with AsyncClient(address, retries=3) as client:
            return await client.classify(["a"])

    with ScriptedServer(refuse(times, CODE.UNAVAILABLE, "not now")) as server:
        if times > 3:
            with pytest.raises(ServerUnavailable, match="not now"):
                asyncio.run(ask(server.address))
        else:
            assert asyncio.run(ask(server.address))[0].label == "a"
    assert server.count("Predict") == sent


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

    async def ask(address):
        async with AsyncClient(address, texts_per_request=1, parallel=2, timeout=60) as client:
            with pytest.raises(InvalidRequest, match="assertion failed: wrong"):
                await client.classify(["slow", "wrong", *(str(number) for number in range(50))])

    with ScriptedServer(script) as server:
        asyncio.run(ask(server.address))
        assert cancelled.wait(30)
        assert server.count("Predict") == 2


@pytest.mark.parametrize("texts", [1, 6])
def test_cancelling_a_task_cancels_its_requests(texts):
    cancelled = [threading.Event(), threading.Event()]
    waiting, free = threading.Semaphore(0), iter(cancelled)

    def script(method, request, context):
        event = next(free)
        context.add_callback(event.set)
        waiting.release()
        assert event.wait(30)
        return classify(request)

    async def ask(address):
        running = min(texts, 2)
        async with AsyncClient(address, texts_per_request=1, parallel=2, timeout=60) as client:
            task = asyncio.create_task(client.classify([str(n) for n in range(texts)]))
            for _ in range(running):
                assert await asyncio.to_thread(waiting.acquire, timeout=30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for event in cancelled[:running]:
                assert await asyncio.to_thread(event.wait, 30)

    with ScriptedServer(script) as server:
        asyncio.run(ask(server.address))
        assert server.count("Predict") == min(texts, 2)


def test_deadlines_hold():
    async def ask(address):
        async with AsyncClient(address, timeout=0.3) as client:
            with pytest.raises(DeadlineExceeded, match="within 0.3 s"):
                await client.classify(["a"])
            with pytest.raises(DeadlineExceeded, match="within 0.2 s"):
                await client.classify(["a", "b"], timeout=0.2)

    with silent_address() as address:
        asyncio.run(ask(address))


def test_a_closed_client_raises():
    async def ask(address):
        client = AsyncClient(address)
        await client.close()
        with pytest.raises(RequestCancelled, match="is closed"):
            await client.classify(["a"])
        client = AsyncClient(address)
        assert (await client.classify(["a"]))[0].label == "a"
        await client.close()
        with pytest.raises(RequestCancelled, match="is closed"):
            await client.classify(["a"])

    with ScriptedServer(always(classify)) as server:
        asyncio.run(ask(server.address))


@pytest.mark.parametrize("texts", [1, 3])
def test_closing_ends_what_runs(texts):
    free, waiting = threading.Event(), threading.Event()

    def script(method, request, context):
        waiting.set()
        free.wait(60)
        return classify(request)

    async def ask(address):
        client = AsyncClient(address, timeout=60, texts_per_request=1)
        task = asyncio.create_task(client.classify([str(number) for number in range(texts)]))
        assert await asyncio.to_thread(waiting.wait, 30)
        await client.close()
        with pytest.raises(RequestCancelled, match="is closed"):
            await task

    with ScriptedServer(script) as server:
        asyncio.run(ask(server.address))
        free.set()


def test_it_may_be_made_before_the_loop_runs():
    with ScriptedServer(always(classify)) as server:
        client = AsyncClient(server.address, metadata={"x-tenant": "a"}, compression="gzip")

        async def ask():
            async with client:
                return await client.classify(["a"])

        assert asyncio.run(ask())[0].label == "a"
        assert server.calls[0][2]["x-tenant"] == "a"

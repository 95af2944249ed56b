"""Messages of the client's errors: the request, what the server has, what to do."""

from __future__ import annotations

import signal
import threading
import time

import grpc
import pytest

from serving.client import (
    Client,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    RequestCancelled,
    ServerFault,
)
from serving.client.messages import GetModelMetadataResponse, GetModelStatusResponse
from serving.client.text_batches import deduplicate_rows
from tests.scripted_server import ScriptedServer, always, classify
from tests.serving_models import save_classifier, serve

CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7")
    with serve(support=folder / "support") as application:
        yield application.grpc_address


HINTS = [
    ({"version": 3}, {}, ModelNotFound, "Versions of model 'support': 7 (AVAILABLE)."),
    ({"label": "stable"}, {}, InvalidRequest, "Versions of model 'support': 7 (AVAILABLE)."),
    ({"model": "suport"}, {}, ModelNotFound, "Check the name and the version"),
    (
        {},
        {"signature": "idz"},
        InvalidRequest,
        "Version 7 has the signatures info, multiply, refuse, serving_default, slow",
    ),
    (
        {},
        {"inputs": {"texts": ["hi"]}},
        InvalidRequest,
        "Inputs of signature 'serving_default': text (string [?]); outputs: label, score, scores.",
    ),
    (
        {},
        {"inputs": {"x": [[1, 2, 3]]}, "signature": "multiply"},
        InvalidRequest,
        "Inputs of signature 'multiply': x (float32 [?, 3]); outputs: product, total.",
    ),
    (
        {},
        {"inputs": {}, "signature": "info", "outputs": ["inf"]},
        InvalidRequest,
        "'info': none; outputs",
    ),
]


@pytest.mark.parametrize("choice, changes, kind, hint", HINTS, ids=lambda value: str(value)[:40])
def test_errors_list_what_the_server_has(address, choice, changes, kind, hint):
    with Client(address, **{"model": "support", **choice}) as client, pytest.raises(kind) as caught:
        client.predict(**{"inputs": {"text": ["hi"]}, **changes})
    assert hint in str(caught.value)


def test_the_status_of_a_missing_version(address):
    with Client(address, "support", version=3) as client, pytest.raises(ModelNotFound) as caught:
        client.status()
    assert "Could not find version 3" in caught.value.details
    assert "'support': 7 (AVAILABLE)" in str(caught.value)


@pytest.mark.parametrize("looking", ["fails", "hangs", "is rubbish"])
def test_looking_up_what_there_is_never_hides_the_error(looking):
    free = threading.Event()

    def script(method, request, context):
        if method == "Predict":
            context.abort(CODE.INVALID_ARGUMENT, "Expects arg[0] to be float")
        if looking == "fails":
            context.abort(CODE.INTERNAL, "boom")
        if looking == "hangs":
            free.wait(60)
        response = GetModelMetadataResponse()
        response.metadata["signature_def"].value = b"\xff\xff"
        return response

    with ScriptedServer(script) as server, Client(server.address, timeout=0.5) as client:
        with pytest.raises(InvalidRequest, match="Expects arg") as caught:
            client.classify(["a"])
        free.set()
    assert "boom" not in str(caught.value) and "`metadata` show" in str(caught.value)
    assert server.count("GetModelMetadata") == 1


def test_nothing_is_looked_up_after_success():
    with ScriptedServer(always(classify)) as server, Client(server.address) as client:
        client.classify(["a"])
    assert [method for method, _, _ in server.calls] == ["Predict"]


def test_waiting_for_a_label_lasts_until_it_is_assigned():
    refusals = iter(range(2))

    def script(method, request, context):
        if method == "GetModelStatus":
            response = GetModelStatusResponse()
            response.model_version_status.add(version=1, state=30)
            return response
        if next(refusals, None) is not None:
            context.abort(CODE.INVALID_ARGUMENT, "Unrecognized servable version label: stable")
        return GetModelMetadataResponse()

    with ScriptedServer(script) as server, Client(server.address, label="stable") as client:
        client.wait_until_ready(60)
        assert server.count("GetModelMetadata") == 3
        refusals = iter(int, 1)
        with pytest.raises(DeadlineExceeded, match="Unrecognized servable version label: stable"):
            client.wait_until_ready(0.3)


@pytest.mark.parametrize("code", list(CODE)[1:], ids=lambda code: code.name)
def test_every_status_is_a_sentence_with_its_code(code):
    def script(method, request, context):
        context.abort(code, "its own words")

    with (
        ScriptedServer(script) as server,
        Client(server.address, "support", version=3, retries=0) as client,
        pytest.raises(ClientError) as caught,
    ):
        client.classify(["hi"])
    error = caught.value
    assert type(error) is not ClientError
    assert (error.code, error.details) == (code, "its own words")
    for part in (server.address, "model 'support' version 3"):
        assert part in str(error)
    if code is not CODE.DEADLINE_EXCEEDED:
        assert "its own words" in str(error)
    assert str(error).endswith(".") and "  " not in str(error)


def test_an_unreadable_answer_is_the_servers_fault():
    def script(method, request, context):
        response = GetModelMetadataResponse()
        response.metadata["signature_def"].value = b"\xff\xff"
        return response

    with (
        ScriptedServer(script) as server,
        Client(server.address) as client,
        pytest.raises(ServerFault, match="cannot be decoded"),
    ):
        client.metadata()


@pytest.mark.parametrize(
    "columns, part",
    [
        ({"texts": "Where is my card?"}, "texts is one string, 'Where is my card.'"),
        ({"texts": b"bytes"}, "texts is one string"),
        ({"texts": None, "text_pairs": None}, "texts is None of type NoneType"),
        ({"questions": ["a"], "contexts": 5}, "contexts is 5 of type int"),
        ({"texts": ["hi", None]}, r"texts\[1\] is None of type NoneType"),
        ({"texts": [["nested"]]}, r"texts\[0\] is \['nested'\] of type list"),
        ({"texts": ["lone \ud800 surrogate"]}, r"texts\[0\].*surrogates not allowed"),
        ({"texts": ["a"], "text_pairs": ["b", "c"]}, "Every text needs its own pair: got"),
        ({"texts": [list(range(99))]}, r"15, 16, 1\.\.\. of type list"),
    ],
    ids=str,
)
def test_the_client_rejects_anything_but_texts(columns, part):
    with pytest.raises(InvalidRequest, match=part) as caught:
        deduplicate_rows(**columns)
    assert caught.value.code is None


def test_a_closed_client_raises():
    with ScriptedServer(always(classify)) as server:
        client = Client(server.address)
        client.close()
        for texts in (["a"], [str(number) for number in range(200)]):
            with pytest.raises(RequestCancelled, match="is closed"):
                client.classify(texts)
    assert server.calls == []


@pytest.mark.parametrize("texts", [1, 3])
def test_closing_ends_what_runs(texts):
    free, waiting = threading.Event(), threading.Event()

    def script(method, request, context):
        waiting.set()
        free.wait(60)
        return classify(request)

    with ScriptedServer(script) as server:
        client = Client(server.address, timeout=60, texts_per_request=1)

        def close():
            waiting.wait(30)
            client.close()

        threading.Thread(target=close).start()
        with pytest.raises(RequestCancelled):
            client.classify([str(number) for number in range(texts)])
        free.set()


@pytest.mark.parametrize("texts", [1, 3])
def test_ctrl_c_ends_what_runs(texts):
    free, waiting = threading.Event(), threading.Event()

    def script(method, request, context):
        waiting.set()
        free.wait(60)
        return classify(request)

    def interrupt():
        waiting.wait(30)
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with (
            ScriptedServer(script) as server,
            Client(server.address, timeout=60, texts_per_request=1) as client,
        ):
            threading.Thread(target=interrupt).start()
            with pytest.raises(KeyboardInterrupt):
                client.classify([str(number) for number in range(texts)])
            free.set()
    finally:
        signal.signal(signal.SIGINT, before)

"""The typed answers of each task's verb, from models with the outputs of the exports."""

from __future__ import annotations

import grpc
import numpy as np
import pytest

from serving.client import (
    Answer,
    Client,
    Entity,
    InvalidRequest,
    Regression,
    SearchResult,
    ServerFault,
)
from serving.client.answers import (
    ANSWER,
    CLASSIFY,
    MULTILABEL,
    REGRESS,
    SEARCH,
    TAG,
    read_outputs,
)
from serving.client.messages import PredictResponse
from tests.scripted_server import ScriptedServer, always, answer_tensors, label
from tests.serving_models import TASK_LABELS, save_task, serve

VERBS = ("multilabel", "regress", "tag", "search", "answer")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    for verb in VERBS:
        save_task(folder / verb / "1", verb)
    with serve(**{verb: folder / verb for verb in VERBS}) as application:
        yield application.grpc_address


@pytest.fixture
def ask(address, request):
    """The verb after which the test is called, two texts a request."""
    verb = request.function.__name__.removeprefix("test_")
    with Client(address, model=verb, texts_per_request=2) as client:
        yield getattr(client, verb)


def test_multilabel(ask):
    texts = ["angry and sad", "", "happy", "angry and sad", "nothing"]
    answers = ask(texts)
    assert [answer.active_labels for answer in answers] == [
        ["angry", "sad"],
        [],
        ["happy"],
        ["angry", "sad"],
        [],
    ]
    for answer in answers:
        assert answer.labels == tuple(TASK_LABELS)
        assert (answer.scores.dtype, answer.active.dtype) == (np.float32, np.bool_)
        np.testing.assert_array_equal(answer.scores > 0.5, answer.active)
    assert ask([]) == []


def test_regress(ask):
    answers = ask(["three", "a", "a"], text_pairs=["", "abc", "abc"])
    assert answers == [Regression(5.0), Regression(-2.0), Regression(-2.0)]
    assert float(answers[0]) == 5 and isinstance(answers[0].value, float)
    assert ask([], []) == []


def test_tag(ask):
    texts = ["ANNA met BOB", "nobody", "", "ANNA met BOB", "卡 in ROM", "X"]
    answers = ask(texts)
    anna_and_bob = [Entity("ANNA", 0, 4, 1.0), Entity("BOB", 9, 12, 1.0)]
    assert answers == [
        anna_and_bob,
        [],
        [],
        anna_and_bob,
        [Entity("ROM", 5, 8, 1.0)],
        [Entity("X", 0, 1, 1.0)],
    ]
    for text, entities in zip(texts, answers, strict=True):
        assert all(text[entity.start : entity.end] == entity.entity for entity in entities)
    # Equal texts are sent once, but each answer is a separate list.
    answers[0].clear()
    assert answers[3] == anna_and_bob


def test_search(ask):
    found = ask(["where?", "", "card", "where?"])
    both = [
        SearchResult("where?", "WHERE?", 0.5, {"source": "where?"}),
        SearchResult("faq-2", "faq-2", 0.25, {}),
    ]
    # Places without an id are unused.
    assert found == [both, [], [SearchResult("card", "CARD", 0.5, {"source": "card"})], both]
    found[0].clear()
    assert found[3] == both


def test_the_payload_of_an_index_is_optional_and_an_object():
    ids = np.array([[b"a", b""]], object)
    outputs = {"id": ids, "answer": ids, "score": np.array([[0.5, -1.0]], np.float32)}
    assert SEARCH.decode(outputs, 1) == [[SearchResult("a", "a", 0.5, {})]]
    for wrong in (b"[1]", b"{"):
        with pytest.raises(ValueError):
            SEARCH.decode(outputs | {"payload": np.array([[wrong, b""]], object)}, 1)


def test_answer(ask):
    contexts = ["It is in Köln", "sie wohnt in 北京", "short"]
    answers = ask(["Wo?!", "Ja", "a question longer than its context"], contexts)
    assert answers == [
        Answer("Köln", 9, 13, 0.5),
        Answer("北京", 13, 15, 0.5),
        Answer("short", 0, 5, 0.5),
    ]
    with pytest.raises(InvalidRequest, match="Every question needs its own context"):
        ask(["Wo?"], contexts)


def test_a_model_of_another_task_is_named(address):
    with Client(address, model="regress") as client:
        with pytest.raises(InvalidRequest, match=r"is not a text classifier.*label and score and"):
            client.classify(["a"], text_pairs=["b"])
        with pytest.raises(
            InvalidRequest, match=r"serving_default': text \(string \[\?\]\), text_pair"
        ):
            client.answer(["a"], ["b"])


def test_labels_are_fetched_once_for_each_version():
    versions = iter([1, 1, 2, 2, 1])

    def script(method, request, context):
        if request.model_spec.signature_name == "info":
            # The next request may reach another version, so the version is named.
            return label(request, request.model_spec.version.value)
        return label(request, next(versions))

    with ScriptedServer(script) as server, Client(server.address) as client:
        seen = [client.multilabel(["happy"])[0].labels[1] for _ in range(5)]
    assert seen == ["happy1", "happy1", "happy2", "happy2", "happy1"]
    asked = [request for _, request, _ in server.calls]
    infos = [r.model_spec.version.value for r in asked if r.model_spec.signature_name == "info"]
    assert infos == [1, 2]


def test_a_version_unloaded_before_its_labels_were_fetched():
    versions = iter([1, 2, 2])

    def script(method, request, context):
        if method != "Predict" or request.model_spec.version.value == 1:
            details = "Servable not found for request: Specific(default, 1)"
            context.abort(grpc.StatusCode.NOT_FOUND, details)
        if request.model_spec.signature_name == "info":
            return label(request, request.model_spec.version.value)
        return label(request, next(versions))

    with ScriptedServer(script) as server, Client(server.address) as client:
        answer = client.multilabel(["happy"])[0]
    assert answer.active_labels == ["happy2"]


def test_a_multilabel_model_needs_label_names():
    def script(info):
        def answer(request):
            if request.model_spec.signature_name == "info":
                return answer_tensors(request, info)
            return label(request)

        return always(answer)

    for info in ({}, {"info": "rubbish"}, {"info": '{"task": "multilabel"}'}, {"info": "[1]"}):
        with (
            ScriptedServer(script(info)) as server,
            Client(server.address) as client,
            pytest.raises(InvalidRequest, match="has no labels"),
        ):
            client.multilabel(["happy"])
    with (
        ScriptedServer(script({"info": '{"labels": ["one"]}'})) as server,
        Client(server.address) as client,
        pytest.raises(InvalidRequest, match="3 scores for 1 labels"),
    ):
        client.multilabel(["happy"])


STRINGS, NUMBERS = np.array([b"a", b"b"], object), np.zeros(2, np.float32)
WHOLE = np.zeros(2, np.int32)


@pytest.mark.parametrize(
    "task, outputs",
    [
        (CLASSIFY, {"label": STRINGS, "score": NUMBERS}),
        (CLASSIFY, {"label": NUMBERS, "score": NUMBERS, "scores": np.zeros([2, 3], np.float32)}),
        (CLASSIFY, {"label": STRINGS, "score": NUMBERS, "scores": np.zeros([1, 3], np.float32)}),
        (MULTILABEL, {"scores": np.zeros([2, 3], np.float32), "active": np.zeros([2, 2], bool)}),
        (REGRESS, {"value": np.float32(1)}),
        (REGRESS, {"value": WHOLE}),
        (TAG, {"entity": STRINGS, "start": WHOLE, "end": WHOLE, "score": NUMBERS}),
        (SEARCH, {"id": STRINGS, "answer": STRINGS, "score": NUMBERS}),
        (ANSWER, {"answer": STRINGS, "start": NUMBERS, "end": WHOLE, "score": NUMBERS}),
    ],
)
def test_outputs_that_are_others_are_refused(task, outputs):
    with pytest.raises(ValueError, match="its outputs for 2 texts are {"):
        task.decode(outputs, 2)


def test_an_answer_that_contradicts_itself_is_the_servers_fault():
    def answer(request):
        response = answer_tensors(request, {"value": NUMBERS})
        response.outputs["value"].tensor_shape.dim[0].size = 3
        return response

    with (
        ScriptedServer(always(answer)) as server,
        Client(server.address) as client,
        pytest.raises(ServerFault, match="cannot be decoded"),
    ):
        client.regress(["a", "b"])
    assert read_outputs(PredictResponse()) == {}

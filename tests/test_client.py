"""serving.client against a real server: answers, errors, and what it imports."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.client import (
    Client,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerFault,
    ServerUnavailable,
    TensorSpec,
    Version,
)
from serving.client.answers import CLASSIFY
from tests.serving_models import DTYPES, save_classifier, save_echo, serve
from tests.support.waiting import free_port

REPOSITORY = Path(__file__).parents[1]
TEXTS = ["hi", "Where is my card?", "", "卡在哪里", "café"]
LABELS = ["short", "long", "short", "long", "short"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7", info={"task": "classify"})
    save_classifier(folder / "paraphrase" / "1", pairs=True)
    save_echo(folder / "echo" / "1")
    names = ("support", "paraphrase", "echo")
    with serve(**{name: folder / name for name in names}) as application:
        yield application.grpc_address


@pytest.fixture
def client(address):
    with Client(address, model="support") as client:
        yield client


@pytest.fixture
def echo(address):
    with Client(address, model="echo") as client:
        yield client


@pytest.fixture
def unreachable_address():
    """An address where nothing listens."""
    port = free_port()
    return f"127.0.0.1:{port}"


def test_classify_answers_each_text_in_order(client):
    answers = client.classify(TEXTS)
    assert [answer.label for answer in answers] == LABELS
    for answer in answers:
        assert isinstance(answer.score, float) and answer.scores.shape == (2,)
        assert answer.scores.dtype == np.float32
        assert answer.score == pytest.approx(float(answer.scores.max()))
    assert client.classify([]) == []
    assert [answer.label for answer in client.classify(iter(TEXTS))] == LABELS


def test_long_lists_are_cut_and_joined_in_order(address):
    texts = ["x" * (index * 7 % 20) for index in range(1000)]
    with Client(address, model="support", texts_per_request=7) as client:
        cut = client.classify(texts)
    with Client(address, model="support", texts_per_request=10_000) as client:
        whole = client.classify(texts)
    assert [answer.label for answer in cut] == [answer.label for answer in whole]
    assert [answer.label for answer in cut] == [
        "short" if len(text) <= 10 else "long" for text in texts
    ]
    np.testing.assert_allclose([a.scores for a in cut], [a.scores for a in whole], rtol=1e-6)


def test_pairs(address):
    with Client(address, model="paraphrase") as client:
        answers = client.classify(["hello", "hello"], text_pairs=["you", "dear reader"])
        assert [answer.label for answer in answers] == ["short", "long"]
        with pytest.raises(InvalidRequest, match=r"Missing but required: \{text_pair\}"):
            client.classify(["hello"])
        with pytest.raises(InvalidRequest, match="Every text needs its own pair"):
            client.classify(["hello", "hello"], text_pairs=["you"])


@pytest.mark.parametrize(
    "texts, part",
    [
        ("Where is my card?", "one string"),
        (["hi", None], r"texts\[1\] is None of type NoneType"),
        ([float("nan")], r"texts\[0\] is nan"),
        (["lone \ud800 surrogate"], "surrogates not allowed"),
    ],
)
def test_the_client_rejects_anything_but_a_list_of_texts(client, texts, part):
    with pytest.raises(InvalidRequest, match=part) as caught:
        client.classify(texts)
    assert caught.value.code is None


def test_the_error_names_a_model_of_another_task(client, echo):
    with pytest.raises(InvalidRequest, match='"serving_default" not found'):
        echo.classify(["hi"])
    outputs = client.predict({"x": np.ones([2, 3], np.float32)}, "multiply")
    assert outputs["total"] == 42
    with pytest.raises(ValueError, match="its outputs for 2 texts are {'product': "):
        CLASSIFY.decode(outputs, 2)


@pytest.mark.parametrize("shape", [(), (0, 3), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_predict_returns_what_was_sent(echo, dtype, shape):
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    if dtype == tf.string:
        array = np.vectorize(lambda n: b"\0\xff" * n, otypes=[object])(numbers)
    else:
        array = numbers.astype(dtype.as_numpy_dtype)
    back = echo.predict({"x": array}, dtype.name)["y"]
    assert back.dtype == array.dtype and back.shape == shape
    np.testing.assert_array_equal(back, array)
    assert back.flags.writeable


def test_big_answers_pass(echo):
    array = np.arange(3_000_000, dtype=np.float32)
    np.testing.assert_array_equal(echo.predict({"x": array}, "float32")["y"], array)


def test_outputs_are_chosen(client):
    inputs = {"x": np.ones([1, 3], np.float32)}
    assert set(client.predict(inputs, "multiply", outputs=["total"])) == {"total"}
    with pytest.raises(InvalidRequest, match="outputs is one string"):
        client.predict(inputs, "multiply", outputs="total")


def test_metadata_and_status_and_info(client):
    metadata = client.metadata()
    assert (metadata.model, metadata.version) == ("support", 7)
    signature = metadata.signatures["serving_default"]
    assert signature.inputs == {"text": TensorSpec("string", (None,))}
    assert signature.outputs["scores"] == TensorSpec("float32", (None, 2))
    assert client.status() == [Version(7, "AVAILABLE", "")]
    assert json.loads(client.predict({}, "info")["info"].item()) == {"task": "classify"}


REFUSALS = [
    ({"model": "suport"}, {}, ModelNotFound, "NOT_FOUND", "model 'suport'"),
    ({"version": 3}, {}, ModelNotFound, "NOT_FOUND", "model 'support' version 3"),
    ({"label": "stable"}, {}, InvalidRequest, "INVALID_ARGUMENT", "label 'stable'"),
    ({}, {"signature": "idz"}, InvalidRequest, "FAILED_PRECONDITION", '"idz" not found'),
    ({}, {"inputs": {"texts": ["hi"]}}, InvalidRequest, "INVALID_ARGUMENT", "alias: text"),
    (
        {},
        {"inputs": {"text": [1.5]}},
        InvalidRequest,
        "INVALID_ARGUMENT",
        "to be string but double",
    ),
]


@pytest.mark.parametrize("choice, changes, kind, code, part", REFUSALS)
def test_refusals_are_sentences_with_the_status(address, choice, changes, kind, code, part):
    with Client(address, **{"model": "support", **choice}) as client, pytest.raises(kind) as caught:
        client.predict(**{"inputs": {"text": ["hi"]}, **changes})
    assert caught.value.code is grpc.StatusCode[code]
    assert isinstance(caught.value, ClientError)
    assert address in str(caught.value) and part in str(caught.value)
    assert caught.value.details and caught.value.details in str(caught.value)


def test_version_and_label_exclude_each_other(address):
    with pytest.raises(InvalidRequest, match="Both a version and a label"):
        Client(address, model="support", version=1, label="stable")
    with Client(address, model="support", version=7) as client:
        assert client.classify(["hi"])[0].label == "short"


def test_deadline(address):
    with Client(address, model="support", timeout=0.3) as client:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="within 0.3 s"):
            client.predict({"steps": np.int64(10**9)}, "slow")
        assert time.monotonic() - began < 5


def test_a_slow_connection_is_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        with Client(target, timeout=0.5) as client, pytest.raises(DeadlineExceeded):
            client.classify(["hi"])


def test_unreachable_server(unreachable_address):
    with Client(unreachable_address) as client, pytest.raises(ServerUnavailable) as caught:
        client.classify(["hi"])
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE and unreachable_address in str(
        caught.value
    )


def test_not_tensorflow_serving_at_all():
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"127.0.0.1:{port}") as client, pytest.raises(ServerFault, match="UNIMPLEMENTED"):
        client.classify(["hi"])
    server.stop(0).wait()


def test_wait_until_ready(tmp_path, unreachable_address):
    save_classifier(tmp_path / "support" / "1")
    stop = threading.Event()

    def serve_later():
        time.sleep(0.5)
        with serve(
            f"--port={unreachable_address.rpartition(':')[2]}", support=tmp_path / "support"
        ):
            stop.wait(60)

    with (
        Client(unreachable_address, model="support") as client,
        Client(unreachable_address, model="other") as other,
    ):
        with pytest.raises(DeadlineExceeded, match="was not ready within 0.3 s. No server answers"):
            client.wait_until_ready(timeout=0.3)
        thread = threading.Thread(target=serve_later)
        thread.start()
        try:
            client.wait_until_ready(timeout=30)
            assert client.classify(["hi"])[0].label == "short"
            with pytest.raises(DeadlineExceeded, match="Could not find any versions"):
                other.wait_until_ready(timeout=2)
        finally:
            stop.set()
            thread.join()


def test_the_client_imports_neither_tensorflow_nor_tfpipe(address):
    script = f"""
import sys
from serving.client import Client
with Client("{address}", model="support") as client:
    assert client.classify(["Where is my card?"])[0].label == "long"
    client.metadata(), client.status()
from serving.client.answers import CLASSIFY
from serving.client import AsyncClient
roots = {{name.partition(".")[0] for name in sys.modules}}
forbidden = {{"tensorflow", "tensorflow_serving", "tfpipe", "transformers", "keras", "torch"}}
assert not roots & forbidden, roots & forbidden
assert not any(name.startswith("serving.server") for name in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_client_is_light():
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("memory is read from /proc")
    script = f"""
import serving.client
lines = open("{status}").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True)
    assert int(done.stdout) < 60 * 1024, "KiB at most"

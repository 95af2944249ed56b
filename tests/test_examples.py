"""The examples for client applications run as they are written."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from fastapi.testclient import TestClient
from google.protobuf import json_format
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.client import AsyncClient, ClientError
from tests.serving_models import save_classifier, serve
from tests.support.waiting import free_port

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "1", info={"task": "classify"})
    port = free_port()
    with serve(f"--rest_api_port={port}", support=folder / "support") as application:
        yield application


@pytest.fixture
def nobody():
    """An address where nothing listens."""
    port = free_port()
    return f"127.0.0.1:{port}"


def run_script(*argv, target, stdin=""):
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "classify.py"), *argv],
        env={**os.environ, "TARGET": target, "PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_script(application):
    done = run_script("hi", "Where is my parcel?", target=application.grpc_address)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [(label, text) for label, _, text in rows] == [
        ("short", "hi"),
        ("long", "Where is my parcel?"),
    ]
    assert all(0 <= float(score) <= 1 for _, score, _ in rows)
    done = run_script(target=application.grpc_address, stdin="hi\n卡在哪里\n")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["short", "long"]


def test_script_tells_errors_in_a_sentence(application):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "classify.py"), "hi"],
        env={**os.environ, "TARGET": "http://localhost:1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "http://localhost:1" in done.stderr


@pytest.fixture
def load_app(monkeypatch):
    """load_app(target, model): the module of the FastAPI example, for that server."""

    def load_app(target, model="support"):
        monkeypatch.setenv("TARGET", target)
        monkeypatch.setenv("MODEL", model)
        name = "examples_fastapi_app"
        found = importlib.util.spec_from_file_location(name, EXAMPLES / "fastapi_app.py")
        assert found and found.loader
        module = importlib.util.module_from_spec(found)
        monkeypatch.setitem(sys.modules, name, module)
        found.loader.exec_module(module)
        return module

    return load_app


def test_fastapi_answers(application, load_app):
    module = load_app(application.grpc_address)
    with TestClient(module.app) as web:
        assert web.get("/ready").json() == {"ready": True}
        answer = web.post("/classify", json={"texts": ["hi", "Where is my parcel?"]})
        assert answer.status_code == 200
        assert [row["label"] for row in answer.json()] == ["short", "long"]
        assert set(answer.json()[0]) == {"label", "score"}
        client = module.app.state.client
        assert isinstance(client, AsyncClient)
        # One client for all requests.
        assert web.post("/classify", json={"texts": []}).json() == []
        assert module.app.state.client is client
        for wrong in ({"texts": "hi"}, {"texts": ["x" * 10_001]}, {"texts": ["x"] * 257}, {}):
            assert web.post("/classify", json=wrong).status_code == 422


def test_fastapi_maps_errors(application, load_app, nobody):
    cases = [(nobody, "support"), (application.grpc_address, "suport")]
    for target, model in cases:
        with TestClient(load_app(target, model).app) as web:
            answer = web.post("/classify", json={"texts": ["hi"]})
            assert answer.status_code == 503 and answer.headers["Retry-After"] == "1"
            # Nothing about the inside goes out.
            assert target not in answer.text and web.get("/ready").status_code == 503


def test_fastapi_status_of_each_error(load_app):
    import serving.client as client

    choose_status = load_app("localhost:8500").choose_status
    expected = {
        client.InvalidRequest: 502,
        client.ModelNotFound: 503,
        client.ServerUnavailable: 503,
        client.ServerOverloaded: 429,
        client.DeadlineExceeded: 504,
        client.AccessDenied: 502,
        client.ServerFault: 502,
        ClientError: 502,
    }
    for kind, status in expected.items():
        assert choose_status(kind("why", grpc.StatusCode.UNKNOWN))[0] == status, kind
    assert choose_status(client.InvalidRequest("a text of two kinds")) == (
        400,
        "a text of two kinds",
    )


def test_the_grpcurl_request_is_what_the_server_takes(application):
    """Its JSON is protobuf's own, read here into the official message and sent."""
    (body,) = re.findall(r"-d '(\{\"modelSpec.*?)' *\\\n", README, re.DOTALL)
    request = json_format.Parse(body, predict_pb2.PredictRequest())
    with grpc.insecure_channel(application.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(request, timeout=60)
    assert request.inputs["text"].string_val == [b"Where is my parcel?"]
    assert response.outputs["label"].string_val == [b"long"]


def test_the_rest_call_is_what_the_server_takes(application):
    (command,) = [text for kind, text in BLOCKS if kind == "bash" and text.startswith("curl")]
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    address = application.rest_address
    done = subprocess.run(
        ["bash", "-c", command.replace("localhost:8501", address)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    shown = json.loads(next(text for kind, text in BLOCKS if kind == "json"))
    answer = json.loads(done.stdout)
    assert [row["label"] for row in answer["predictions"]] == ["long", "long"]
    assert [set(row) for row in answer["predictions"]] == [set(row) for row in shown["predictions"]]


def test_the_readme_names_files_that_are_there():
    for name in re.findall(r"`(\w+\.py)`", README):
        assert (EXAMPLES / name).is_file(), name
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {
        "README.md",
        "classify.py",
        "fastapi_app.py",
    }


def test_the_readme_names_every_proto_file_that_is_needed():
    """The closure of the imports of the installed services."""
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    def collect(descriptor, seen):
        if descriptor.name not in seen:
            seen.add(descriptor.name)
            for imported in descriptor.dependencies:
                collect(imported, seen)
        return seen

    needed = collect(prediction_service_pb2.DESCRIPTOR, set())
    needed = collect(model_service_pb2.DESCRIPTOR, needed)
    for name in needed:
        if not name.startswith("google/"):
            assert re.search(rf"\b{Path(name).stem}\b", README), name

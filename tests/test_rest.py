"""The REST interface of a running server: routes, codes, headers, metrics, health, draining."""

from __future__ import annotations

import gzip
import json
import shutil
import threading

import pytest
from tensorflow_serving.config import model_server_config_pb2

from serving.server import metrics
from serving.server.application import Application
from serving.server.errors import StartError, StartFailure
from serving.server.flags import parse_flags
from tests.rest_calls import ask, call, connect, dial, read_all
from tests.serving_models import save_classifier, save_echo, save_half_plus_two, serve
from tests.support.waiting import free_port, wait_until

MODEL = "/v1/models/half"
ROWS = {"instances": [1.0, 2.0]}
HALVES = {"predictions": [2.5, 3.0]}
LONG_RUN = 10**9


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_half_plus_two(folder / "half" / "123")
    shutil.copytree(folder / "half" / "123", folder / "half" / "124")
    save_classifier(folder / "classifier" / "1")
    save_echo(folder / "echo" / "1")
    return {path.name: path for path in folder.iterdir()}


def monitoring(folder, text: str) -> str:
    path = folder / "monitoring.config"
    path.write_text(text)
    return f"--monitoring_config_file={path}"


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    flag = monitoring(tmp_path_factory.mktemp("config"), "prometheus_config { enable: true }")
    with serve(f"--rest_api_port={free_port()}", flag, **models) as application:
        config = model_server_config_pb2.ModelServerConfig()
        for name, path in models.items():
            one = config.model_config_list.config.add(
                name=name, base_path=str(path), model_platform="tensorflow"
            )
            if name == "half":
                one.model_version_policy.all.SetInParent()
        application.manager.reload(config)
        wait_until(lambda: application.manager.available()["half"] == [124, 123])
        config.model_config_list.config[list(models).index("half")].version_labels["old one"] = 123
        application.manager.reload(config)
        yield application


@pytest.fixture(scope="module")
def address(server):
    return server.rest_address


def predict(address, body, model=MODEL, **headers):
    return ask(address, "POST", f"{model}:predict", body, headers)


def count(model: str, status: str) -> int:
    wanted = f':tensorflow:serving:request_count{{model_name="{model}",status="{status}"}} '
    lines = metrics.exposition().splitlines()
    return sum(int(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


@pytest.mark.parametrize("version", ["", "/versions/123", "/versions/124", "/labels/old%20one"])
def test_predict(address, version):
    assert predict(address, ROWS, MODEL + version) == (200, HALVES)
    columns = {"signature_name": "serving_default", "inputs": {"x": [3.0, 4.0]}}
    assert predict(address, columns, MODEL + version) == (200, {"outputs": [3.5, 4.0]})


def test_predict_with_several_outputs(address):
    body = {"instances": ["a", "0123456789abc"]}
    status, answer = predict(address, body, "/v1/models/classifier")
    assert status == 200
    assert [row["label"] for row in answer["predictions"]] == ["short", "long"]
    assert all(set(row) == {"label", "score", "scores"} for row in answer["predictions"])


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint64", "bool", "string", "uint8"])
def test_dtypes_there_and_back(address, dtype):
    values = {"bool": [[True], [False]], "string": [["a\n\u00e9"], ['\x00"']]}
    values = values.get(dtype, [[1], [2]])
    body = {"signature_name": dtype, "instances": values}
    assert predict(address, body, "/v1/models/echo") == (200, {"predictions": values})


def test_dtypes_without_json(address):
    model = "/v1/models/echo"
    assert predict(address, {"signature_name": "float16", "inputs": [1]}, model)[0] == 501
    assert predict(address, {"signature_name": "float16", "instances": [1]}, model)[0] == 400
    status, answer = predict(address, {"signature_name": "bfloat16", "inputs": []}, model)
    assert (status, answer) == (200, {"outputs": []})


def test_bytes_come_back_as_they_were(address):
    body = b'{"signature_name": "string", "instances": ["\xff\xfe\\u00e9"]}'
    status, _, content = call(address, "POST", "/v1/models/echo:predict", body)
    assert status == 200 and b'"\xff\xfe\xc3\xa9"' in content


def test_bare_words_there_and_back(address):
    body = b'{"signature_name": "float64", "instances": [NaN, Infinity, -Infinity]}'
    status, _, content = call(address, "POST", "/v1/models/echo:predict", body)
    assert status == 200 and b"[NaN, Infinity, -Infinity" in content


def test_classify_and_regress(address):
    one = {"signature_name": "classify_x_to_y", "examples": [{"x": 20.0}, {"x": 10.0}]}
    assert ask(address, "POST", f"{MODEL}:classify", one) == (
        200,
        {"results": [[["", 12.0]], [["", 7.0]]]},
    )
    body = {"signature_name": "classify_x_to_both", "context": {"x": 20.0}, "examples": [{}]}
    assert ask(address, "POST", f"{MODEL}/versions/123:classify", body) == (
        200,
        {"results": [[["12.0", 12.0], ["13.0", 13.0]]]},
    )
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": [80.0]}]}
    assert ask(address, "POST", f"{MODEL}/labels/old%20one:regress", body) == (
        200,
        {"results": [42.0]},
    )


def test_status(address):
    def state(version):
        status = {"error_code": "OK", "error_message": ""}
        return {"version": version, "state": "AVAILABLE", "status": status}

    both = {"model_version_status": [state("124"), state("123")]}
    assert ask(address, "GET", MODEL) == (200, both)
    assert ask(address, "GET", f"{MODEL}/labels/none") == (200, both)
    one = {"model_version_status": [state("123")]}
    assert ask(address, "GET", f"{MODEL}/versions/123") == (200, one)


@pytest.mark.parametrize("version", ["", "/versions/124", "/labels/old%20one"])
def test_metadata(address, version):
    status, answer = ask(address, "GET", f"{MODEL}{version}/metadata")
    number = "123" if "label" in version else "124"
    assert status == 200
    assert answer["model_spec"] == {"name": "half", "signature_name": "", "version": number}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["regress_x_to_y"]["method_name"] == "tensorflow/serving/regress"
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"


@pytest.mark.parametrize(
    ("line", "body", "status", "details"),
    [
        ("GET /v1/models", None, 400, "Missing model name in request."),
        ("GET /v1/foo?a=b", None, 400, "Malformed request: GET /v1/foo?a=b"),
        ("PUT /v1/models/half", "{}", 400, "Malformed request: PUT /v1/models/half"),
        ("POST /v1/models/half:PREDICT", "{}", 400,
         "Malformed request: POST /v1/models/half:PREDICT"),
        ("POST /v1/models/no%20:predict", '{"instances": [1]}', 404,
         "Servable not found for request: Latest(no )"),
        ("POST /v1/models/half/versions/0:predict", '{"instances": [1]}', 404,
         "Servable not found for request: Specific(half, 0)"),
        ("POST /v1/models/half/labels/new:predict", '{"instances": [1]}', 400,
         "Unrecognized servable version label: new"),
        ("POST /v1/models/no:predict", "", 400, "JSON Parse error: The document is empty"),
        ("POST /v1/models/half:predict", "instances = [1, 2]", 400,
         "JSON Parse error: Invalid value. at offset: 0"),
        ("POST /v1/models/half:predict", '{"signature_name": "no", "instances": [1]}', 400,
         'Serving signature name: "no" not found in signature def'),
        ("POST /v1/models/half:predict", '{"signature_name": 100}', 400,
         'JSON Value: {\n    "signature_name": 100\n} not formatted correctly. '
         "'signature_name' key must be a string value."),
        ("POST /v1/models/half:regress", '{"signature_name": "no", "examples": [{}]}', 400,
         "No signature was found with the name: no"),
        ("POST /v1/models/no:classify", '{"examples": [{}]}', 404,
         "Servable not found for request: Latest(no)"),
        ("GET /v1/models/no", None, 404, "Could not find any versions of model no"),
        ("GET /v1/models/half/versions/9", None, 404, "Could not find version 9 of model half"),
        ("GET /v1/models/no/metadata", None, 404, "Servable not found for request: Latest(no)"),
    ],
)  # fmt: skip
def test_refusals(address, line, body, status, details):
    assert ask(address, *line.split(), body) == (status, {"error": details})


def test_errors_are_not_cut(address):
    name = "x" * 3000
    _, answer = predict(address, {"signature_name": name, "instances": [1]})
    assert name in answer["error"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_version_beyond_int64_has_an_empty_answer(address, method):
    path = f"{MODEL}/versions/{2**63}" + (":predict" if method == "POST" else "")
    status, headers, body = call(address, method, path, "{}" if method == "POST" else None)
    assert (status, body, headers["Content-Type"]) == (400, b"", "application/json")


@pytest.mark.parametrize("path", ["/", "/nope", "/v1", "/v2/models/half", "/monitoring"])
def test_nothing_lies_beside_v1(address, path):
    status, headers, body = call(address, "GET", path)
    assert status == 404 and headers["Content-Type"].startswith("text/html")
    assert b"<H1>Not Found</H1>" in body


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://x", 200), ("https://x", 200), ("null", 400), ("ftp://x", 400), (None, 400)],
)
def test_options_want_an_origin(address, origin, status):
    headers = {} if origin is None else {"Origin": origin}
    answered, headers, body = call(address, "OPTIONS", f"{MODEL}:predict", None, headers)
    assert (answered, body) == (status, b"")
    assert "Access-Control-Allow-Origin" not in headers


def test_gzip(address):
    packed = gzip.compress(json.dumps(ROWS).encode())
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    status, answered, content = call(address, "POST", f"{MODEL}:predict", packed, headers)
    assert (status, json.loads(content)) == (200, HALVES)
    assert "Content-Encoding" not in answered


def test_a_connection_serves_many_requests(address):
    connection = connect(address)
    for _ in range(3):
        connection.request("POST", f"{MODEL}:predict", json.dumps(ROWS))
        answer = connection.getresponse()
        assert json.loads(answer.read()) == HALVES
    connection.request("POST", f"{MODEL}:predict", iter([b'{"instances": ', b"[1.0, 2.0]}"]))
    assert json.loads(connection.getresponse().read()) == HALVES
    connection.close()


def test_requests_may_be_sent_ahead(address):
    request = f"GET {MODEL} HTTP/1.1\r\nHost: x\r\n{{}}\r\n"
    with dial(address) as connection:
        sent = request.format("") * 5 + request.format("Connection: close\r\n")
        connection.sendall(sent.encode())
        assert read_all(connection).count(b"HTTP/1.1 200 OK") == 6


def test_a_client_may_ask_before_it_sends_the_body(address):
    body = json.dumps(ROWS).encode()
    head = f"POST {MODEL}:predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    with dial(address) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(body)
        assert b'"predictions": [2.5, 3.0' in read_all(connection)


def test_large_bodies_there_and_back(address):
    texts = [f"{number:>100}" for number in range(20_000)]
    body = {"signature_name": "string", "instances": texts}
    assert predict(address, body, "/v1/models/echo") == (200, {"predictions": texts})


def test_every_request_is_counted_once(address):
    before = [count("half", "OK"), count("half", "INVALID_ARGUMENT"), count("", "INVALID_ARGUMENT")]
    predict(address, ROWS)
    ask(address, "GET", MODEL)
    ask(address, "GET", f"{MODEL}/metadata")
    predict(address, "{")
    # This one ran, and then its answer could not be written.
    predict(address, {"signature_name": "classify_x_to_y", "instances": [1]})
    ask(address, "GET", "/v1/nope")
    after = [count("half", "OK"), count("half", "INVALID_ARGUMENT"), count("", "INVALID_ARGUMENT")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [3, 2, 1]


def test_metrics(address):
    predict(address, ROWS)
    ask(address, "GET", MODEL)
    status, headers, body = call(address, "GET", "/monitoring/prometheus/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    page = body.decode()
    assert "# TYPE :tensorflow:serving:request_count counter\n" in page
    latency = ':tensorflow:serving:request_latency_count{model_name="half",API="%s",'
    for api in ("predict", ""):
        assert latency % api + 'entrypoint="REST"} ' in page


def test_health(address):
    def get(path):
        status, _, body = call(address, "GET", path)
        return status, body.decode().strip()

    assert get("/healthz") == (200, "ok")
    for path in ("", "/half", "/half/versions/123"):
        assert get("/readyz" + path) == (200, "ok")
    assert get("/readyz/no") == (503, "no version of model no is available")
    assert get("/readyz/half/versions/9") == (503, "version 9 of model half is not available")
    assert get("/readyz/half/9")[0] == 503


def test_cors_and_a_place_for_the_metrics(models, tmp_path):
    flag = monitoring(tmp_path, 'prometheus_config { enable: true path: "/numbers" }')
    with serve(
        f"--rest_api_port={free_port()}",
        "--rest_api_enable_cors_support",
        flag,
        half=models["half"],
    ) as application:
        address = application.rest_address
        for method, path in [("GET", MODEL), ("GET", "/v1/no"), ("OPTIONS", MODEL)]:
            _, headers, _ = call(address, method, path, None, {"Origin": "http://x"})
            assert headers["Access-Control-Allow-Origin"] == "*"
            assert headers["Access-Control-Allow-Methods"] == "POST, GET"
            assert headers["Access-Control-Allow-Headers"] == "Content-Type"
        assert call(address, "GET", "/numbers")[0] == 200
        assert call(address, "GET", "/monitoring/prometheus/metrics")[0] == 404


def test_the_metrics_may_lie_below_v1(models, tmp_path):
    flag = monitoring(tmp_path, 'prometheus_config { enable: true path: "/v1/numbers" }')
    with serve(f"--rest_api_port={free_port()}", flag, half=models["half"]) as application:
        status, _, body = call(application.rest_address, "GET", "/v1/numbers")
        assert status == 200 and body.startswith(b"# TYPE ")
        assert call(application.rest_address, "GET", "/v1/other")[0] == 400


@pytest.mark.parametrize("text", ["", "prometheus_config { enable: false }"])
def test_without_monitoring_there_are_no_metrics(models, tmp_path, text):
    flag = monitoring(tmp_path, text)
    with serve(f"--rest_api_port={free_port()}", flag, half=models["half"]) as application:
        path = "/monitoring/prometheus/metrics"
        assert call(application.rest_address, "GET", path)[0] == 404


def test_a_monitoring_config_that_is_none(tmp_path):
    flag = monitoring(tmp_path, "prometheus_config { on: yes }")
    name = flag.partition("=")[2]
    with pytest.raises(StartFailure, match=f"INVALID_ARGUMENT: Invalid protobuf file: '{name}'"):
        Application(parse_flags([flag]))
    with pytest.raises(StartFailure, match="NOT_FOUND: .*/no; No such file or directory"):
        Application(parse_flags([f"--monitoring_config_file={tmp_path}/no"]))


def test_a_port_that_is_taken(models):
    with serve(f"--rest_api_port={free_port()}", half=models["half"]) as application:
        port = application.rest_address.rpartition(":")[2]
        with (
            pytest.raises(StartError, match="--rest_api_port"),
            serve(f"--rest_api_port={port}", half=models["half"]),
        ):
            pass


def slow(address, steps, outcomes=None):
    body = {"signature_name": "slow", "inputs": steps}
    outcome = predict(address, body, "/v1/models/classifier")
    if outcomes is not None:
        outcomes.append(outcome)
    return outcome


def start(work, *arguments) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


def test_a_run_that_takes_too_long(models):
    with serve(
        f"--rest_api_port={free_port()}",
        "--rest_api_timeout_in_ms=300",
        classifier=models["classifier"],
    ) as application:
        before = count("classifier", "DEADLINE_EXCEEDED")
        status, answer = slow(application.rest_address, LONG_RUN)
        assert status == 504 and answer["error"]
        wait_until(lambda: count("classifier", "DEADLINE_EXCEEDED") == before + 1)


def test_expired_and_cancelled_requests_are_not_run(models):
    with serve(
        f"--rest_api_port={free_port()}",
        "--rest_api_num_threads=1",
        "--max_concurrent_requests=2",
        "--rest_api_timeout_in_ms=100000",
        classifier=models["classifier"],
    ) as application:
        address, name = application.rest_address, "classifier"
        before = {status: count(name, status) for status in ("CANCELLED", "RESOURCE_EXHAUSTED")}
        first, second, third = (connect(address) for _ in range(3))
        body = json.dumps({"signature_name": "slow", "inputs": LONG_RUN})
        for number, connection in enumerate([first, second, third], 1):
            connection.request("POST", "/v1/models/classifier:predict", body)
            wait_until(lambda number=number: application.rest.active_requests == number)
        # One is worked on, two are waiting: there is no place for a fourth, but for the health.
        assert slow(address, 1)[0] == 429
        assert count(name, "RESOURCE_EXHAUSTED") == before["RESOURCE_EXHAUSTED"] + 1
        assert call(address, "GET", "/healthz")[0] == 200
        second.close()
        third.close()
        wait_until(lambda: count(name, "CANCELLED") == before["CANCELLED"] + 2)
        first.close()


def test_draining_finishes_what_runs(models):
    outcomes: list = []
    with serve(
        f"--rest_api_port={free_port()}", "--drain_seconds=100", classifier=models["classifier"]
    ) as application:
        address = application.rest_address
        idle = connect(address)
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        running = start(slow, address, 300, outcomes)
        wait_until(lambda: application.rest.active_requests == 1)
    running.join()
    assert outcomes[0][0] == 200
    with pytest.raises(ConnectionError):
        dial(address)
    assert idle.sock.recv(1) == b""
    idle.close()

"""Counters, histograms, their page, and the lines of the request log."""

from __future__ import annotations

import itertools
import json
import re

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    regression_pb2,
)

from serving.server import metrics, request_log
from serving.server.metrics import OVERFLOW, Counter, Histogram
from tests.serving_calls import (
    PREDICT,
    Code,
    model_stub,
    predict_request,
    prediction_stub,
    refusal,
)
from tests.serving_models import make_example, save_classifier, save_half_plus_two, serve
from tests.support.waiting import wait_until

numbers = itertools.count()


@pytest.fixture
def name():
    """A metric's name of this test's own; metrics are one set for the process."""
    name = f":test:{next(numbers)}"
    yield name
    metrics._metrics.pop(name, None)


def samples(prefix):
    """value by name and labels, of the page's lines that begin so."""
    lines = (line.rsplit(" ", 1) for line in metrics.exposition().splitlines())
    return {sample: float(value) for sample, value in lines if sample.startswith(prefix)}


def test_counters_are_lines_with_labels_or_empty_braces(name):
    counter = Counter(name, ("model_name", "status"))
    assert f"# TYPE {name} counter\n" in metrics.exposition()
    assert samples(name) == {}
    counter.increase("m", "OK")
    counter.increase("m", "OK", by=4)
    counter.increase('a"b\\c\nd', "OK")
    assert samples(name) == {
        f'{name}{{model_name="m",status="OK"}}': 5,
        f'{name}{{model_name="a\\"b\\\\c\\nd",status="OK"}}': 1,
    }
    assert counter.total() == 6
    Counter(name).increase()
    assert samples(name) == {f"{name}{{}}": 1}


def test_histograms_are_cumulative_with_33_bounds_and_infinity(name):
    histogram = Histogram(name, ("model_name",))
    for value in (10, 11, 18, 1e12):
        histogram.observe(value, "m")
    page = samples(name)
    bucket = f'{name}_bucket{{model_name="m",le="%s"}}'
    assert [page[bucket % bound] for bound in ("10", "18", "32.4", "+Inf")] == [1, 3, 3, 4]
    assert sum("_bucket" in sample for sample in page) == 34
    assert page[f'{name}_sum{{model_name="m"}}'] == 1e12 + 39
    assert page[f'{name}_count{{model_name="m"}}'] == 4
    order = [line for line in metrics.exposition().splitlines() if line.startswith(name)]
    assert order[-2].startswith(f"{name}_sum") and order[-1].startswith(f"{name}_count")


def test_every_line_of_the_page_is_prometheus_text():
    sample = r':[A-Za-z0-9_:]+\{([A-Za-z_]+="(\\.|[^"\\])*",?)*\} [0-9.e+-]+'
    for line in metrics.exposition().splitlines():
        assert re.fullmatch(rf"# TYPE \S+ (counter|histogram)|{sample}", line), line


def test_made_up_names_are_counted_together_from_a_thousand_on(name, monkeypatch):
    monkeypatch.setattr(metrics, "_served_names", set())
    counter = Counter(name, ("model_name", "status"))
    for number in range(3000):
        counter.increase(f"made up {number}", "NOT_FOUND")
    counter.increase("x" * 10_000, "NOT_FOUND")
    assert len(samples(name)) == metrics.LABELS_LIMIT + 1
    assert samples(name)[f'{name}{{model_name="{OVERFLOW}",status="NOT_FOUND"}}'] == 2001
    metrics.keep_label("support")
    counter.increase("support", "OK")
    assert samples(name)[f'{name}{{model_name="support",status="OK"}}'] == 1
    histogram = Histogram(name, ("model_name",))
    for number in range(1500):
        histogram.observe(1, f"made up {number}")
    assert histogram.total() == 1500
    assert samples(name)[f'{name}_count{{model_name="{OVERFLOW}"}}'] == 500


def test_totals_go_by_either_name(name):
    counter = Counter(name, ("model",))
    counter.increase("a")
    counter.increase("b")
    other = name.replace(":", "/")
    assert metrics.read_totals([other, name, "/not/there"]) == {other: 2, name: 2, "/not/there": 0}


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7")
    save_half_plus_two(folder / "half" / "3")
    return folder


@pytest.fixture
def models(exports):
    return {"support": exports / "support", "half": exports / "half"}


def grown(before, prefix):
    after = samples(prefix)
    return {key: value - before.get(key, 0) for key, value in after.items()
            if value != before.get(key, 0)}  # fmt: skip


def test_grpc_counts_the_three_inference_calls_only(models):
    count, latency = (
        ":tensorflow:serving:request_count",
        ":tensorflow:serving:request_latency_count",
    )
    with (
        serve(**models) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        stub = prediction_stub(channel)
        before = samples(":")
        stub.Predict(predict_request(text=["a", "b"]), timeout=60)
        refusal(stub.Predict, predict_request(model="suport", text=["a"]))
        refusal(stub.Predict, predict_request("nothing", text=["a"]))
        metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["x"])
        refusal(stub.GetModelMetadata, metadata)
        status = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "support"})
        model_stub(channel).GetModelStatus(status, timeout=60)
        refusal(stub.MultiInference, inference_pb2.MultiInferenceRequest())
        refusal(channel.unary_unary(PREDICT), b"\xff")
        assert grown(before, count) == {
            count + '{model_name="support",status="OK"}': 1,
            count + '{model_name="suport",status="NOT_FOUND"}': 1,
            count + '{model_name="support",status="FAILED_PRECONDITION"}': 1,
        }
        assert grown(before, latency) == {
            latency + '{model_name="support",API="Predict",entrypoint="GRPC"}': 1
        }
        ours = ":tfpipe:serving:request_count"
        labels = '{model_name="support",version="7",signature="%s",api="Predict",status="%s"}'
        version = grown(before, ours)
        assert version[ours + labels % ("serving_default", "OK")] == 1
        # A signature that the model does not have is the client's text, and no label.
        assert version[ours + labels % ("", "FAILED_PRECONDITION")] == 1
        assert sum(version.values()) == 7


def test_examples_are_counted(models):
    with (
        serve(**models) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        stub = prediction_stub(channel)
        before = samples(":tensorflow:serving:request_example_count")
        classify = classification_pb2.ClassificationRequest(
            model_spec={"name": "half", "signature_name": "classify_x_to_y"}
        )
        classify.input.example_list.examples.extend([make_example(x=1.0)] * 3)
        stub.Classify(classify, timeout=60)
        regress = regression_pb2.RegressionRequest(
            model_spec={"name": "half", "signature_name": "regress_x_to_y"}
        )
        regress.input.example_list.examples.extend([make_example(x=1.0)] * 2)
        stub.Regress(regress, timeout=60)
    found = grown(before, ":tensorflow:serving:request_example_count")
    name = ":tensorflow:serving:request_example_count"
    assert found[name + '_total{model="half"}'] == 5
    assert found[name + 's_count{model="half"}'] == 2
    assert found[name + 's_bucket{model="half",le="2"}'] == 1


def read_lines(capsys, count):
    """This many JSON lines of standard error."""
    shown = []

    def enough():
        shown.append(capsys.readouterr().err)
        lines = [line for line in "".join(shown).splitlines() if line.startswith("{")]
        return lines if len(lines) >= count else None

    return [json.loads(line) for line in wait_until(enough)]


SECRET = "my card ends in 4242"


def test_a_request_is_a_line_without_its_text(models, capsys):
    with serve("--request_log=all", **models) as application:
        with grpc.insecure_channel(application.grpc_address) as channel:
            stub = prediction_stub(channel)
            stub.Predict(predict_request(text=[SECRET, SECRET]), timeout=60)
            code, details = refusal(stub.Predict, predict_request("refuse", text=[SECRET]))
            assert SECRET in details
            wrong = predict_request(SECRET, text=[SECRET])
            assert refusal(stub.Predict, wrong)[0] is Code.FAILED_PRECONDITION
            refusal(stub.Predict, predict_request(x=np.ones([1, 3], np.float32)))
            status = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "support"})
            model_stub(channel).GetModelStatus(status, timeout=60)
        lines = read_lines(capsys, 5)
    assert SECRET not in json.dumps(lines) and "4242" not in json.dumps(lines)
    first = lines[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first.pop("milliseconds") > 0
    assert first == {
        "model": "support",
        "version": 7,
        "signature": "serving_default",
        "api": "Predict",
        "entrypoint": "GRPC",
        "status": "OK",
        "rows": 2,
    }
    assert [(line["signature"], line["status"]) for line in lines[1:]] == [
        ("refuse", "INVALID_ARGUMENT"),
        (None, "FAILED_PRECONDITION"),
        ("serving_default", "INVALID_ARGUMENT"),
        (None, "OK"),
    ]
    assert lines[4]["api"] == "GetModelStatus"


def test_errors_only_and_nothing_at_all(models, capsys):
    for mode, wanted in (("errors", ["NOT_FOUND"]), ("off", [])):
        with (
            serve(f"--request_log={mode}", **models) as application,
            grpc.insecure_channel(application.grpc_address) as channel,
        ):
            stub = prediction_stub(channel)
            stub.Predict(predict_request(text=["a"]), timeout=60)
            refusal(stub.Predict, predict_request(model="x" * 5000, text=["a"]))
        # Stopping writes what is left.
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        entries = [json.loads(line) for line in lines]
        assert [entry["status"] for entry in entries] == wanted
        assert all(len(entry["model"]) < 200 for entry in entries)


def test_an_overloaded_log_drops_and_counts_lines(capsys, monkeypatch):
    monkeypatch.setattr(request_log, "LINES_LIMIT", 10)
    monkeypatch.setattr(request_log, "WRITE_EVERY_SECONDS", 60)
    log = request_log.RequestLog("all")
    entry = request_log.LogEntry("m", "", "", "Predict", "GRPC", "OK", 1.0, None, 0.0)
    for _ in range(25):
        log.add(entry)
    log.close()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == 11 and lines[-1] == {"dropped_lines": 15}
    assert lines[0]["time"] == "1970-01-01T00:00:00.000Z"

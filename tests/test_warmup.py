"""Warm-up: what a version's file of recorded requests does before it takes traffic."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.server import metrics
from serving.server.errors import RequestError
from serving.server.flags import parse_flags
from serving.server.inference.loaded_model import LoadedModel
from serving.server.inference.warmup import REQUESTS_FILE, warm_up
from serving.server.lifecycle.loader import Loader
from tests.serving_models import make_example, save_half_plus_two

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half") / "1"
    save_half_plus_two(folder)
    return folder


@pytest.fixture
def folder(saved):
    """The SavedModel's folder, without a warm-up file before and after."""
    path = saved / REQUESTS_FILE
    path.parent.mkdir(exist_ok=True)
    yield saved
    path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def model(saved):
    return LoadedModel("half", 1, saved)


def write(folder, *records):
    with tf.io.TFRecordWriter(str(folder / REQUESTS_FILE)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())


def log_of(kind, signature="", value=2.0, name="recorded elsewhere"):
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, kind).request
    if kind == "multi_inference_log":
        task = request.tasks.add(method_name="tensorflow/serving/regress")
        task.model_spec.name, task.model_spec.signature_name = name, signature
    else:
        request.model_spec.name, request.model_spec.signature_name = name, signature
    if kind == "predict_log":
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([[value]])))
    else:
        request.input.example_list.examples.append(make_example(x=value))
    return log


EVERY_KIND = [
    log_of("predict_log"),
    log_of("classify_log", "classify_x_to_y"),
    log_of("regress_log", "regress_x_to_y"),
    log_of("multi_inference_log", "regress_x_to_y2"),
]


def refuse(model, folder):
    with pytest.raises(RequestError) as caught:
        warm_up(model, folder)
    return caught.value.code, caught.value.details


def test_no_file_is_fine(model, folder):
    before = metrics.WARMUP_LATENCY.total()
    warm_up(model, folder)
    assert metrics.WARMUP_LATENCY.total() == before


@pytest.mark.parametrize("iterations, times", [(0, 1), (1, 1), (3, 3)])
def test_every_kind_is_replayed(model, folder, iterations, times):
    write(folder, *EVERY_KIND)
    runs, warmed = metrics.RUNTIME_LATENCY.total(), metrics.WARMUP_LATENCY.total()
    warm_up(model, folder, iterations)
    assert metrics.RUNTIME_LATENCY.total() == runs + 4 * times
    assert metrics.WARMUP_LATENCY.total() == warmed + 1
    assert f'model_path="{folder}",status="OK"' in metrics.exposition()


def test_a_record_without_a_log_is_skipped(model, folder):
    write(folder, prediction_log_pb2.PredictionLog(), EVERY_KIND[0])
    warm_up(model, folder)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda log: log.WhichOneof("log_type"))
def test_a_failing_record_s_own_code_counts(model, folder, kind):
    broken = prediction_log_pb2.PredictionLog()
    broken.CopyFrom(kind)
    request = getattr(broken, kind.WhichOneof("log_type")).request
    tasks = getattr(request, "tasks", None)
    (tasks[0] if tasks else request).model_spec.signature_name = "gone"
    write(folder, EVERY_KIND[0], broken)
    code, details = refuse(model, folder)
    predicting = kind.WhichOneof("log_type") == "predict_log"
    assert code is (Code.FAILED_PRECONDITION if predicting else Code.INVALID_ARGUMENT)
    assert "gone" in details


def test_a_file_that_is_not_a_tfrecord(model, folder):
    (folder / REQUESTS_FILE).write_bytes(EVERY_KIND[0].SerializeToString())
    code, details = refuse(model, folder)
    assert code is Code.DATA_LOSS
    assert details.endswith(". Please verify your warmup data is in TFRecord format.")


def test_a_file_that_was_cut(model, folder):
    write(folder, EVERY_KIND[0], EVERY_KIND[0])
    path = folder / REQUESTS_FILE
    path.write_bytes(path.read_bytes()[:-3])
    assert refuse(model, folder)[0] is Code.DATA_LOSS


def test_a_record_that_is_not_a_prediction_log(model, folder):
    write(folder, b"\xff\xff")
    code, details = refuse(model, folder)
    assert code is Code.INVALID_ARGUMENT
    assert details.startswith("Failed to parse warmup record: ")
    assert details.endswith(f" from {folder / REQUESTS_FILE}")


@pytest.mark.parametrize("kind, number", [("session_run_log", 5), ("predict_streamed_log", 7)])
def test_logs_that_cannot_be_replayed(model, folder, kind, number):
    log = prediction_log_pb2.PredictionLog()
    getattr(log, kind).SetInParent()
    write(folder, log)
    assert refuse(model, folder) == (
        Code.UNIMPLEMENTED,
        f"Unsupported log_type for warmup: {number}",
    )


def test_a_thousand_records_and_no_more(model, folder):
    write(folder, *[EVERY_KIND[0]] * 1000)
    warm_up(model, folder)
    write(folder, *[EVERY_KIND[0]] * 1001)
    assert refuse(model, folder) == (
        Code.INVALID_ARGUMENT,
        "Number of warmup records exceeds the maximum (1000) at " + str(folder / REQUESTS_FILE),
    )


def test_the_flag_turns_it_off(folder):
    write(folder, log_of("predict_log", "gone"))
    base = f"--model_base_path={folder.parent}"
    with pytest.raises(RequestError, match='Serving signature key "gone" not found.'):
        Loader(parse_flags([base])).load("half", 1, folder)
    Loader(parse_flags([base, "--enable_model_warmup=false"])).load("half", 1, folder).close()


def test_the_flag_sets_the_repetitions(folder):
    write(folder, EVERY_KIND[0])
    flags = parse_flags([f"--model_base_path={folder}", "--num_request_iterations_for_warmup=5"])
    runs = metrics.RUNTIME_LATENCY.total()
    Loader(flags).load("half", 1, folder).close()
    assert metrics.RUNTIME_LATENCY.total() == runs + 5

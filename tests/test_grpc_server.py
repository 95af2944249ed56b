"""The gRPC front: statuses, limits, health, sockets, options and draining."""

from __future__ import annotations

import socket
import threading

import grpc
import pytest
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    regression_pb2,
)

from serving.server import metrics
from serving.server.errors import StartError
from serving.server.rpc.grpc_server import read_channel_arguments, remove_stale_socket
from serving.server.rpc.resilient_pool import ResilientThreadPool
from serving.server.rpc.unary_handler import truncate_details
from tests.serving_calls import (
    PREDICT,
    Code,
    model_stub,
    predict_request,
    prediction_stub,
    refusal,
    start_slow,
)
from tests.serving_models import save_classifier, serve
from tests.support.waiting import free_port, wait_until


@pytest.fixture(scope="module")
def support(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "support"
    save_classifier(folder / "7")
    return folder


@pytest.fixture(scope="module")
def application(support):
    with serve(support=support) as application:
        yield application


@pytest.fixture(scope="module")
def channel(application):
    with grpc.insecure_channel(application.grpc_address) as channel:
        yield channel


TEXT = predict_request(text=["where is my card"])


def test_every_method_is_there_and_no_other(channel):
    prediction, model = prediction_stub(channel), model_stub(channel)
    missing = (Code.INVALID_ARGUMENT, "Missing ModelSpec")
    assert prediction.Predict(TEXT, timeout=60).model_spec.version.value == 7
    assert refusal(prediction.Classify, classification_pb2.ClassificationRequest()) == missing
    assert refusal(prediction.Regress, regression_pb2.RegressionRequest()) == missing
    assert refusal(prediction.MultiInference, inference_pb2.MultiInferenceRequest()) == (
        Code.INVALID_ARGUMENT,
        "ModelSpec has no name specified.",
    )
    metadata = get_model_metadata_pb2.GetModelMetadataRequest()
    assert refusal(prediction.GetModelMetadata, metadata) == missing
    assert refusal(model.GetModelStatus, get_model_status_pb2.GetModelStatusRequest()) == missing
    code, details = refusal(
        model.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()
    )
    assert code is Code.INVALID_ARGUMENT and details.startswith("ServerModelConfig type not")
    for other in (
        "/tensorflow.serving.SessionService/SessionRun",
        "/tensorflow.serving.PredictionService/PredictStreamed",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Check",
    ):
        assert refusal(channel.unary_unary(other), b"")[0] is Code.UNIMPLEMENTED


def test_status_of_a_missing_version_names_it(channel):
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "other"})
    assert refusal(model_stub(channel).GetModelStatus, request) == (
        Code.NOT_FOUND,
        "Could not find any versions of model other",
    )
    request.model_spec.version.value = 3
    assert refusal(model_stub(channel).GetModelStatus, request) == (
        Code.NOT_FOUND,
        "Could not find version 3 of model other",
    )


def test_reload_returns_the_increase_of_metrics(support, tmp_path):
    with (
        serve(support=support) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        request = model_management_pb2.ReloadConfigRequest()
        for name in ("support", "second"):
            request.config.model_config_list.config.add(
                name=name, base_path=str(support), model_platform="tensorflow"
            )
        request.metric_names.extend(["/tensorflow/serving/request_count", "/no/such/metric"])
        response = model_stub(channel).HandleReloadConfigRequest(request, timeout=60)
        assert response.HasField("status") and response.status.error_code == 0
        grown = {metric.name: metric.int64_value_increase for metric in response.metric}
        assert grown == {"/tensorflow/serving/request_count": 0, "/no/such/metric": 0}
        second = predict_request(model="second", text=["hi"])
        assert prediction_stub(channel).Predict(second, timeout=60).model_spec.name == "second"

        del request.config.model_config_list.config[1:]
        request.config.model_config_list.config.add(name="third", base_path="relative")
        before = metrics.read_totals(["/tensorflow/serving/request_count"])
        code, details = refusal(model_stub(channel).HandleReloadConfigRequest, request)
        assert code is Code.INVALID_ARGUMENT and "third" in details
        assert metrics.read_totals(["/tensorflow/serving/request_count"]) == before


@pytest.mark.parametrize(
    "details, shown",
    [
        ("short", "short"),
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024 + "...TRUNCATED"),
        ("a\udc80b", "a?b"),
        ("é" * 1024, "é" * 1024),
        ("é" * 2000, "é" * 1024 + "...TRUNCATED"),
        ("x" + "語" * 1023, "x" + "語" * 682 + "...TRUNCATED"),
    ],
    ids=["short", "at the limit", "above", "surrogate", "wide", "wide above", "too many bytes"],
)
def test_details_are_cut_as_tensorflow_serving_cuts_them(details, shown):
    assert truncate_details(details) == shown


@pytest.mark.parametrize("name", ["a\n\0\x7f", "é語😀" * 2000, "%00%", "x" * 100_000])
def test_any_name_comes_back_in_the_details(channel, name):
    code, details = refusal(prediction_stub(channel).Predict, predict_request(model=name))
    assert code is Code.NOT_FOUND
    assert details.startswith(f"Servable not found for request: Latest({name[:300]}")
    assert details.endswith("...TRUNCATED" if len(name) > 1024 else ")")


def test_calls_above_the_limit_are_rejected(support):
    with (
        serve("--max_concurrent_requests=1", support=support) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        stub = prediction_stub(channel)
        slow = start_slow(stub)
        assert refusal(stub.Predict, TEXT)[0] is Code.RESOURCE_EXHAUSTED
        assert not slow.done()
        slow.cancel()


def test_bytes_that_wait_are_bounded_but_one_request_always_passes(support):
    with serve("--max_pending_bytes=2000", support=support) as application:
        pending = application.service.pending
        with grpc.insecure_channel(application.grpc_address) as channel:
            stub = prediction_stub(channel)
            large = predict_request(text=["x" * 5000])
            assert stub.Predict(large, timeout=60).outputs["label"].string_val == [b"long"]
            wait_until(lambda: pending.total == 0)
            start_slow(stub)
            code, details = refusal(stub.Predict, large)
            assert code is Code.RESOURCE_EXHAUSTED and "limit 2000" in details
            assert stub.Predict(TEXT, timeout=60).outputs["label"].string_val == [b"long"]
    wait_until(lambda: pending.total == 0)


def test_cancelled_requests_are_not_run(support):
    with (
        serve("--grpc_max_threads=1", support=support) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        stub = prediction_stub(channel)
        start_slow(stub)
        refused = metrics.VERSION_REQUEST_COUNT.total()
        assert refusal(stub.Predict, TEXT, timeout=0.2)[0] is Code.DEADLINE_EXCEEDED
        wait_until(lambda: metrics.VERSION_REQUEST_COUNT.total() > refused)
        pending = application.service.pending.total
        waiting = stub.Predict.future(TEXT, timeout=60)
        wait_until(lambda: application.service.pending.total > pending)
        waiting.cancel()
        # Metadata and status do not wait behind models that run.
        request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "support"})
        assert model_stub(channel).GetModelStatus(request, timeout=60).model_version_status
        runs = metrics.RUN_TIME.total()
    wait_until(lambda: application.service.pending.total == 0)
    assert metrics.RUN_TIME.total() == runs
    # Neither got as far as a version.
    start = ':tfpipe:serving:request_count{model_name="support",version="",'
    page = [line for line in metrics.exposition().splitlines() if line.startswith(start)]
    assert any('status="DEADLINE_EXCEEDED"' in line for line in page)
    assert any('status="CANCELLED"' in line for line in page)


def test_an_answer_that_is_not_fetched_counts_until_the_client_is_given_up(support):
    with (
        serve("--max_transfer_seconds=1", support=support) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        pending = application.service.pending
        # To gRPC's client this is a stream, of which it reads nothing that is not asked for.
        request = predict_request(text=[b"x"] * 500_000).SerializeToString()
        answers = channel.unary_stream(PREDICT)(request, timeout=600)
        wait_until(lambda: pending.total > 2 * len(request))
        wait_until(lambda: not pending.total)
        answers.cancel()


def test_a_socket_alone_with_port_0_or_beside_the_port(support, tmp_path):
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    with serve(f"--grpc_socket_path={path}", support=support) as application:
        assert application.grpc_address == f"unix:{path}"
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert prediction_stub(channel).Predict(TEXT, timeout=60).outputs
        with pytest.raises(StartError, match="a server listens on"):
            remove_stale_socket(path)
    assert not path.exists()
    port = free_port()
    with serve(f"--port={port}", f"--grpc_socket_path={path}", support=support) as application:
        assert application.grpc_address == f"127.0.0.1:{port}"
        for address in (application.grpc_address, f"unix:{path}"):
            with grpc.insecure_channel(address) as channel:
                assert prediction_stub(channel).Predict(TEXT, timeout=60).outputs


def test_a_socket_path_that_is_something_else_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("keep")
    with pytest.raises(StartError, match="is not a socket"):
        remove_stale_socket(path)
    assert path.read_text() == "keep"
    remove_stale_socket(tmp_path / "nothing")


def test_channel_arguments_reach_grpc(support):
    assert read_channel_arguments("") == {}
    assert read_channel_arguments("grpc.a=-5,b=x=y,c=") == {"grpc.a": -5, "b": "x=y", "c": ""}
    with pytest.raises(StartError, match="write name=value"):
        read_channel_arguments("grpc.a")
    argument = "--grpc_channel_arguments=grpc.max_receive_message_length=1000"
    with (
        serve(argument, support=support) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        stub = prediction_stub(channel)
        assert stub.Predict(TEXT, timeout=60).outputs
        large = predict_request(text=["x" * 5000])
        assert refusal(stub.Predict, large)[0] is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("compression", list(grpc.Compression))
def test_requests_larger_than_allowed_are_refused_packed_or_not(support, compression):
    with (
        serve("--max_request_bytes=20000", support=support) as application,
        grpc.insecure_channel(application.grpc_address, compression=compression) as channel,
    ):
        stub = prediction_stub(channel)
        large = predict_request(text=["x" * 5_000_000])
        assert refusal(stub.Predict, large)[0] is Code.RESOURCE_EXHAUSTED
        small = predict_request(text=["x" * 10_000])
        assert stub.Predict(small, timeout=60).outputs["label"].string_val == [b"long"]


def test_draining_rejects_new_requests_and_finishes_running_ones(support):
    with (
        serve("--drain_seconds=60", support=support) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        slow = start_slow(prediction_stub(channel), steps=1000)
        stopping = threading.Thread(target=application.grpc.stop(60).wait)
        stopping.start()

        def is_refused():
            # A channel of its own each: one may still have a connection from before.
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(application.grpc_address, options) as other:
                try:
                    other.unary_unary(PREDICT)(TEXT.SerializeToString(), timeout=60)
                except grpc.RpcError as error:
                    return error.code() is Code.UNAVAILABLE
                return False

        wait_until(is_refused)
        assert slow.result().outputs["sum"].float_val
        stopping.join()


def test_without_another_thread_work_waits_for_those_there_are(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    pool, gate, done = ResilientThreadPool(4), threading.Event(), threading.Event()
    first = pool.submit(gate.wait)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        pool.submit(done.set)
    assert not done.is_set() and not first.done()
    gate.set()
    assert done.wait(60)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(done.set)

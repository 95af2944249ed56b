"""--enable_batching with real SavedModels: which are batched, how, and the same answers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.server.batching.batch_scheduler import BatchScheduler
from serving.server.batching.batcher import Batcher
from serving.server.batching.parameters import BatchingParameters
from serving.server.errors import RequestError
from serving.server.flags import parse_flags
from serving.server.inference.loaded_model import LoadedModel
from serving.server.lifecycle.loader import Loader
from serving.server.request import RequestContext
from tests.blocking_batcher import PATIENCE
from tests.serving_models import DTYPES, LABELS, save_classifier, save_echo, serve
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """A classifier (version 7) and an echo (version 1), saved once."""
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7", info={"task": "classify"})
    save_echo(folder / "echo" / "1")
    return folder


@pytest.fixture(scope="module")
def echo(exports):
    return LoadedModel("echo", 1, exports / "echo" / "1")


def make_values(dtype: tf.DType) -> list[np.ndarray]:
    """Three requests: of one row, of two, and of two that are wider."""
    if dtype == tf.string:
        return [
            np.array([[b"", b"\xff\x00"]], dtype=object),
            np.array([[b"a", b"b"], [b"", b"d" * 1000]], dtype=object),
            np.array([[b"a"] * 3, [b"b"] * 3], dtype=object),
        ]
    shapes = (1, 2), (2, 2), (2, 3)
    return [
        (np.arange(np.prod(shape)).reshape(shape) % 2 * 3).astype(dtype.as_numpy_dtype)
        for shape in shapes
    ]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_every_dtype_goes_through_a_batch_unchanged(echo, dtype):
    signature = echo.signatures[dtype.name]
    x, y = signature.inputs["x"].name, signature.outputs["y"].name
    sizes, begun, go = [], threading.Semaphore(0), threading.Event()

    def run_held(feeds, fetches, timeout):
        sizes.append(len(feeds[x]))
        begun.release()
        assert go.wait(PATIENCE)
        return echo.run_unbatched(feeds, fetches, timeout)

    batcher = Batcher(run_held, BatchingParameters(), BatchScheduler("test_threads", 1))
    values = make_values(dtype)
    with ThreadPoolExecutor(len(values) + 1) as pool:
        busy = pool.submit(batcher.run, {x: values[0]}, [y], RequestContext())
        assert begun.acquire(timeout=PATIENCE)
        futures = [pool.submit(batcher.run, {x: value}, [y], RequestContext()) for value in values]
        wait_until(lambda: batcher.waiting == 5)
        go.set()
        for future, value in zip([busy, *futures], [values[0], *values], strict=True):
            [(datatype, answer)] = future.result(PATIENCE)
            assert datatype == dtype.as_datatype_enum
            assert answer.dtype == value.dtype and answer.shape == value.shape
            assert answer.tolist() == value.tolist()
    batcher.close()
    assert sorted(sizes) == [1, 2, 3]


def load(exports, *argv: str) -> LoadedModel:
    return Loader(parse_flags(list(argv))).load("support", 7, exports / "support" / "7")


def classify(model: LoadedModel, texts: list[bytes]) -> list[bytes]:
    signature = model.signatures["serving_default"]
    feeds = {signature.inputs["text"].name: np.array(texts, dtype=object)}
    return model.run(feeds, [signature.outputs["label"].name], RequestContext())[0][1].tolist()


def test_the_flags_say_which_models_are_batched(exports, tmp_path):
    path = tmp_path / "parameters.pbtxt"
    path.write_text("max_batch_size { value: 2 }")
    given = f"--batching_parameters_file={path}"
    per_model = "--enable_per_model_batching_parameters"
    long, short = b"where is my card", b"hi"
    for argv, batched, limit in [
        ([], False, None),
        ([per_model], False, None),
        (["--enable_batching"], True, 1000),
        (["--enable_batching", given], True, 2),
        (["--enable_batching", given, per_model], False, None),
    ]:
        model = load(exports, *argv)
        assert (model.batcher is not None) == batched
        assert classify(model, [long, short]) == [LABELS[1].encode(), LABELS[0].encode()]
        if limit:
            with pytest.raises(RequestError, match=f"larger than maximum input batch size {limit}"):
                classify(model, [short] * (limit + 1))
        model.close()


def test_a_version_has_parameters_of_its_own(exports, tmp_path):
    common = tmp_path / "parameters.pbtxt"
    common.write_text(
        'max_batch_size { value: 2 } thread_pool_name { value: "own_pool" } '
        "num_batch_threads { value: 3 }"
    )
    file = exports / "support" / "7" / "batching_params.pbtxt"
    argv = [
        "--enable_batching",
        "--enable_per_model_batching_parameters",
        f"--batching_parameters_file={common}",
    ]
    try:
        file.write_text("max_batch_size { value: 3 } num_batch_threads { value: 50 }")
        model = load(exports, *argv)
        assert classify(model, [b"hi"] * 3) == [LABELS[0].encode()] * 3
        with pytest.raises(RequestError, match="larger than maximum input batch size 3"):
            classify(model, [b"hi"] * 4)
        pool = [thread for thread in threading.enumerate() if "own_pool" in thread.name]
        assert len(pool) == 3
        model.close()
        file.write_text("max_batch_size { value: 3 } allowed_batch_sizes: 2")
        with pytest.raises(RequestError) as caught:
            load(exports, *argv)
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details == (
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 2; "
            "expected 3"
        )
        file.write_text("nonsense")
        with pytest.raises(RequestError, match="Invalid protobuf file: "):
            load(exports, *argv)
    finally:
        file.unlink()
    for thread in pool:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_padding_of_widths_causes_a_warning(exports, tmp_path, caplog):
    path = tmp_path / "parameters.pbtxt"
    path.write_text("pad_variable_length_inputs: true")
    load(exports, "--enable_batching", f"--batching_parameters_file={path}").close()
    assert "pad_variable_length_inputs" in caplog.text


def test_a_batching_server_answers_as_any_other(exports, tmp_path):
    path = tmp_path / "parameters.pbtxt"
    path.write_text(
        "max_batch_size { value: 8 } allowed_batch_sizes: [2, 8] "
        "batch_timeout_micros { value: 1000 }"
    )
    argv = ["--enable_batching", f"--batching_parameters_file={path}"]
    with serve(*argv, support=exports / "support") as server:
        channel = grpc.insecure_channel(server.grpc_address)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def make_request(signature="", **inputs):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "support"
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            return request

        lengths = [number % 19 for number in range(60)]
        asked = [
            stub.Predict.future(make_request(text=["x" * length]), timeout=PATIENCE)
            for length in lengths
        ]
        for length, future in zip(lengths, asked, strict=True):
            outputs = future.result().outputs
            assert outputs["label"].string_val == [LABELS[length > 10].encode()]
            assert [dim.size for dim in outputs["scores"].tensor_shape.dim] == [1, 2]
            # No two lengths have the same score.
            expected = 1 / (1 + np.exp((20 - 2 * length) / 5))
            assert outputs["scores"].float_val[1] == pytest.approx(expected, abs=1e-6)
        # No inputs, so nothing to put together.
        info = stub.Predict(make_request("info"), timeout=PATIENCE).outputs["info"]
        assert info.string_val == [b'{"task": "classify"}']

        def refuse(request):
            with pytest.raises(grpc.RpcError) as caught:
                stub.Predict(request, timeout=PATIENCE)
            return caught.value.code(), caught.value.details()

        assert refuse(make_request(text=["hi"] * 9)) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "Task size 9 is larger than maximum input batch size 8",
        )
        assert refuse(make_request("slow", steps=np.int64(1))) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "Batching Run() input tensors must have at least one dimension",
        )
        code, details = refuse(make_request("refuse", text=["hi"]))
        assert code is grpc.StatusCode.INVALID_ARGUMENT and "assertion failed" in details
        # `total` has no row for each text.
        assert refuse(make_request("multiply", x=np.ones((1, 3), np.float32))) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "Batched output tensor has 0 dimensions",
        )
        code, details = refuse(make_request("multiply", x=np.ones((1, 3), np.int64)))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "to be float but int64 is provided" in details
        channel.close()

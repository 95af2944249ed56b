"""serving.server as the official client stubs see it: answers and refusals."""

from __future__ import annotations

import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.errors import RequestError
from serving.server.inference.tensor_protos import write_tensor
from tests.serving_models import DTYPES, save_classifier, save_echo, serve

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """A classifier (version 7) and an echo of every dtype, saved once."""
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7")
    save_echo(folder / "echo" / "1")
    return folder


@pytest.fixture(scope="module")
def address(exports):
    with serve(support=exports / "support", echo=exports / "echo") as application:
        yield application.grpc_address


@pytest.fixture(scope="module")
def channel(address):
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture(scope="module")
def prediction(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def model_service(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def make_request(signature="", model="support", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        is_proto = isinstance(value, tensor_pb2.TensorProto)
        request.inputs[name].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
    return request


def ask(method, request, timeout=20):
    """(code, details) of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        method(request, timeout=timeout)
    return caught.value.code(), caught.value.details()


def test_predict_answers_in_typed_fields_and_names_what_answered(prediction):
    response = prediction.Predict(make_request(text=["hi", "where is my card"]), timeout=20)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("support", 7, "serving_default")
    assert list(response.outputs["label"].string_val) == [b"short", b"long"]
    scores = response.outputs["scores"]
    assert [dim.size for dim in scores.tensor_shape.dim] == [2, 2]
    assert len(scores.float_val) == 4 and not scores.tensor_content
    assert list(response.outputs["score"].float_val) == [scores.float_val[0], scores.float_val[3]]


def test_output_filter_selects_outputs(prediction):
    request = make_request("multiply", x=np.ones([1, 3], np.float32))
    assert set(prediction.Predict(request, timeout=20).outputs) == {"product", "total"}
    request.output_filter.append("product")
    response = prediction.Predict(request, timeout=20)
    assert list(response.outputs) == ["product"]
    assert list(response.outputs["product"].float_val) == [9.0, 12.0]


def test_fields_for_servers_that_stream_are_ignored(prediction):
    request = make_request(text=["hi"])
    request.predict_streamed_options.request_state = 1
    request.client_id = b"somebody"
    request.request_options.deterministic_mode = 1
    assert list(prediction.Predict(request, timeout=20).outputs["label"].string_val) == [b"short"]


def test_signature_without_inputs_answers_a_scalar(prediction):
    response = prediction.Predict(make_request("info"), timeout=20)
    assert list(response.outputs["info"].string_val) == [b"{}"]
    assert not response.outputs["info"].tensor_shape.dim


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_every_dtype_passes_in_both_forms(prediction, dtype):
    numbers = np.arange(6).reshape(2, 3)
    for array in (numbers, numbers[:, :0], np.array(1)):
        if dtype == tf.string:
            array = np.vectorize(lambda n: b"\0\xff" * n, otypes=[object])(array)
        array = array.astype(dtype.as_numpy_dtype)
        typed = tensor_pb2.TensorProto()
        write_tensor(dtype.as_datatype_enum, array, typed)
        np.testing.assert_array_equal(tf.make_ndarray(typed), array)

        request = make_request(dtype.name, "echo", x=typed)
        answer = prediction.Predict(request, timeout=20).outputs["y"]
        assert answer == typed
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(array, dtype, array.shape))
        assert prediction.Predict(request, timeout=20).outputs["y"] == typed


def test_equal_elements_may_be_abbreviated_in_requests_but_never_in_answers(prediction):
    few = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT8, int_val=[1, 300, -1])
    few.tensor_shape.dim.add(size=5)
    answer = prediction.Predict(make_request("int8", "echo", x=few), timeout=20).outputs["y"]
    # 300 wraps to 44, as a C++ cast does.
    assert list(answer.int_val) == [1, 44, -1, -1, -1]
    none = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING)
    none.tensor_shape.dim.add(size=2)
    answer = prediction.Predict(make_request("string", "echo", x=none), timeout=20).outputs["y"]
    assert list(answer.string_val) == [b"", b""]


def without_model_spec(request):
    request.ClearField("model_spec")


def with_spec(**fields):
    def change(request):
        for name, value in fields.items():
            if name == "version":
                request.model_spec.version.value = value
            else:
                setattr(request.model_spec, name, value)

    return change


def with_inputs(**inputs):
    def change(request):
        request.ClearField("inputs")
        request.MergeFrom(make_request(**inputs))

    return change


def with_outputs(*names):
    return lambda request: request.output_filter.extend(names)


TEXT = ["hi"]
REFUSALS = {
    "no model_spec": (without_model_spec, Code.INVALID_ARGUMENT, "Missing ModelSpec"),
    "no name": (with_spec(name=""), Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
    "unknown model": (
        with_spec(name="suport"),
        Code.NOT_FOUND,
        "Servable not found for request: Latest(suport)",
    ),
    "unknown version": (
        with_spec(version=3),
        Code.NOT_FOUND,
        "Servable not found for request: Specific(support, 3)",
    ),
    "version 0 is not the latest": (
        with_spec(version=0),
        Code.NOT_FOUND,
        "Servable not found for request: Specific(support, 0)",
    ),
    "unknown label": (
        with_spec(version_label="stable"),
        Code.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable",
    ),
    "unknown label of an unknown model": (
        with_spec(name="suport", version_label="stable"),
        Code.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable",
    ),
    "unknown signature": (
        with_spec(signature_name="idz"),
        Code.FAILED_PRECONDITION,
        'Serving signature key "idz" not found.',
    ),
    "surplus input": (
        with_inputs(text=TEXT, b=TEXT, a=TEXT),
        Code.INVALID_ARGUMENT,
        "input size does not match signature: 3!=1 len({a,b,text}) != len({text}). "
        "Sent extra: {a,b}. Missing but required: {}.",
    ),
    "missing input": (
        with_inputs(),
        Code.INVALID_ARGUMENT,
        "input size does not match signature: 0!=1 len({}) != len({text}). "
        "Sent extra: {}. Missing but required: {text}.",
    ),
    "wrong input name": (
        with_inputs(texts=TEXT),
        Code.INVALID_ARGUMENT,
        "Signature input alias: text(feed name: serving_default_text:0) not found in request and "
        "no default value provided. Inputs expected to be in the request {texts}, "
        "or default input alias set: ",
    ),
    "wrong dtype": (
        with_inputs(text=[1.5]),
        Code.INVALID_ARGUMENT,
        "Expects arg[0] to be string but float is provided",
    ),
    "unknown output": (
        with_outputs("labels"),
        Code.INVALID_ARGUMENT,
        "output tensor alias not found in signature: labels "
        "Outputs expected to be in the set {label,score,scores}.",
    ),
    "output twice": (
        with_outputs("label", "label"),
        Code.INVALID_ARGUMENT,
        "duplicate output tensor alias: label",
    ),
}


@pytest.mark.parametrize("change, code, details", REFUSALS.values(), ids=list(REFUSALS))
def test_refusals_have_the_contract_s_codes_and_texts(prediction, change, code, details):
    request = make_request(text=TEXT)
    change(request)
    assert ask(prediction.Predict, request) == (code, details)


def test_the_runtime_s_own_errors_come_through(prediction):
    wide = make_request("multiply", x=np.ones([1, 4], np.float32))
    code, details = ask(prediction.Predict, wide)
    assert code is Code.INVALID_ARGUMENT and details.startswith("Matrix size-incompatible: In[0]")
    code, details = ask(prediction.Predict, make_request("refuse", text=["x" * 5000]))
    assert code is Code.INVALID_ARGUMENT and details.startswith("assertion failed: [")
    assert details.endswith("...TRUNCATED") and len(details) == 1024 + len("...TRUNCATED")
    code, details = ask(prediction.Predict, make_request("refuse", text=[b"\xff\xfe"]))
    assert code is Code.INVALID_ARGUMENT and details.startswith("assertion failed: [\ufffd\ufffd]")
    code, _ = ask(prediction.Predict, make_request("__saved_model_init_op"))
    assert code is Code.INVALID_ARGUMENT


def test_the_deadline_ends_the_run(prediction):
    request = make_request("slow", steps=np.int64(10**9))
    began = time.monotonic()
    assert ask(prediction.Predict, request, timeout=0.5)[0] is Code.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 5


def make_tensor(dtype=types_pb2.DT_FLOAT, shape=(2,), **fields):
    proto = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


UNSOUND = {
    "negative dimension": make_tensor(shape=(-2,), float_val=[1]),
    "two negative dimensions": make_tensor(shape=(-2, -1), float_val=[1, 2]),
    "huge shape": make_tensor(shape=(2**40,), float_val=[1]),
    "shape that overflows": make_tensor(shape=(2**62, 2**62), float_val=[1]),
    "empty but overflowing": make_tensor(shape=(2**62, 2**62, 0, -1)),
    "huge strings": make_tensor(types_pb2.DT_STRING, shape=(2**33,)),
    "content too short": make_tensor(tensor_content=b"\0" * 4),
    "content too long": make_tensor(tensor_content=b"\0" * 12),
    "content cut inside a number": make_tensor(tensor_content=b"\0" * 7),
    "content of strings that do not add up": make_tensor(
        types_pb2.DT_STRING, tensor_content=b"\1\2ab"
    ),
    "content of more strings than bytes": make_tensor(
        types_pb2.DT_STRING, shape=(2**40,), tensor_content=b"\1\1ab"
    ),
    "content of strings with an endless length": make_tensor(
        types_pb2.DT_STRING, tensor_content=b"\x80" * 64
    ),
    "100 dimensions": make_tensor(shape=(1,) * 100, float_val=[1]),
    "no dtype": make_tensor(types_pb2.DT_INVALID),
    "unknown dtype": make_tensor(999),
    "reference dtype": make_tensor(types_pb2.DT_FLOAT_REF, float_val=[1, 2]),
    "resource": make_tensor(types_pb2.DT_RESOURCE),
    "variant": make_tensor(types_pb2.DT_VARIANT, shape=(0,)),
    "a boolean of 255": make_tensor(types_pb2.DT_BOOL, tensor_content=b"\1\xff"),
}


@pytest.mark.parametrize("proto", UNSOUND.values(), ids=list(UNSOUND))
def test_unsound_tensors_are_refused_and_the_server_lives(prediction, proto):
    request = make_request("float32", "echo", x=proto)
    assert ask(prediction.Predict, request) == (
        Code.INVALID_ARGUMENT,
        "tensor parsing error: x",
    )
    assert prediction.Predict(make_request(text=TEXT), timeout=20).outputs["label"].string_val


def test_signature_defaults_fill_in_and_foreign_names_are_refused():
    from serving.server.inference.predict import read_inputs

    signature = tf.compat.v1.MetaGraphDef().signature_def["s"]
    signature.inputs["a"].name, signature.inputs["b"].name = "a:0", "b:0"
    signature.defaults["b"].CopyFrom(tf.make_tensor_proto(np.float32(2)))
    feeds = read_inputs(signature, make_request(a=np.float32(1)).inputs)
    assert {name: float(array) for name, array in feeds.items()} == {"a:0": 1.0, "b:0": 2.0}
    with pytest.raises(RequestError, match=r"Inputs contains invalid name. Used request inputs: a"):
        read_inputs(signature, make_request(a=np.float32(1), c=np.float32(1)).inputs)


def test_metadata_is_what_the_saved_model_stores(prediction):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    assert ask(prediction.GetModelMetadata, request) == (Code.INVALID_ARGUMENT, "Missing ModelSpec")
    request.model_spec.name = "support"
    response = prediction.GetModelMetadata(request, timeout=20)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("support", 7, "")
    found = response.metadata["signature_def"]
    assert found.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert found.Unpack(signatures)
    assert "__saved_model_init_op" in signatures.signature_def
    assert set(signatures.signature_def["serving_default"].outputs) == {"label", "score", "scores"}

    request.metadata_field.append("weights")
    assert ask(prediction.GetModelMetadata, request) == (
        Code.INVALID_ARGUMENT,
        "Metadata field weights is not supported",
    )
    del request.metadata_field[:]
    assert ask(prediction.GetModelMetadata, request) == (
        Code.INVALID_ARGUMENT,
        "GetModelMetadataRequest must specify at least one metadata_field",
    )


def test_status_lists_versions(model_service):
    request = get_model_status_pb2.GetModelStatusRequest()
    assert ask(model_service.GetModelStatus, request) == (
        Code.INVALID_ARGUMENT,
        "Missing ModelSpec",
    )
    request.model_spec.name = "support"
    (status,) = model_service.GetModelStatus(request, timeout=20).model_version_status
    assert (status.version, status.state, status.status.error_code) == (7, 30, 0)
    request.model_spec.version.value = 8
    assert ask(model_service.GetModelStatus, request) == (
        Code.NOT_FOUND,
        "Could not find version 8 of model support",
    )
    request.model_spec.Clear()
    request.model_spec.name = "other"
    assert ask(model_service.GetModelStatus, request) == (
        Code.NOT_FOUND,
        "Could not find any versions of model other",
    )


def test_the_session_service_is_not_served(channel):
    run = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    assert ask(run, b"")[0] is Code.UNIMPLEMENTED

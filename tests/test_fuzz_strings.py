"""Whatever comes in over the wire gets a status, and the server answers the next one."""

from __future__ import annotations

import contextlib
import random
import socket
import threading

import grpc
import pytest
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import classification_pb2, predict_pb2

from tests.serving_calls import PREDICT, Code, predict_request, prediction_stub, refusal
from tests.serving_models import save_classifier, serve
from tests.support.waiting import wait_until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
TEXT = predict_request(text=["where is my card"])


@pytest.fixture(scope="module")
def support(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "support"
    save_classifier(folder / "7")
    return folder


@pytest.fixture(scope="module")
def application(support):
    with serve(support=support) as application:
        yield application


@pytest.fixture
def channel(application):
    with grpc.insecure_channel(application.grpc_address) as channel:
        yield channel
        assert_answers(channel)


def assert_answers(channel):
    response = prediction_stub(channel).Predict(TEXT, timeout=60)
    assert response.outputs["label"].string_val == [b"long"]


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes, string or message type; its number is below 16."""
    length, size = bytearray(), len(content)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + content


def nested(depth: int) -> bytes:
    """A request with a tensor in a variant in a tensor, so many times."""
    content = b""
    for _ in range(depth):
        content = field(15, field(3, content))
    return field(1, field(1, b"support")) + field(2, field(1, b"text") + field(2, content))


VALID = TEXT.SerializeToString()
MALFORMED = {
    "no protobuf": b"\xff\xff\xff\xff",
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "cut in the middle": VALID[:-3],
    "length beyond the end": b"\x0a\xff\xff\xff\xff\x0f",
    "field number 0": b"\x02\x00",
    "group without an end": b"\x0b",
    "model name that is not UTF-8": field(1, field(1, b"caf\xe9")),
    "signature name that is not UTF-8": field(1, field(3, b"\xff")),
    "label that is not UTF-8": field(1, field(4, b"\xed\xa0\x80")),
    "input name that is not UTF-8": VALID + field(2, field(1, b"\xff") + field(2, b"")),
    "output name that is not UTF-8": VALID + field(3, b"\x80"),
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=list(MALFORMED))
def test_bytes_that_are_no_message_are_internal_as_in_c(channel, message, capfd):
    code, details = refusal(channel.unary_unary(PREDICT), message)
    assert code is Code.INTERNAL
    assert details == "The request cannot be parsed as tensorflow.serving.PredictRequest"
    assert "Traceback" not in capfd.readouterr().err


def test_deep_nesting_is_internal(channel):
    call = channel.unary_unary(PREDICT)
    assert refusal(call, nested(2)) == (Code.INVALID_ARGUMENT, "tensor parsing error: text")
    assert refusal(call, nested(1000))[0] is Code.INTERNAL


def test_unknown_fields_are_ignored(channel):
    answer = channel.unary_unary(PREDICT)(VALID + field(15, b"new"), timeout=60)
    assert predict_pb2.PredictResponse.FromString(answer).outputs


@pytest.mark.parametrize("method", ["Predict", "Classify", "Regress", "MultiInference"])
def test_an_empty_message_is_a_message(channel, method):
    call = channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
    assert refusal(call, b"")[0] is Code.INVALID_ARGUMENT


def tensor(dtype=types_pb2.DT_STRING, shape=(1,), **fields):
    proto = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


UNSOUND = {
    "negative dimension": tensor(shape=(-1,), string_val=[b"a"]),
    "two negative dimensions": tensor(shape=(-2, -3), string_val=[b"a"] * 6),
    "most negative dimension": tensor(shape=(-(2**63),)),
    "huge shape": tensor(shape=(2**40,), string_val=[b"a"]),
    "shape that overflows": tensor(shape=(2**62, 2**62), string_val=[b"a"]),
    "many dimensions": tensor(shape=(1,) * 10_000, string_val=[b"a"]),
    "content of a wrong length": tensor(types_pb2.DT_FLOAT, (2,), tensor_content=b"\0" * 7),
    "strings longer than their content": tensor(tensor_content=b"\5a"),
    "no type": tensor(types_pb2.DT_INVALID),
    "unknown enum": tensor(9999),
    "negative enum": tensor(-1),
}


@pytest.mark.parametrize("proto", UNSOUND.values(), ids=list(UNSOUND))
def test_unsound_tensors_are_refused(channel, proto):
    request = predict_request(text=["x"])
    request.inputs["text"].CopyFrom(proto)
    assert refusal(prediction_stub(channel).Predict, request) == (
        Code.INVALID_ARGUMENT,
        "tensor parsing error: text",
    )


def test_strange_requests_have_the_usual_statuses(channel):
    stub = prediction_stub(channel)
    many = predict_request(**{f"input_{n}": ["x"] for n in range(2000)})
    code, details = refusal(stub.Predict, many)
    assert code is Code.INVALID_ARGUMENT and details.endswith("...TRUNCATED")
    filters = predict_request(text=["x"])
    filters.output_filter.extend(["label"] * 10_000)
    assert refusal(stub.Predict, filters)[0] is Code.INVALID_ARGUMENT
    version = predict_request(text=["x"])
    version.model_spec.version.value = -(2**63)
    assert refusal(stub.Predict, version) == (
        Code.NOT_FOUND,
        f"Servable not found for request: Specific(support, {-(2**63)})",
    )
    classify = classification_pb2.ClassificationRequest(model_spec={"name": "support"})
    assert refusal(stub.Classify, classify)[0] is Code.INVALID_ARGUMENT


def test_a_thousand_damaged_requests_leave_the_server_as_it_was(channel, application, capfd):
    rng = random.Random(5)
    allowed = {
        Code.INTERNAL,
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.FAILED_PRECONDITION,
        Code.RESOURCE_EXHAUSTED,
    }
    call = channel.unary_unary(PREDICT)
    seen = set()
    for _ in range(1000):
        damaged = bytearray(VALID[: rng.choice([len(VALID), rng.randrange(1, len(VALID))])])
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            call(bytes(damaged), timeout=60)
        except grpc.RpcError as error:
            seen.add(error.code())
    assert Code.INTERNAL in seen and seen <= allowed
    wait_until(lambda: application.service.pending.total == 0)
    shown = capfd.readouterr().err
    assert "Traceback" not in shown and "failed with" not in shown


def connect(address):
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=60)


GARBAGE = {
    "nothing": b"",
    "http 1": b"POST /v1/models/support:predict HTTP/1.1\r\nHost: x\r\n\r\n{}",
    "noise": random.Random(1).randbytes(10_000),
    "half a preface": PREFACE[:10],
    "half a frame": PREFACE + SETTINGS + b"\0\0\x40\1\4\0\0",
    "a frame larger than its content": PREFACE + SETTINGS + b"\0\x3f\xff\1\4\0\0\0\1abc",
    "an oversized frame": PREFACE + SETTINGS + b"\xff\xff\xff\0\0\0\0\0\1" + b"x" * 20_000,
    "data without headers": PREFACE + SETTINGS + b"\0\0\1\0\1\0\0\0\1x",
    "headers that cannot be unpacked": PREFACE + SETTINGS + b"\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff",
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_on_the_port_disturbs_nobody(channel, application, content):
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connect(application.grpc_address))
            with contextlib.suppress(ConnectionError):
                connection.sendall(content)
        # All of them are still open, as those of slow clients are.
        assert_answers(channel)


def test_clients_that_never_send_their_message_do_not_block_others(support):
    with (
        serve("--grpc_max_threads=1", "--max_transfer_seconds=2", support=support) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        never = threading.Event()

        def wait():
            never.wait()
            yield b""

        call = channel.stream_unary(PREDICT)
        silent = [call.future(wait()) for _ in range(20)]
        assert_answers(channel)
        # Without a deadline of their own they are given up by the server.
        assert {one.code() for one in silent} == {Code.CANCELLED}
        never.set()
        assert_answers(channel)


def test_a_client_that_ends_without_a_message_is_told(channel):
    assert refusal(channel.stream_unary(PREDICT), iter([]))[0] is Code.CANCELLED

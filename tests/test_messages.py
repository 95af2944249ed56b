"""serving.client's own messages against the official classes, on the wire and in one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    status_pb2,
)

from serving.client import messages
from serving.client.tensor_codec import decode_tensor, encode_tensor
from tests.serving_models import DTYPES

OFFICIAL = {
    "Any": any_pb2.Any,
    "Int64Value": wrappers_pb2.Int64Value,
    "Dim": tensor_shape_pb2.TensorShapeProto.Dim,
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorProto": tensor_pb2.TensorProto,
    "TensorInfo": meta_graph_pb2.TensorInfo,
    "SignatureDef": meta_graph_pb2.SignatureDef,
    "SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
    "StatusProto": status_pb2.StatusProto,
    "ModelVersionStatus": get_model_status_pb2.ModelVersionStatus,
    "GetModelStatusRequest": get_model_status_pb2.GetModelStatusRequest,
    "GetModelStatusResponse": get_model_status_pb2.GetModelStatusResponse,
}
REPOSITORY = Path(__file__).parents[1]
SHAPES = [(), (0,), (3,), (2, 0, 2), (2, 3)]


def describe(descriptor):
    """Number, wire type and cardinality of every field (an enum is an int32 on the wire)."""

    def wire_type(field):
        return FieldDescriptor.TYPE_INT32 if field.enum_type else field.type

    return {
        field.name: (field.number, wire_type(field), field.is_repeated, field.has_presence)
        for field in descriptor.fields
    }


def make_array(dtype: tf.DType, shape: tuple[int, ...]) -> np.ndarray:
    """Values that show sign, size and fraction, where the dtype has them."""
    count = int(np.prod(shape))
    if dtype == tf.string:
        values = [b"", "Wo ist 卡?".encode(), b"\xff\x00\xfe\x00"][:count]
        return np.array(values + [b"x" * 300] * (count - len(values)), dtype=object).reshape(shape)
    numbers = np.linspace(-3.5, 200.25, count) if count > 1 else np.full(count, 7.25)
    if dtype.is_unsigned or dtype == tf.bool:
        numbers = numbers * (numbers > 0)
    if dtype == tf.int8:
        numbers = numbers / 2
    array = numbers.astype(dtype.as_numpy_dtype)
    if dtype.is_complex:
        array = array * (1 - 2j)
    if dtype in (tf.int64, tf.uint64) and count:
        array.flat[-1] = dtype.max
    return array.astype(dtype.as_numpy_dtype).reshape(shape)


@pytest.mark.parametrize("name", list(messages.CLASSES))
def test_declaration_is_the_official_one(name):
    own, official = describe(messages.CLASSES[name].DESCRIPTOR), OFFICIAL[name].DESCRIPTOR
    assert own.items() <= describe(official).items()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_tensor_bytes_equal_the_official_ones(dtype, shape):
    array = make_array(dtype, shape)
    official = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in shape:
        official.tensor_shape.dim.add(size=size)
    if dtype == tf.string:
        official.string_val.extend(array.ravel())
    else:
        official.tensor_content = array.tobytes()

    own = encode_tensor(array)

    assert own.SerializeToString() == official.SerializeToString()
    parsed = tensor_pb2.TensorProto.FromString(own.SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(parsed), array)
    back = decode_tensor(own)
    assert back.dtype == array.dtype and back.shape == shape
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)
def test_typed_fields_are_read_with_the_last_value_repeated(dtype):
    array = make_array(dtype, (2, 3))
    array.reshape(-1)[3:] = array.reshape(-1)[3]
    official = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        official.tensor_shape.dim.add(size=size)
    values = array.reshape(-1)[:4]
    if dtype == tf.string:
        official.string_val.extend(values)
    elif dtype in (tf.float16, tf.bfloat16):
        official.half_val.extend(int(bits) for bits in values.view(np.uint16))
    elif dtype.is_complex:
        field = official.scomplex_val if dtype == tf.complex64 else official.dcomplex_val
        for value in values:
            field.extend([value.real, value.imag])
    else:
        own_field = {
            tf.float32: "float_val",
            tf.float64: "double_val",
            tf.int64: "int64_val",
            tf.bool: "bool_val",
            tf.uint32: "uint32_val",
            tf.uint64: "uint64_val",
        }
        getattr(official, own_field.get(dtype, "int_val")).extend(values.tolist())

    own = messages.TensorProto.FromString(official.SerializeToString())

    assert own.SerializeToString() == official.SerializeToString()
    back = decode_tensor(own)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_request_and_metadata_bytes_equal_the_official_ones():
    def fill(request):
        request.model_spec.name = "support"
        request.model_spec.version.value = -1
        request.model_spec.signature_name = "ids"
        request.inputs["text"].dtype = 7
        request.inputs["text"].string_val.append(b"Where is my card?")
        request.inputs["text_pair"].float_val.extend([1.5, -2.0])
        request.output_filter.extend(["label", "score"])
        return request.SerializeToString(deterministic=True)

    assert fill(messages.PredictRequest()) == fill(predict_pb2.PredictRequest())

    def fill_response(response, signatures):
        info = signatures.signature_def["serving_default"].inputs["text"]
        info.name, info.dtype = "text:0", 7
        info.tensor_shape.dim.add(size=-1)
        response.metadata["signature_def"].type_url = "type.googleapis.com/X"
        response.metadata["signature_def"].value = signatures.SerializeToString()
        return response.SerializeToString(deterministic=True)

    assert fill_response(
        messages.GetModelMetadataResponse(), messages.SignatureDefMap()
    ) == fill_response(
        get_model_metadata_pb2.GetModelMetadataResponse(), get_model_metadata_pb2.SignatureDefMap()
    )


OWN = "from serving.client.messages import PredictRequest as Own"
USERS = """
import tensorflow
from tensorflow_serving.apis.predict_pb2 import PredictRequest as Official
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2
from grpc_health.v1 import health_pb2
"""


@pytest.mark.parametrize("imports", [(OWN, USERS), (USERS, OWN)], ids=["own first", "own last"])
def test_lives_beside_other_users_of_protobuf_in_either_order(imports):
    script = """
official = Official()
official.model_spec.name = "support"
assert Own.FromString(official.SerializeToString()).model_spec.name == "support"
assert Own is not Official
"""
    script = "\n".join([*imports, script])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_bfloat16_is_float32_without_ml_dtypes(monkeypatch):
    array = make_array(tf.bfloat16, (2, 3))
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    back = decode_tensor(encode_tensor(array))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, array.astype(np.float32))


@pytest.mark.parametrize("content", [b"\x00\x01\x02\xff", b""])
def test_any_byte_but_0_is_true(content):
    proto = messages.TensorProto(dtype=10, tensor_content=content)
    proto.tensor_shape.dim.add(size=len(content))
    assert decode_tensor(proto).tolist() == [False, True, True, True][: len(content)]


def test_floats_that_are_not_packed_or_come_in_pieces_are_read():
    # Both are allowed on the wire: field 5 once as a plain float, then twice as packed floats.
    one = np.array([1, 2, 3, 4, 5], "<f4").tobytes()
    wire = b"\x2d" + one[:4] + b"\x2a\x04" + one[4:8] + b"\x2a\x0c" + one[8:]
    proto = messages.TensorProto.FromString(b"\x08\x01" + wire)
    proto.tensor_shape.dim.add(size=5)
    assert decode_tensor(proto).tolist() == [1, 2, 3, 4, 5]


def test_the_official_class_is_decoded_too():
    official = tf.make_tensor_proto(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(decode_tensor(official), np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    "dtype, content, shape, part",
    [
        (1, bytes(8), (3,), "cannot reshape"),
        (1, bytes(7), (2,), "buffer size"),
        (1, b"", (-1,), "not a tensor's"),
        (7, b"", (2, -1), "not a tensor's"),
        (20, b"", (1,), "DataType 20 is not supported"),
        (99, b"", (1,), "DataType 99 is not supported"),
    ],
)
def test_tensors_that_contradict_themselves_are_refused(dtype, content, shape, part):
    proto = messages.TensorProto(dtype=dtype, tensor_content=content)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError, match=part):
        decode_tensor(proto)


def test_strings_from_lists_keep_every_byte():
    proto = encode_tensor(["zero\0", "卡"])
    assert list(proto.string_val) == [b"zero\0", "卡".encode()]
    assert list(encode_tensor([[b"a\0", b"b"]]).string_val) == [b"a\0", b"b"]
    assert list(encode_tensor(np.array(["ab", "c"])).string_val) == [b"ab", b"c"]


def test_big_endian_arrays_are_turned_and_views_packed():
    array = np.arange(6, dtype=">i4").reshape(2, 3)
    np.testing.assert_array_equal(decode_tensor(encode_tensor(array)), array)
    np.testing.assert_array_equal(decode_tensor(encode_tensor(array.T[::2])), array.T[::2])


@pytest.mark.parametrize(
    "value, part",
    [
        (np.array([object()], dtype=object), "neither str nor bytes"),
        (np.array(["2026-01-01"], dtype="datetime64[D]"), "TensorFlow has no dtype"),
        ("lone \ud800 surrogate", "surrogates not allowed"),
        ([[1], [2, 3]], "inhomogeneous"),
    ],
)
def test_values_that_cannot_be_sent(value, part):
    with pytest.raises(ValueError, match=part):
        encode_tensor(value)

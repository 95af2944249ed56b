"""Tensors of the server against TensorFlow's C++: the same protos accepted, to the same bytes."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.server.inference.tensor_protos import (
    DTYPES,
    EXPANSION_LIMIT,
    STRING,
    read_tensor,
    write_tensor,
)

SIZES = st.sampled_from([-1, 0, 1, 1, 2, 2, 3, 2**62])
# None of TensorFlow's dtypes, those without a numpy dtype, and a reference.
FOREIGN = [types_pb2.DT_INVALID, types_pb2.DT_RESOURCE, types_pb2.DT_VARIANT, 99, 101, 999]
FLOATS = st.lists(st.floats(width=32), max_size=7)
INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300)
FIELD_VALUES = {
    "float_val": FLOATS,
    "double_val": FLOATS,
    "int_val": st.lists(INT32, max_size=7),
    "string_val": st.lists(st.binary(max_size=5), max_size=7),
    "scomplex_val": FLOATS,
    "int64_val": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=7),
    "bool_val": st.lists(st.booleans(), max_size=7),
    "dcomplex_val": FLOATS,
    "half_val": st.lists(INT32, max_size=7),
    "uint32_val": st.lists(st.integers(0, 2**32 - 1), max_size=7),
    "uint64_val": st.lists(st.integers(0, 2**64 - 1), max_size=7),
    "float8_val": st.binary(max_size=7),
}


@st.composite
def protos(draw):
    dtype = draw(st.sampled_from([*DTYPES, STRING, *FOREIGN]))
    proto = tensor_pb2.TensorProto(dtype=dtype, version_number=draw(st.integers(0, 3)))
    for size in draw(st.lists(SIZES, max_size=4)):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = draw(st.booleans())
    count = math.prod(dim.size for dim in proto.tensor_shape.dim)
    if 0 < count <= 100 and draw(st.booleans()):
        width = DTYPES[dtype][0].itemsize if dtype in DTYPES else 1
        extra = draw(st.sampled_from([0, 0, 0, 1, -1, width]))
        # Bytes up to 1 are sound booleans and string lengths as well.
        byte = st.integers(0, 1) | st.integers(0, 255)
        length = max(0, count * width + extra)
        proto.tensor_content = bytes(draw(st.lists(byte, min_size=length, max_size=length)))
    fields = [DTYPES[dtype][1]] if dtype in DTYPES else []
    for field in [*fields, "string_val", draw(st.sampled_from(sorted(FIELD_VALUES)))]:
        values = draw(FIELD_VALUES[field])
        if field == "float8_val":
            proto.float8_val = values
        elif not getattr(proto, field):
            getattr(proto, field).extend(values)
    return proto


def ask_tensorflow(proto):
    """The array that Tensor::FromProto makes; None where it refuses."""
    try:
        dtype = tf.dtypes.as_dtype(proto.dtype)
        return tf.io.parse_tensor(proto.SerializeToString(), dtype).numpy()
    except (TypeError, tf.errors.InvalidArgumentError):
        return None


@settings(max_examples=500, deadline=None, derandomize=True)
@given(protos())
def test_what_tensorflow_accepts_is_accepted_and_nothing_else(proto):
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if 2**62 in shape and -1 not in shape:
        # TensorFlow would try to get the memory, and numpy has its own limits for empty ones.
        if 0 not in shape:
            with pytest.raises(ValueError):
                read_tensor(proto)
        return
    wanted = ask_tensorflow(proto)
    if wanted is None:
        with pytest.raises(ValueError):
            read_tensor(proto)
        return
    found = read_tensor(proto)
    assert list(found.shape) == shape
    if proto.dtype == STRING:
        assert found.ravel().tolist() == np.asarray(wanted, object).ravel().tolist()
    elif proto.dtype in (types_pb2.DT_INT4, types_pb2.DT_UINT4):
        # The other half of the byte is anything.
        assert found.astype(int).tolist() == np.asarray(wanted).astype(int).tolist()
    else:
        assert found.dtype == tf.dtypes.as_dtype(proto.dtype).as_numpy_dtype
        assert found.tobytes() == np.asarray(wanted).tobytes()


@pytest.mark.parametrize("datatype", DTYPES, ids=types_pb2.DataType.Name)
def test_answers_read_back_in_both_forms(datatype):
    dtype = tf.dtypes.as_dtype(datatype).as_numpy_dtype
    for shape in ((), (0, 2), (3, 2)):
        array = (np.arange(math.prod(shape)) % 2).astype(dtype).reshape(shape)
        for as_content in (False, True):
            proto = tensor_pb2.TensorProto()
            write_tensor(datatype, array, proto, as_content)
            assert bool(proto.tensor_content) == (as_content and array.size > 0)
            found = ask_tensorflow(proto)
            assert found.shape == shape and np.asarray(found).tobytes() == array.tobytes()


def test_strings_are_never_written_as_content():
    proto = tensor_pb2.TensorProto()
    write_tensor(STRING, np.array([b"a", b"\xff"], object), proto, as_content=True)
    assert list(proto.string_val) == [b"a", b"\xff"] and not proto.tensor_content


@pytest.mark.parametrize("datatype", [types_pb2.DT_UINT8, types_pb2.DT_DOUBLE, STRING])
def test_a_few_bytes_cannot_ask_for_much_memory(datatype):
    proto = tensor_pb2.TensorProto(dtype=datatype)
    proto.tensor_shape.dim.add(size=EXPANSION_LIMIT + 1)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="cannot be repeated to"):
            read_tensor(proto)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_more_than_numpy_s_dimensions_are_refused():
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1])
    for _ in range(65):
        proto.tensor_shape.dim.add(size=1)
    with pytest.raises(ValueError):
        read_tensor(proto)

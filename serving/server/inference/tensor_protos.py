"""Conversion between TensorProto and numpy with the rules of TensorFlow's C++ code.

`tf.make_ndarray` does not validate and casts; `tf.make_tensor_proto` writes numbers to
`tensor_content`, whereas TensorFlow Serving's responses use the typed fields. Accepted is what
`Tensor::FromProto` (tensorflow/core/framework/tensor.cc) accepts, within numpy's 64 dimensions and
a bound on the memory that a small message may allocate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

# DataType -> (typed field, dtype of the field's values)
FIELDS: dict[int, tuple[str, Any]] = {
    types_pb2.DT_FLOAT: ("float_val", np.float32),
    types_pb2.DT_DOUBLE: ("double_val", np.float64),
    types_pb2.DT_INT32: ("int_val", np.int32),
    types_pb2.DT_UINT8: ("int_val", np.int32),
    types_pb2.DT_INT16: ("int_val", np.int32),
    types_pb2.DT_INT8: ("int_val", np.int32),
    types_pb2.DT_COMPLEX64: ("scomplex_val", np.float32),
    types_pb2.DT_INT64: ("int64_val", np.int64),
    types_pb2.DT_BOOL: ("bool_val", np.bool_),
    types_pb2.DT_QINT8: ("int_val", np.int32),
    types_pb2.DT_QUINT8: ("int_val", np.int32),
    types_pb2.DT_QINT32: ("int_val", np.int32),
    types_pb2.DT_BFLOAT16: ("half_val", np.int32),
    types_pb2.DT_QINT16: ("int_val", np.int32),
    types_pb2.DT_QUINT16: ("int_val", np.int32),
    types_pb2.DT_UINT16: ("int_val", np.int32),
    types_pb2.DT_COMPLEX128: ("dcomplex_val", np.float64),
    types_pb2.DT_HALF: ("half_val", np.int32),
    types_pb2.DT_UINT32: ("uint32_val", np.uint32),
    types_pb2.DT_UINT64: ("uint64_val", np.uint64),
    types_pb2.DT_FLOAT8_E5M2: ("float8_val", np.uint8),
    types_pb2.DT_FLOAT8_E4M3FN: ("float8_val", np.uint8),
    types_pb2.DT_INT4: ("int_val", np.int32),
    types_pb2.DT_UINT4: ("int_val", np.int32),
}
DTYPES = {
    datatype: (np.dtype(tf.dtypes.as_dtype(datatype).as_numpy_dtype), *row)
    for datatype, row in FIELDS.items()
}
STRING = types_pb2.DT_STRING
BOOL = types_pb2.DT_BOOL
# Memory of an empty string element.
BYTES_PER_STRING = 32
# Bound on the memory of a tensor whose elements are one repeated value of the message.
EXPANSION_LIMIT = 256 * 2**20
# Fields whose wire format is the array's memory, and their field numbers in TensorProto.
PACKED = {
    "float_val": 5,
    "double_val": 6,
    "scomplex_val": 9,
    "bool_val": 11,
    "dcomplex_val": 12,
    "float8_val": 18,
}


def read_tensor(proto: Any) -> np.ndarray:
    """Decode a TensorProto (strings: object array); raises ValueError for an invalid one."""
    shape = [dim.size for dim in proto.tensor_shape.dim]
    count = _count_elements(shape)
    # Reading a bytes field copies it, so it is read once.
    content = proto.tensor_content
    if proto.dtype == STRING:
        return _read_strings(proto, content, count).reshape(shape)
    if proto.dtype not in DTYPES:
        raise ValueError(f"DataType {proto.dtype} cannot be sent")
    dtype, field, wire_dtype = DTYPES[proto.dtype]
    if count == 0:
        return np.empty(shape, dtype)
    if content:
        array = np.frombuffer(content, dtype)
        if proto.dtype == BOOL and array.view(np.uint8).max(initial=0) > 1:
            raise ValueError("a boolean is neither 0 nor 1")
        return array.reshape(shape)
    return _read_numbers(getattr(proto, field), dtype, wire_dtype, count).reshape(shape)


def write_tensor(datatype: int, value: Any, proto: Any, as_content: bool = False) -> None:
    """Encode a fetched value into `proto`.

    Args:
        datatype: DataType of the value.
        value: Array, or scalar or bytes for rank 0.
        proto: TensorProto to fill.
        as_content: Write numbers to tensor_content instead of the typed field.

    Raises:
        ValueError: The dtype has no typed field (variants, resources).
    """
    if datatype == STRING:
        array = np.asarray(value, dtype=object)
    elif datatype in DTYPES:
        array = np.asarray(value)
    else:
        raise ValueError(f"DataType {datatype} cannot be sent")
    proto.dtype = datatype
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if datatype == STRING:
        proto.string_val.extend(array.ravel().tolist())
        return
    _, field, wire_dtype = DTYPES[datatype]
    if as_content:
        proto.tensor_content = array.tobytes()
    elif field in PACKED:
        if array.size:
            proto.MergeFromString(_encode_packed(PACKED[field], array.tobytes()))
    else:
        numbers = array.ravel()
        if field == "half_val":
            numbers = numbers.view(np.uint16)
        getattr(proto, field).extend(numbers.astype(wire_dtype, copy=False).tolist())


def _count_elements(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
        # From left to right as TensorFlow does: a later zero does not undo an overflow.
        if size < 0 or count >= 2**63:
            raise ValueError(f"shape {shape} is not that of a tensor")
    return count


def _read_strings(proto: Any, content: bytes, count: int) -> np.ndarray:
    packed = content and count
    values = _split_strings(content, count) if packed else list(proto.string_val[:count])
    _check_expansion(count, len(values), BYTES_PER_STRING)
    strings = np.empty(count, dtype=object)
    strings[: len(values)] = values
    strings[len(values) :] = values[-1] if values else b""
    return strings


def _split_strings(content: bytes, count: int) -> list[bytes]:
    # TensorFlow's string list: the lengths as varints, then the bytes of all strings.
    if count > len(content):
        raise ValueError(f"{len(content)} bytes cannot hold {count} strings")
    lengths, position = [], 0
    for _ in range(count):
        length, shift = 0, 0
        while True:
            if position == len(content) or shift > 28:
                raise ValueError("a length is not a varint")
            byte = content[position]
            length |= (byte & 127) << shift
            position, shift = position + 1, shift + 7
            if byte < 128:
                break
        lengths.append(length & 0xFFFFFFFF)
    if position + sum(lengths) != len(content):
        raise ValueError("the lengths do not add up to the content")
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings


def _read_numbers(values: Any, dtype: np.dtype, wire_dtype: Any, count: int) -> np.ndarray:
    if isinstance(values, bytes):
        numbers = np.frombuffer(values, dtype)
    else:
        # 16-bit floats and complex numbers are reinterpreted from the wire's bits; other numbers
        # are cast as in C++, wrapping around.
        wire = np.array(values, wire_dtype)
        if dtype.kind == "c":
            numbers = wire[: len(wire) // 2 * 2].view(dtype)
        elif dtype.itemsize == 2 and dtype.kind in "fV" and dtype.names is None:
            numbers = wire.astype(np.uint16).view(dtype)
        else:
            numbers = wire.astype(dtype, copy=False)
    if len(numbers) >= count:
        return numbers[:count]
    _check_expansion(count, len(numbers), dtype.itemsize)
    array = np.zeros(count, dtype)
    if len(numbers):
        array[: len(numbers)] = numbers
        array[len(numbers) :] = numbers[-1]
    return array


def _check_expansion(count: int, sent: int, bytes_per_element: int) -> None:
    if count > sent and count * bytes_per_element > EXPANSION_LIMIT:
        raise ValueError(f"{sent} values cannot be repeated to {count}")


def _encode_packed(number: int, content: bytes) -> bytes:
    # A packed field on the wire is a tag, the length as a varint, and the array's memory: merging
    # these bytes avoids a Python object for each element.
    header = bytearray()
    for value in (number << 3 | 2, len(content)):
        rest = value
        while rest > 127:
            header.append(rest & 127 | 128)
            rest >>= 7
        header.append(rest)
    return bytes(header) + content

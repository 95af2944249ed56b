"""TensorProto to numpy and back, with the rules and the strictness of TensorFlow's C++ side.

`tf.make_ndarray` trusts its input and casts it; `tf.make_tensor_proto` packs numbers into
`tensor_content`, where TensorFlow Serving answers in the typed fields.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

# DataType -> (typed field, dtype of the field's values)
FIELDS: dict[tf.DType, tuple[str, Any]] = {
    tf.float32: ("float_val", np.float32),
    tf.float64: ("double_val", np.float64),
    tf.int32: ("int_val", np.int32),
    tf.uint8: ("int_val", np.int32),
    tf.int16: ("int_val", np.int32),
    tf.int8: ("int_val", np.int32),
    tf.complex64: ("scomplex_val", np.float32),
    tf.int64: ("int64_val", np.int64),
    tf.bool: ("bool_val", np.bool_),
    tf.bfloat16: ("half_val", np.int32),
    tf.uint16: ("int_val", np.int32),
    tf.complex128: ("dcomplex_val", np.float64),
    tf.float16: ("half_val", np.int32),
    tf.uint32: ("uint32_val", np.uint32),
    tf.uint64: ("uint64_val", np.uint64),
}
FIELDS_BY_NUMBER = {
    dtype.as_datatype_enum: (dtype.as_numpy_dtype, *row) for dtype, row in FIELDS.items()
}
STRING = tf.string.as_datatype_enum
# A string element costs this much before its first byte; a number costs at most 16.
BYTES_PER_ELEMENT = 32
# What a few bytes on the wire may grow to when they stand for a tensor of equal elements.
EXPANSION_LIMIT = 256 * 2**20
# Fields whose wire form is the array's own bytes, and their field numbers in TensorProto.
PACKED = {"float_val": 5, "double_val": 6, "scomplex_val": 9, "bool_val": 11, "dcomplex_val": 12}


def read_tensor(proto: Any) -> np.ndarray:
    """The array in a TensorProto (strings: objects). Raises ValueError when it is not sound."""
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError(f"shape {shape} is not that of a tensor")
    count = math.prod(shape)
    if proto.dtype == STRING:
        if proto.tensor_content:
            raise ValueError("strings belong into string_val")
        strings = np.empty(_check_expansion(count, len(proto.string_val)), dtype=object)
        values = list(proto.string_val[:count])
        strings[: len(values)] = values
        strings[len(values) :] = values[-1] if values else b""
        return strings.reshape(shape)
    if proto.dtype not in FIELDS_BY_NUMBER:
        raise ValueError(f"DataType {proto.dtype} cannot be sent")
    dtype, field, wire_dtype = FIELDS_BY_NUMBER[proto.dtype]
    if proto.tensor_content:
        if dtype is np.bool_:
            # Any byte may stand on the wire, but only 0 and 1 are booleans to numpy.
            return (np.frombuffer(proto.tensor_content, np.uint8) != 0).reshape(shape)
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    wire = np.array(getattr(proto, field), wire_dtype)
    if field == "half_val":
        numbers = wire.astype(np.uint16).view(dtype)
    elif field in ("scomplex_val", "dcomplex_val"):
        numbers = wire.view(dtype)
    else:
        numbers = wire.astype(dtype, copy=False)
    if len(numbers) >= count:
        return numbers[:count].reshape(shape)
    array = np.zeros(_check_expansion(count, len(numbers)), dtype)
    if len(numbers):
        array[: len(numbers)] = numbers
        array[len(numbers) :] = numbers[-1]
    return array.reshape(shape)


def write_tensor(datatype: int, value: Any, proto: Any) -> None:
    """Fill `proto` with a value of a run, every element in its typed field.

    Raises ValueError for a dtype that has no typed field (variants, resources).
    """
    if datatype == STRING:
        array = np.asarray(value, dtype=object)
    elif datatype in FIELDS_BY_NUMBER:
        array = np.asarray(value)
    else:
        raise ValueError(f"DataType {datatype} cannot be sent")
    proto.dtype = datatype
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if datatype == STRING:
        proto.string_val.extend(array.ravel().tolist())
        return
    _, field, wire_dtype = FIELDS_BY_NUMBER[datatype]
    if field in PACKED:
        if array.size:
            proto.MergeFromString(_encode_packed(PACKED[field], array.tobytes()))
        return
    numbers = array.ravel()
    if field == "half_val":
        numbers = numbers.view(np.uint16)
    getattr(proto, field).extend(numbers.astype(wire_dtype, copy=False).tolist())


def _check_expansion(count: int, sent: int) -> int:
    if count > sent and count * BYTES_PER_ELEMENT > EXPANSION_LIMIT:
        raise ValueError(f"{sent} values cannot stand for {count}")
    return count


def _encode_packed(number: int, content: bytes) -> bytes:
    # A packed field on the wire is a tag, the length as a varint, and the numbers as they lie in
    # memory: handing protobuf that spares one Python object an element.
    header = bytearray([number << 3 | 2])
    length = len(content)
    while length > 127:
        header.append(length & 127 | 128)
        length >>= 7
    header.append(length)
    return bytes(header) + content

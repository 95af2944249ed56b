"""Conversion between numpy arrays and TensorProto.

Numbers are sent as `tensor_content` (one copy, no Python object for each element) and decoded from
it or from the typed fields of TensorFlow Serving's responses; floats and booleans without a Python
object for each element. DT_STRING is an object array of bytes. DT_BFLOAT16 is decoded as bfloat16
of ml_dtypes where that package is installed (TensorFlow depends on it), else as float32, which
represents every bfloat16 exactly; it is encoded from an ml_dtypes array.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from serving.client.messages import TensorProto
from serving.proto_builder import build_messages

# Which dtype it has is known at run time only.
AnyArray: TypeAlias = npt.NDArray[Any]

STRING, BFLOAT16, HALF = 7, 14, 19

# DataType number -> (DataType's name, numpy dtype, typed field, dtype of the field's values)
NUMERIC: dict[int, tuple[str, str, str, str]] = {
    1: ("float32", "<f4", "float_val", "<f4"),
    2: ("float64", "<f8", "double_val", "<f8"),
    3: ("int32", "<i4", "int_val", "<i4"),
    4: ("uint8", "|u1", "int_val", "<i4"),
    5: ("int16", "<i2", "int_val", "<i4"),
    6: ("int8", "|i1", "int_val", "<i4"),
    8: ("complex64", "<c8", "scomplex_val", "<f4"),
    9: ("int64", "<i8", "int64_val", "<i8"),
    10: ("bool", "|b1", "bool_val", "|b1"),
    BFLOAT16: ("bfloat16", "<u2", "half_val", "<i4"),
    17: ("uint16", "<u2", "int_val", "<i4"),
    18: ("complex128", "<c16", "dcomplex_val", "<f8"),
    HALF: ("float16", "<f2", "half_val", "<i4"),
    22: ("uint32", "<u4", "uint32_val", "<u4"),
    23: ("uint64", "<u8", "uint64_val", "<u8"),
}
# Fields whose values are the bits (half_val) or the two parts (complex) of the numbers.
REINTERPRETED = ("half_val", "scomplex_val", "dcomplex_val")
# A packed field of fixed-size numbers is a byte string on the wire, identical to the array's
# memory; this declaration keeps it one. (Some protobuf releases make an object of each element.)
PACKED = ("float_val", "double_val", "scomplex_val", "bool_val", "dcomplex_val")
PackedTensor: Any = build_messages(
    "PackedTensor: float_val=5 bytes, double_val=6 bytes, scomplex_val=9 bytes, bool_val=11 bytes, "
    "dcomplex_val=12 bytes"
)["PackedTensor"]
NAMES = {number: row[0] for number, row in NUMERIC.items()} | {STRING: "string"}
NUMBERS = {name: number for number, name in NAMES.items()}


def encode_tensor(value: Any) -> Any:
    """Encode an array, a list or a scalar as a TensorProto; the dtype is never cast.

    Raises:
        ValueError: TensorFlow has no such dtype, or a string cannot be encoded as UTF-8.
    """
    if isinstance(value, list) and value and all(type(item) is bytes for item in value):
        proto = TensorProto(dtype=STRING, string_val=value)
        proto.tensor_shape.dim.add(size=len(value))
        return proto
    array = np.asarray(value)
    if array.dtype.kind in "SU" and not isinstance(value, np.ndarray):
        # numpy's own string dtypes drop trailing zero bytes.
        array = np.array(value, dtype=object)
    proto = TensorProto()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "OSTU":
        proto.dtype = STRING
        proto.string_val.extend(_to_bytes(item) for item in array.ravel().tolist())
        return proto
    number = NUMBERS.get(array.dtype.name)
    if number is None:
        raise ValueError(f"TensorFlow has no dtype {array.dtype}")
    proto.dtype = number
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    proto.tensor_content = array.tobytes()
    return proto


def decode_tensor(proto: Any) -> AnyArray:
    """Decode a TensorProto into a writable array.

    In typed fields, fewer values than elements means that the last one is repeated (none: zeros
    or empty strings).

    Raises:
        ValueError: The proto is inconsistent.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError(f"shape {shape} is not a tensor's")
    count = math.prod(shape)
    if proto.dtype == STRING:
        strings = np.empty(count, dtype=object)
        strings[:] = _repeat_last(list(proto.string_val), count, b"")
        return strings.reshape(shape)
    if proto.dtype not in NUMERIC:
        raise ValueError(f"DataType {proto.dtype} is not supported")
    name, dtype, field, wire_dtype = NUMERIC[proto.dtype]
    if proto.tensor_content:
        array = np.frombuffer(proto.tensor_content, dtype)
        # Any byte is possible on the wire, but numpy allows only 0 and 1 as booleans.
        array = array.view(np.uint8) != 0 if dtype == "|b1" else array.copy()
    else:
        values = _read_values(proto, field, wire_dtype)
        if field == "half_val":
            values = values.astype("<u2")
        array = values.view(dtype) if field in REINTERPRETED else values.astype(dtype)
        array = np.asarray(_repeat_last(array, count, 0), dtype)
    array = array.reshape(shape)
    return _widen_bfloat16(array) if name == "bfloat16" else array


def _read_values(proto: Any, field: str, wire_dtype: str) -> AnyArray:
    if field not in PACKED:
        return np.array(getattr(proto, field), wire_dtype)
    packed = PackedTensor.FromString(proto.SerializeToString())
    content: bytes = getattr(packed, field)
    return np.array(np.frombuffer(content, wire_dtype))


def _repeat_last(values: Any, count: int, empty: Any) -> Any:
    missing = count - len(values)
    if missing <= 0:
        return values
    last = values[-1] if len(values) else empty
    if isinstance(values, list):
        return values + [last] * missing
    return np.concatenate([values, np.full(missing, last, values.dtype)])


def _widen_bfloat16(bits: npt.NDArray[np.uint16]) -> AnyArray:
    try:
        import ml_dtypes
    except ImportError:
        return (bits.astype("<u4") << 16).view("<f4")
    return bits.view(ml_dtypes.bfloat16)


def _to_bytes(item: Any) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    raise ValueError(f"an array of strings holds {item!r}, which is neither str nor bytes")

"""JSON values accepted for each dtype, by RapidJSON's rules for numbers."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2

from serving.server.errors import invalid_argument
from serving.server.rest.json_body import JsonDocument, parse_error

# DataType -> numpy dtype, and the range of integers that RapidJSON accepts for it.
INT32, INT64, UINT64 = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1), (0, 2**64 - 1)
INTEGERS: dict[int, tuple[Any, tuple[int, int]]] = {
    types_pb2.DT_INT32: (np.int32, INT32),
    types_pb2.DT_INT16: (np.int16, INT32),
    types_pb2.DT_INT8: (np.int8, INT32),
    types_pb2.DT_UINT8: (np.uint8, INT32),
    types_pb2.DT_INT64: (np.int64, INT64),
    types_pb2.DT_UINT32: (np.uint32, (0, 2**32 - 1)),
    types_pb2.DT_UINT64: (np.uint64, UINT64),
}
# DataType -> numpy dtype, and the largest integer that counts as exact.
DECIMALS: dict[int, tuple[Any, int]] = {
    types_pb2.DT_FLOAT: (np.float32, 2**24 - 1),
    types_pb2.DT_DOUBLE: (np.float64, 2**53 - 1),
}
INFINITY = re.compile(rb"-?Infinity")
TOO_LARGE = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def name_dtype(datatype: int) -> str:
    """Return TensorFlow's name of a DataType in messages: float, half, string."""
    return types_pb2.DataType.Name(datatype).removeprefix("DT_").lower()


def is_base64(value: Any) -> bool:
    """Return whether a JSON value is base64 data: {"b64": "..."}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def decode_base64(text: str) -> bytes:
    """Decode base64 with optional white space and padding; raises RequestError."""
    stripped = "".join(text.split())
    digits = stripped.rstrip("=")
    padding = -len(digits) % 4
    if len(stripped) - len(digits) in (0, padding):
        try:
            return base64.b64decode(digits + "=" * padding, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise invalid_argument("Unable to base64 decode")


def is_lossy(value: float, datatype: int) -> bool:
    """Return whether TensorFlow Serving rejects this number for a float or double."""
    dtype, largest = DECIMALS[datatype]
    if isinstance(value, int) and INT64[0] <= value <= UINT64[1]:
        return abs(value) > largest
    number = float(value)
    return bool(np.isfinite(number)) and abs(number) > float(np.finfo(dtype).max)


def check_number_range(document: JsonDocument) -> None:
    """Raise a RequestError when the body has a number beyond double, parsed as infinity."""
    if INFINITY.search(document.body):
        return
    for token in TOO_LARGE.finditer(document.body):
        if np.isinf(float(token[0])):
            raise parse_error("Number too big to be stored in double.", token.start())

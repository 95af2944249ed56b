"""Predict over REST: conversion of JSON values to input tensors of the signature's dtypes.

Rules and messages are those of util/json_tensor.cc. Whole columns are converted at once; after a
failure, tfs_json_errors finds the error value by value.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2

from serving.server.errors import RequestError, invalid_argument
from serving.server.rest.json_body import JsonDocument, format_error
from serving.server.rest.json_values import (
    DECIMALS,
    INTEGERS,
    UINT64,
    check_number_range,
    decode_base64,
    is_base64,
    is_lossy,
)
from serving.server.rest.tfs_json_errors import RowChecker, ValueChecker


def read_column(values: Any, datatype: int, document: JsonDocument, tensor: Any) -> bool:
    """Fill a TensorProto from a value or nested lists; return False for any error."""
    shape: list[int] = []
    flat = [values]
    while flat and type(flat[0]) is list:
        size = len(flat[0])
        if set(map(type, flat)) != {list} or set(map(len, flat)) != {size}:
            return False
        flat = list(itertools.chain.from_iterable(flat))
        shape.append(size)
    kinds = set(map(type, flat))
    if datatype == types_pb2.DT_STRING:
        strings = _read_strings(flat, kinds, document)
        if strings is None:
            return False
        tensor.string_val.extend(strings)
    elif flat:
        array = _read_numbers(flat, kinds, datatype, document)
        if array is None:
            return False
        tensor.tensor_content = array.tobytes()
    tensor.dtype = datatype
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return True


def _read_strings(flat: list[Any], kinds: set[type], document: JsonDocument) -> list[bytes] | None:
    if kinds <= {str}:
        return list(map(document.encode, flat))
    if not kinds <= {str, dict} or not all(type(v) is str or is_base64(v) for v in flat):
        return None
    try:
        return [document.encode(v) if type(v) is str else decode_base64(v["b64"]) for v in flat]
    except RequestError:
        return None


def _read_numbers(
    flat: list[Any], kinds: set[type], datatype: int, document: JsonDocument
) -> np.ndarray | None:
    if datatype in INTEGERS and kinds == {int}:
        dtype, (low, high) = INTEGERS[datatype]
        if low <= min(flat) and max(flat) <= high:
            wide = np.uint64 if high == UINT64[1] else np.int64
            return np.array(flat, wide).astype(dtype)
    if datatype in DECIMALS and kinds <= {int, float}:
        dtype, largest = DECIMALS[datatype]
        try:
            wide_array = np.array(flat, np.float64)
        except OverflowError:
            return None
        sizes = np.abs(wide_array)
        if np.isinf(sizes).any():
            check_number_range(document)
        limit = largest if int in kinds else np.finfo(dtype).max
        if (np.isfinite(sizes) & (sizes > limit)).any() and any(
            is_lossy(value, datatype) for value in flat
        ):
            return None
        return wide_array.astype(dtype)
    if datatype == types_pb2.DT_BOOL and kinds == {bool}:
        return np.array(flat, np.bool_)
    return None


def fill_inputs(
    document: JsonDocument, infos: Mapping[str, Any], signature_name: str, inputs: Any
) -> bool:
    """Fill a PredictRequest's inputs from `instances` or `inputs` of the body.

    Args:
        document: Parsed body.
        infos: TensorInfo of the signature's inputs by name.
        signature_name: Requested signature; may be empty.
        inputs: Map field to fill.

    Returns:
        Whether the body has the row format, `instances`.

    Raises:
        RequestError: With TensorFlow Serving's message.
    """
    body = document.value
    if not infos:
        # TensorFlow Serving refuses every body here; a signature such as `info` needs no values.
        if body.get("inputs") in ({}, []) and "instances" not in body:
            return False
        raise invalid_argument(
            f"Failed to get input map for signature: {signature_name or 'DEFAULT'}"
        )
    if "instances" in body and "inputs" in body:
        raise format_error(
            body,
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        )
    if "instances" in body:
        instances = body["instances"]
        if not isinstance(instances, list):
            raise format_error(body, "Excepting 'instances' to be an list/array")
        if not instances:
            raise format_error(body, "No values in 'instances' array")
        _fill_rows(instances, infos, document, inputs)
        return True
    if "inputs" in body:
        _fill_columns(body["inputs"], infos, document, inputs)
        return False
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _fill_columns(
    value: Any, infos: Mapping[str, Any], document: JsonDocument, inputs: Any
) -> None:
    named = isinstance(value, dict) and not is_base64(value)
    if not named and len(infos) > 1:
        raise invalid_argument(
            "inputs is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map"
        )
    for name in sorted(infos):
        if named and name not in value:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        column, datatype = value[name] if named else value, infos[name].dtype
        if not read_column(column, datatype, document, inputs[name]):
            ValueChecker(datatype, document).check(column)


def _fill_rows(
    instances: list[Any], infos: Mapping[str, Any], document: JsonDocument, inputs: Any
) -> None:
    if not isinstance(instances[0], dict) and len(infos) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    if not isinstance(instances[0], dict) or is_base64(instances[0]):
        columns = {min(infos): instances}
    elif all(isinstance(row, dict) and row.keys() == infos.keys() for row in instances):
        columns = {name: [row[name] for row in instances] for name in infos}
    else:
        columns = {}
    whole = [
        read_column(column, infos[name].dtype, document, inputs[name])
        for name, column in columns.items()
    ]
    if not whole or not all(whole):
        RowChecker(infos, document).check(instances)

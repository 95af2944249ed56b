"""JSON bodies of REST responses, in TensorFlow Serving's format."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any

import numpy as np
from google.protobuf import json_format
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.server.errors import invalid_argument
from serving.server.inference.tensor_protos import read_tensor
from serving.server.rest.json_numbers import format_numbers
from serving.server.rest.json_values import DECIMALS, INTEGERS, name_dtype

INDENT = "    "


def write_predictions(outputs: Mapping[str, Any], rows: bool) -> bytes:
    """Format a PredictResponse's outputs by row or by column; raises RequestError."""
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    text = _write_rows(outputs) if rows else _write_columns(outputs)
    return text.encode("utf-8", "surrogateescape")


def write_error(details: str) -> bytes:
    """Format an error."""
    text = f'{{\n{INDENT}"error": {encode_basestring(details)}\n}}'
    return text.encode("utf-8", "replace")


def write_classifications(result: Any) -> bytes:
    """Format a ClassificationResult: [label, score] for every class of every example."""
    if not result.classifications:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    rows = []
    for classification in result.classifications:
        scores = format_numbers(np.array([c.score for c in classification.classes], np.float32))
        labels = [encode_basestring(c.label) for c in classification.classes]
        pairs = (f"[{label}, {score}]" for label, score in zip(labels, scores, strict=True))
        rows.append(f"[{', '.join(pairs)}]")
    return _write_list("results", rows)


def write_regressions(result: Any) -> bytes:
    """Format a RegressionResult: one number for each example."""
    if not result.regressions:
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    values = np.array([regression.value for regression in result.regressions], np.float32)
    return _write_list("results", format_numbers(values))


def write_status(response: Any) -> bytes:
    """Format a GetModelStatusResponse: int64 as strings, enums by name, with default values."""
    return _write_message(response).encode()


def write_metadata(response: Any) -> bytes:
    """Format a GetModelMetadataResponse, with the signatures unpacked from Any."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    return (
        f'{{\n"model_spec":{_write_message(response.model_spec)},\n'
        f'"metadata": {{"signature_def": {_write_message(signatures)}}}\n}}\n'
    ).encode()


def _write_message(message: Any) -> str:
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=1,
    )


def _write_list(key: str, elements: list[str]) -> bytes:
    return f'{{\n{INDENT}"{key}": [{", ".join(elements)}\n{INDENT}]\n}}'.encode()


def _write_rows(outputs: Mapping[str, Any]) -> str:
    batch = None
    for name, tensor in outputs.items():
        if not tensor.tensor_shape.dim:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        size = tensor.tensor_shape.dim[0].size
        if batch is not None and size != batch:
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {size} expecting: {batch}"
            )
        batch = size
    columns = {name: _nest(*_write_elements(name, outputs[name])) for name in sorted(outputs)}
    head = f'{{\n{INDENT}"predictions": ['
    if not batch:
        return head + "]\n}"
    if len(columns) == 1:
        rows = ", ".join(next(iter(columns.values())))
    else:
        inner, keys = "\n" + 3 * INDENT, [encode_basestring(name) for name in columns]
        rows = ",".join(
            f"\n{INDENT * 2}{{"
            + ",".join(f"{inner}{key}: {value}" for key, value in zip(keys, row, strict=True))
            + f"\n{INDENT * 2}}}"
            for row in zip(*columns.values(), strict=True)
        )
    return f"{head}{rows}\n{INDENT}]\n}}"


def _write_columns(outputs: Mapping[str, Any]) -> str:
    head = f'{{\n{INDENT}"outputs": '
    if len(outputs) == 1:
        [(name, tensor)] = outputs.items()
        return f"{head}{_write_indented(name, tensor, 1)}\n}}"
    members = (
        f"\n{INDENT * 2}{encode_basestring(name)}: {_write_indented(name, outputs[name], 2)}"
        for name in sorted(outputs)
    )
    return f"{head}{{{','.join(members)}\n{INDENT}}}\n}}"


def _nest(elements: list[str], shape: tuple[int, ...]) -> list[str]:
    # From the innermost dimension outwards, to one string for each row.
    for axis in range(len(shape) - 1, 0, -1):
        size = shape[axis]
        if size == 0:
            elements = ["[]"] * int(np.prod(shape[:axis]))
            continue
        pieces = iter(elements)
        elements = [
            f"[{', '.join(itertools.islice(pieces, size))}]" for _ in range(len(elements) // size)
        ]
    return elements


def _write_indented(name: str, tensor: Any, depth: int) -> str:
    elements, shape = _write_elements(name, tensor)
    for axis in range(len(shape) - 1, -1, -1):
        size, outer = shape[axis], "\n" + INDENT * (depth + axis)
        if size == 0:
            elements = ["[]"] * int(np.prod(shape[:axis]))
            continue
        between, pieces = f",{outer}{INDENT}", iter(elements)
        elements = [
            f"[{between[1:]}{between.join(itertools.islice(pieces, size))}{outer}]"
            for _ in range(len(elements) // size)
        ]
    return elements[0]


def _write_elements(name: str, tensor: Any) -> tuple[list[str], tuple[int, ...]]:
    array, datatype = read_tensor(tensor), tensor.dtype
    if not array.size:
        return [], array.shape
    if datatype in DECIMALS:
        return format_numbers(array), array.shape
    if datatype in INTEGERS:
        return list(map(str, array.ravel().tolist())), array.shape
    if datatype == types_pb2.DT_BOOL:
        return ["true" if value else "false" for value in array.ravel().tolist()], array.shape
    if datatype == types_pb2.DT_STRING:
        write = _write_base64 if name.endswith("_bytes") else _write_string
        return list(map(write, array.ravel().tolist())), array.shape
    raise invalid_argument(f"Failed to write JSON value for tensor type: {name_dtype(datatype)}")


def _write_string(value: bytes) -> str:
    return encode_basestring(value.decode("utf-8", "surrogateescape"))


def _write_base64(value: bytes) -> str:
    return f'{{"b64": "{base64.b64encode(value).decode()}"}}'

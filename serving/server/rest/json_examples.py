"""Classify and Regress over REST: JSON objects to tf.Example (util/json_tensor.cc)."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.server.errors import RequestError, invalid_argument
from serving.server.rest.json_body import JsonDocument, format_error, json_type_name, quote_json
from serving.server.rest.json_values import (
    INT64,
    UINT64,
    check_number_range,
    decode_base64,
    is_base64,
)

KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


def fill_examples(document: JsonDocument, request: Any) -> None:
    """Fill the input of a ClassificationRequest or RegressionRequest. Raises RequestError."""
    body, chosen = document.value, request.input.example_list
    if "context" in body:
        chosen = request.input.example_list_with_context
        fill_example(body["context"], document, chosen.context)
        # An empty context counts, too.
        chosen.context.SetInParent()
    if "examples" not in body:
        raise format_error(
            body, "When method is classify, key 'examples' is expected and was not found"
        )
    examples = body["examples"]
    if not isinstance(examples, list):
        raise format_error(body, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise format_error(body, "'examples' value is an empty array")
    for value in examples:
        fill_example(value, document, chosen.examples.add())


def fill_example(value: Any, document: JsonDocument, example: Any) -> None:
    """Fill a tf.Example from an object with a value or a list of values for each feature."""
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {json_type_name(value)}")
    example.features.SetInParent()
    for name, content in value.items():
        feature = example.features.feature[document.encode(name).decode("utf-8", "replace")]
        for element in content if isinstance(content, list) else [content]:
            _add_value(element, name, document, feature)


def _add_value(value: Any, name: str, document: JsonDocument, feature: Any) -> None:
    kind, converted = _choose_kind(value, name, document)
    chosen = feature.WhichOneof("kind")
    if chosen not in (None, kind):
        raise invalid_argument(
            f"Unexpected element type in feature: {name} expecting type: {KINDS[chosen]}"
        )
    if kind == "bytes_list" and is_base64(value):
        converted = decode_base64(value["b64"])
    elif kind == "float_list":
        _check_float(converted, document)
    elif kind == "int64_list" and converted > INT64[1]:
        raise invalid_argument(f"Feature: {name} has uint64 element. Only int64 is supported.")
    getattr(feature, kind).value.append(converted)


def _choose_kind(value: Any, name: str, document: JsonDocument) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "int64_list", int(value)
    if isinstance(value, str):
        return "bytes_list", document.encode(value)
    if is_base64(value):
        return "bytes_list", b""
    if isinstance(value, int) and INT64[0] <= value <= UINT64[1]:
        return "int64_list", value
    if isinstance(value, (int, float)):
        return "float_list", float(value)
    raise _build_type_error(value, name)


def _build_type_error(value: Any, name: str) -> RequestError:
    return invalid_argument(
        f"Feature: {name} has element with unexpected JSON type: {json_type_name(value)}"
    )


def _check_float(number: float, document: JsonDocument) -> None:
    if np.isinf(number):
        check_number_range(document)
    elif abs(number) > LARGEST_FLOAT32:
        raise invalid_argument(
            f"Cannot convert JSON value: {quote_json(number)} to float without loss of precision."
        )

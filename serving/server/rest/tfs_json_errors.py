"""Error messages for invalid JSON tensors, in TensorFlow Serving's order and words.

The slow path: columns are converted at once (json_tensors), and only after a failure value by
value here, until the first error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from tensorflow.core.framework import types_pb2

from serving.server.errors import RequestError, invalid_argument
from serving.server.rest.json_body import JsonDocument, format_error, json_type_name, quote_json
from serving.server.rest.json_values import (
    DECIMALS,
    INTEGERS,
    decode_base64,
    is_base64,
    is_lossy,
    name_dtype,
)


class ValueChecker:
    """Checks one value against the dtype of its tensor."""

    def __init__(self, datatype: int, document: JsonDocument):
        self._datatype = datatype
        self._document = document

    def check(self, value: Any) -> tuple[int, list[int]]:
        """Return the number of elements and the shape; raises RequestError for the first error."""
        shape: list[int] = []
        first = value
        while isinstance(first, list):
            shape.append(len(first))
            first = first[0] if first else None
        return self._count(value, 0, shape), shape

    def _count(self, value: Any, level: int, shape: list[int]) -> int:
        if not isinstance(value, list):
            if level != len(shape):
                raise format_error(
                    value,
                    f"found at incorrect level: {level + 1} in the JSON DOM. "
                    f"Expected at level: {len(shape)}",
                )
            self._check_leaf(value)
            return 1
        if level >= len(shape):
            raise invalid_argument(
                f"Encountered list at unexpected level: {level} expected < {len(shape)}"
            )
        if len(value) != shape[level]:
            raise invalid_argument(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {shape[level]}"
            )
        return sum(self._count(element, level + 1, shape) for element in value)

    def _check_leaf(self, value: Any) -> None:
        datatype, kind = self._datatype, type(value)
        fits = True
        if kind is dict:
            if datatype == types_pb2.DT_STRING:
                if not is_base64(value):
                    raise format_error(value, "not formatted correctly for base64 data")
                decode_base64(value["b64"])
            else:
                fits = False
        elif datatype == types_pb2.DT_STRING:
            fits = kind is str
            if fits:
                self._document.encode(value)
        elif datatype == types_pb2.DT_BOOL:
            fits = kind is bool
        elif datatype in INTEGERS:
            low, high = INTEGERS[datatype][1]
            fits = kind is int and low <= value <= high
        elif datatype in DECIMALS:
            fits = kind in (int, float)
            if fits and is_lossy(value, datatype):
                raise invalid_argument(
                    f"Cannot convert JSON value: {quote_json(value)} to {name_dtype(datatype)} "
                    "without loss of precision."
                )
        else:
            raise RequestError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"Conversion of JSON Value: {quote_json(value)} to type: {name_dtype(datatype)}",
            )
        if not fits:
            raise format_error(
                value,
                f"Type: {json_type_name(value)} is not of expected type: {name_dtype(datatype)}",
            )


class RowChecker:
    """Checks the rows of `instances`."""

    def __init__(self, infos: Mapping[str, Any], document: JsonDocument):
        self._infos = infos
        self._document = document
        self._first: dict[str, tuple[int, list[int]]] = {}

    def check(self, instances: list[Any]) -> None:
        """Raise TensorFlow Serving's RequestError for the first invalid row."""
        objects = isinstance(instances[0], dict) and not is_base64(instances[0])
        for number, row in enumerate(instances):
            is_object = isinstance(row, dict) and not is_base64(row)
            if objects and not is_object:
                raise invalid_argument(
                    f"Expecting object but got list at item {number} of input list"
                )
            if not objects and is_object:
                raise invalid_argument(
                    f"Expecting value/list but got object at item {number} of input list"
                )
            if not objects:
                self._add(row, min(self._infos), f"{number}")
                continue
            for name, value in row.items():
                self._add(value, name, f"{number} key: {name}")
            if row.keys() != self._infos.keys():
                raise invalid_argument(
                    f"Failed to process element: {number} of 'instances' list. JSON object: "
                    f"{quote_json(row)} keys must be equal to: {','.join(sorted(self._infos))}"
                )

    def _add(self, value: Any, name: str, position: str) -> None:
        try:
            self._compare(value, name)
        except RequestError as error:
            raise invalid_argument(
                f"Failed to process element: {position} of 'instances' list. "
                f"Error: {error.code.name}: {error.details}"
            ) from None

    def _compare(self, value: Any, name: str) -> None:
        if name not in self._infos:
            raise invalid_argument(f"JSON object: does not have named input: {name}")
        size, shape = ValueChecker(self._infos[name].dtype, self._document).check(value)
        first_size, first_shape = self._first.setdefault(name, (size, shape))
        if size != first_size:
            raise invalid_argument(f"Expecting tensor size: {first_size} but got: {size}")
        if shape != first_shape:
            raise invalid_argument(
                f"Expecting shape [{','.join(map(str, first_shape))}] "
                f"but got: [{','.join(map(str, shape))}]"
            )

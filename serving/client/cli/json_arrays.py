"""Conversion between JSON values and the arrays of a signature."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from serving.client.errors import InvalidRequest
from serving.client.model_metadata import ModelMetadata, Signature
from serving.client.tensor_codec import AnyArray

# JSON types accepted for a dtype kind: values are never truncated or converted to another kind.
ACCEPTED: dict[str, tuple[type, ...]] = {
    "i": (int,),
    "u": (int,),
    "f": (int, float),
    "c": (int, float),
    "b": (bool,),
}


def choose_signature(metadata: ModelMetadata, name: str) -> Signature:
    """Return the signature of that name; raises InvalidRequest that lists the others."""
    try:
        return metadata.signatures[name]
    except KeyError:
        raise InvalidRequest(
            f"Model {metadata.model!r} version {metadata.version} has no signature {name!r}. "
            f"It has {', '.join(metadata.signatures)}. Choose one with --signature."
        ) from None


def split_inputs(arguments: Iterable[str]) -> dict[str, Any]:
    """Parse NAME=JSON arguments into {name: value}."""
    inputs = {}
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not (name and equals):
            raise InvalidRequest(
                f"--input needs NAME=JSON. It was {argument[:60]!r}. Write it as in x='[[1, 2]]'."
            )
        try:
            inputs[name] = json.loads(text)
        except ValueError as error:
            raise InvalidRequest(
                f"Input {name!r} is not JSON. It was {text[:60]!r}: {error}. "
                """A string needs double quotes: x='["text"]'."""
            ) from None
    return inputs


def read_inputs(values: Mapping[str, Any], signature: Signature) -> dict[str, AnyArray]:
    """Convert JSON values to arrays of the signature's dtypes.

    Strings are str or {"b64": ...}; a complex number is [real, imaginary].

    Raises:
        InvalidRequest: An input is unknown, or a value does not fit its dtype.
    """
    unknown = sorted(set(values) - set(signature.inputs))
    if unknown:
        raise InvalidRequest(
            f"The signature has no input {', '.join(unknown)}. Its inputs are "
            f"{', '.join(signature.inputs) or 'none'}. Check the names."
        )
    arrays = {}
    for name, value in values.items():
        dtype = signature.inputs[name].dtype
        try:
            arrays[name] = to_array(value, dtype)
        except (ValueError, OverflowError, TypeError) as error:
            raise InvalidRequest(
                f"Input {name!r} cannot be read as {dtype}. It was {json.dumps(value)[:60]}: "
                f"{error}. Write lists of equal length of that type."
            ) from None
    return arrays


def to_array(value: Any, dtype: str) -> AnyArray:
    """Convert a JSON value; raises ValueError, OverflowError or TypeError if it does not fit."""
    if dtype == "string":
        return _string_array(value)
    wanted = _find_dtype(dtype)
    kind = "f" if dtype == "bfloat16" else wanted.kind
    leaves = np.array(value, object).ravel().tolist()
    for leaf in leaves:
        if type(leaf) not in ACCEPTED[kind]:
            raise ValueError(f"it contains {json.dumps(leaf)[:40]}")
    if kind == "c":
        halves = np.array(value, f"<f{wanted.itemsize // 2}")
        if halves.shape[-1:] != (2,):
            raise ValueError("a complex number is [real, imaginary]")
        return np.asarray(halves.view(wanted)[..., 0])
    array = np.array(value, wanted)
    if kind in "iu" and array.ravel().tolist() != leaves:
        raise ValueError("a number is out of its range")
    return array


def _find_dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        try:
            import ml_dtypes
        except ImportError:
            raise ValueError(
                "bfloat16 needs the package ml_dtypes: pip install ml_dtypes"
            ) from None
        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


def _string_array(value: Any) -> AnyArray:
    shape = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    leaves: list[bytes] = []
    _collect(value, shape, leaves)
    array = np.empty(len(leaves), object)
    array[:] = leaves
    return array.reshape(shape)


def _collect(value: Any, shape: list[int], leaves: list[bytes]) -> None:
    if shape:
        if not isinstance(value, list) or len(value) != shape[0]:
            raise ValueError("its lists differ in length")
        for item in value:
            _collect(item, shape[1:], leaves)
    elif isinstance(value, str):
        leaves.append(value.encode())
    elif isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str):
        try:
            leaves.append(base64.b64decode(value["b64"], validate=True))
        except binascii.Error as error:
            raise ValueError(f"not base64: {error}") from None
    else:
        raise ValueError(f"{json.dumps(value)[:40]} is not a string")


def to_json(array: AnyArray) -> Any:
    """Convert an array to nested lists (rank 0: a scalar) of JSON values; see read_inputs."""
    if array.dtype.kind == "O":
        return _map_leaves(_bytes_to_json, array.tolist())
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1).tolist()
    return array.tolist()


def _map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, list):
        return [_map_leaves(function, item) for item in value]
    return function(value)


def _bytes_to_json(item: bytes) -> Any:
    try:
        return item.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(item).decode()}

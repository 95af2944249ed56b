"""What the verbs return, and how it is read from a PredictResponse and its like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.client.messages import SignatureDefMap
from serving.client.tensors import NAMES

STATES = {
    0: "UNKNOWN",
    10: "START",
    20: "LOADING",
    30: "AVAILABLE",
    40: "UNLOADING",
    50: "END",
}


@dataclass(frozen=True, eq=False)
class Classification:
    """One text's answer: the best label, its probability, and float32 `scores` [labels]."""

    label: str
    score: float
    scores: np.ndarray


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a signature: dtype by name; shape with None where any size fits.

    `shape` itself is None when even the rank is open.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Signature:
    """A function that the model offers."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    method_name: str


@dataclass(frozen=True)
class ModelMetadata:
    """The version that answers, and its signatures by name."""

    model: str
    version: int
    signatures: dict[str, Signature]


@dataclass(frozen=True)
class Version:
    """A version that the server knows: its state and, after a failed load, the reason."""

    version: int
    state: str
    error: str


def read_classifications(outputs: Mapping[str, np.ndarray], count: int) -> list[Classification]:
    """`count` Classifications, one a row. Raises ValueError when the outputs are others."""
    found = {name: array.shape for name, array in sorted(outputs.items())}
    columns = [outputs.get(name, np.empty(0)) for name in ("label", "score", "scores")]
    ranks = [(column.shape[:1], column.ndim) for column in columns]
    if ranks != [((count,), 1), ((count,), 1), ((count,), 2)] or columns[0].dtype != object:
        raise ValueError(f"its answer to {count} texts has the outputs {found}")
    return [
        Classification(label.decode("utf-8", "replace"), float(score), scores)
        for label, score, scores in zip(*columns, strict=True)
    ]


def read_metadata(response: Any) -> ModelMetadata:
    """The signatures in a GetModelMetadataResponse."""
    signatures = SignatureDefMap.FromString(response.metadata["signature_def"].value)
    return ModelMetadata(
        model=response.model_spec.name,
        version=response.model_spec.version.value,
        signatures={
            name: Signature(
                {alias: _read_spec(info) for alias, info in sorted(signature.inputs.items())},
                {alias: _read_spec(info) for alias, info in sorted(signature.outputs.items())},
                signature.method_name,
            )
            for name, signature in sorted(signatures.signature_def.items())
        },
    )


def read_versions(response: Any) -> list[Version]:
    """The versions in a GetModelStatusResponse, in its order (highest first)."""
    return [
        Version(
            status.version,
            STATES.get(status.state, str(status.state)),
            status.status.error_message,
        )
        for status in response.model_version_status
    ]


def _read_spec(info: Any) -> TensorSpec:
    shape = info.tensor_shape
    return TensorSpec(
        NAMES.get(info.dtype, f"DataType {info.dtype}"),
        None
        if shape.unknown_rank
        else tuple(None if dim.size < 0 else dim.size for dim in shape.dim),
    )

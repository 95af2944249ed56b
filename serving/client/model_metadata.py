"""Model information from a server: versions, signatures, inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving.client.messages import SignatureDefMap
from serving.client.tensor_codec import NAMES

STATES = {
    0: "UNKNOWN",
    10: "START",
    20: "LOADING",
    30: "AVAILABLE",
    40: "UNLOADING",
    50: "END",
}


@dataclass(frozen=True)
class TensorSpec:
    """Input or output of a signature.

    Args:
        dtype: Name of the dtype.
        shape: Sizes, None where any size fits; None for unknown rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any rank"
        return f"{self.dtype} [{', '.join('?' if n is None else str(n) for n in self.shape)}]"


@dataclass(frozen=True)
class Signature:
    """Function of a model, with its inputs and outputs by name."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    method_name: str


@dataclass(frozen=True)
class ModelMetadata:
    """Version that answers, and its signatures by name."""

    model: str
    version: int
    signatures: dict[str, Signature]


@dataclass(frozen=True)
class Version:
    """Version of a model: its state and, after a failed load, the error message."""

    version: int
    state: str
    error: str


def read_metadata(response: Any) -> ModelMetadata:
    """Decode a GetModelMetadataResponse."""
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
    """Decode a GetModelStatusResponse; the highest version first."""
    return [
        Version(
            status.version,
            STATES.get(status.state, str(status.state)),
            status.status.error_message,
        )
        for status in response.model_version_status
    ]


def describe_versions(versions: list[Version], model: str) -> str:
    """Return a sentence that lists the versions of the model."""
    shown = ", ".join(f"{version.version} ({version.state})" for version in versions)
    return f"Versions of model {model!r}: {shown}."


def describe_signature(metadata: ModelMetadata, name: str) -> str:
    """Return a sentence on the signature's inputs and outputs, or on the signatures there are."""
    # TF2 stores an initialisation op among the signatures; it is not for clients.
    names = [name for name in metadata.signatures if not name.startswith("__")]
    if name not in metadata.signatures:
        return f"Version {metadata.version} has the signatures {', '.join(names)}."
    inputs = metadata.signatures[name].inputs
    shown = ", ".join(f"{alias} ({spec})" for alias, spec in inputs.items()) or "none"
    outputs = ", ".join(metadata.signatures[name].outputs)
    return f"Inputs of signature {name!r}: {shown}; outputs: {outputs}."


def _read_spec(info: Any) -> TensorSpec:
    shape = info.tensor_shape
    return TensorSpec(
        NAMES.get(info.dtype, f"DataType {info.dtype}"),
        None
        if shape.unknown_rank
        else tuple(None if dim.size < 0 else dim.size for dim in shape.dim),
    )

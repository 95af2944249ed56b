"""Request messages of the two services: model, method, tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from serving.client import messages
from serving.client.errors import InvalidRequest
from serving.client.tensor_codec import encode_tensor


@dataclass(frozen=True)
class RpcMethod:
    """Unary RPC: its HTTP/2 path, request class and response class."""

    path: str
    request: Any
    response: Any

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    def stub(self, channel: Any) -> Any:
        """Return the method as a callable of a grpc or grpc.aio channel."""
        return channel.unary_unary(
            self.path, self.request.SerializeToString, self.response.FromString
        )


PREDICT = RpcMethod(
    "/tensorflow.serving.PredictionService/Predict",
    messages.PredictRequest,
    messages.PredictResponse,
)
METADATA = RpcMethod(
    "/tensorflow.serving.PredictionService/GetModelMetadata",
    messages.GetModelMetadataRequest,
    messages.GetModelMetadataResponse,
)
STATUS = RpcMethod(
    "/tensorflow.serving.ModelService/GetModelStatus",
    messages.GetModelStatusRequest,
    messages.GetModelStatusResponse,
)


@dataclass(frozen=True)
class ModelSelector:
    """Selects a version by number or by label; the newest that is ready without either.

    Raises:
        InvalidRequest: Both a version and a label are given, or one is malformed.
    """

    model: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise InvalidRequest(
                f"Both a version and a label are given: {self.version} and {self.label!r}. "
                "Give one of them."
            )
        if not isinstance(self.model, str) or not self.model:
            raise InvalidRequest(f"model is {self.model!r}; it must be a name.")
        if self.version is not None and not (
            hasattr(self.version, "__index__") and -(2**63) <= self.version < 2**63
        ):
            raise InvalidRequest(f"version is {self.version!r}; it must be a 64-bit integer.")

    def __str__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        label = "" if self.label is None else f" with label {self.label!r}"
        return f"model {self.model!r}{version}{label}"

    def fill(self, spec: Any) -> None:
        """Write the selection into a ModelSpec."""
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version
        if self.label is not None:
            spec.version_label = self.label


def build_predict(
    selector: ModelSelector,
    inputs: Mapping[str, Any],
    signature: str = "serving_default",
    outputs: Iterable[str | bytes] = (),
) -> Any:
    """Build a PredictRequest.

    Args:
        selector: Model and version.
        inputs: Arrays, lists or scalars by input name.
        signature: Name of the signature.
        outputs: Names of the outputs to fetch; none: all.

    Raises:
        InvalidRequest: A value does not fit into a tensor.
    """
    request = messages.PredictRequest(output_filter=outputs)
    selector.fill(request.model_spec)
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        try:
            request.inputs[name].CopyFrom(encode_tensor(value))
        except ValueError as error:
            raise InvalidRequest(f"Input {name!r} cannot be sent: {error}.") from None
    return request


def build_metadata(selector: ModelSelector) -> Any:
    """Build a GetModelMetadataRequest for the signatures, the only field that exists."""
    request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
    selector.fill(request.model_spec)
    return request


def build_status(selector: ModelSelector) -> Any:
    """Build a GetModelStatusRequest."""
    request = messages.GetModelStatusRequest()
    selector.fill(request.model_spec)
    return request

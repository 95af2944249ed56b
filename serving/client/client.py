"""The client: a channel to one server, and the verbs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from serving.client import messages
from serving.client.answers import (
    Classification,
    ModelMetadata,
    Version,
    read_classifications,
    read_metadata,
    read_versions,
)
from serving.client.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerFault,
    ServerUnavailable,
    explain,
)
from serving.client.tensors import decode_tensor, encode_tensor

PREDICTION = "/tensorflow.serving.PredictionService/"
MODEL = "/tensorflow.serving.ModelService/"
TEXTS_PER_REQUEST = 64
POLL_SECONDS = 0.1

OPTIONS = [
    # gRPC's own default refuses answers above 4 MB; the server has no such limit.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A server that comes up a moment later is found within a second, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class Client:
    """A connection to one model of a server that speaks TensorFlow Serving's gRPC interface.

    `version` asks for one version, `label` for the version that carries this label; neither
    means the newest one that the server has ready. `timeout` is in seconds and holds for each
    request that is sent. Long lists of texts are cut into requests of `texts_per_request`.
    Every verb raises a ClientError (see serving.client.errors). Threads may share a client.
    """

    def __init__(
        self,
        target: str,
        model: str = "default",
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        texts_per_request: int = TEXTS_PER_REQUEST,
    ):
        if version is not None and label is not None:
            raise InvalidRequest(
                f"A model is asked for by version or by label, not by both: got version {version} "
                f"and label {label!r}. Give one of them."
            )
        self.target = target
        self.model = model
        self.version = version
        self.label = label
        self.timeout = timeout
        self.texts_per_request = texts_per_request
        self._channel = grpc.insecure_channel(target, options=OPTIONS)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __str__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        label = "" if self.label is None else f" with label {self.label!r}"
        return f"model {self.model!r}{version}{label}"

    def close(self) -> None:
        """Close the connection; the client cannot be used afterwards."""
        self._channel.close()

    def classify(
        self, texts: Iterable[str], text_pairs: Iterable[str] | None = None
    ) -> list[Classification]:
        """One answer for each text, in order; `text_pairs` holds each text's second half.

        A single string is refused: it would be read as a list of characters.
        """
        columns = {"text": _check_strings("texts", texts)}
        if text_pairs is not None:
            columns["text_pair"] = _check_strings("text_pairs", text_pairs)
        counts = {name: len(column) for name, column in columns.items()}
        if len(set(counts.values())) > 1:
            raise InvalidRequest(f"Every text needs its own pair: got {counts}.")
        answers: list[Classification] = []
        for start in range(0, counts["text"], self.texts_per_request):
            end = start + self.texts_per_request
            inputs = {name: column[start:end] for name, column in columns.items()}
            outputs = self.predict(inputs)
            try:
                answers += read_classifications(outputs, len(inputs["text"]))
            except ValueError as error:
                raise InvalidRequest(
                    f"At {self.target} {self} does not answer as a text classifier: "
                    f"{error}. It needs label, score and scores; use `predict` for other models."
                ) from None
        return answers

    def predict(
        self,
        inputs: Mapping[str, Any],
        signature: str = "serving_default",
        outputs: Sequence[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """The signature's outputs (or those named in `outputs`) as arrays.

        Strings come back as object arrays of bytes. No dtype is cast on the way: an int64 array
        does not fit a float32 input.
        """
        request = messages.PredictRequest(output_filter=_check_strings("outputs", outputs or ()))
        self._choose_model(request)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            try:
                request.inputs[name].CopyFrom(encode_tensor(value))
            except ValueError as error:
                raise InvalidRequest(f"Input {name!r} cannot be sent: {error}.") from None
        response = self._call(PREDICTION + "Predict", request, messages.PredictResponse)
        try:
            return {name: decode_tensor(proto) for name, proto in response.outputs.items()}
        except ValueError as error:
            raise ServerFault(
                f"The answer of {self} at {self.target} cannot be read: {error}."
            ) from None

    def metadata(self) -> ModelMetadata:
        """The version that answers and its signatures."""
        request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._choose_model(request)
        return read_metadata(
            self._call(PREDICTION + "GetModelMetadata", request, messages.GetModelMetadataResponse)
        )

    def status(self) -> list[Version]:
        """Every version of the model that the server knows, the highest first."""
        return self._ask_status(self.timeout)

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Return when a version of the model (or the one asked for) can answer.

        Raises DeadlineExceeded when none does within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            remaining = deadline - time.monotonic()
            try:
                versions = self._ask_status(max(remaining, POLL_SECONDS))
                if any(version.state == "AVAILABLE" for version in versions):
                    return
                reason = f"Its versions: {versions}."
            except (ModelNotFound, ServerUnavailable, DeadlineExceeded) as error:
                reason = str(error)
            if remaining <= POLL_SECONDS:
                raise DeadlineExceeded(
                    f"At {self.target} {self} was not ready within {timeout:g} s. {reason}",
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                )
            time.sleep(POLL_SECONDS)

    def _ask_status(self, timeout: float) -> list[Version]:
        request = messages.GetModelStatusRequest()
        self._choose_model(request)
        response = self._call(
            MODEL + "GetModelStatus", request, messages.GetModelStatusResponse, timeout
        )
        return read_versions(response)

    def _choose_model(self, request: Any) -> None:
        request.model_spec.name = self.model
        if self.version is not None:
            request.model_spec.version.value = self.version
        if self.label is not None:
            request.model_spec.version_label = self.label

    def _call(self, method: str, request: Any, answer: Any, timeout: float | None = None) -> Any:
        verb = method.rpartition("/")[2]
        call = self._channel.unary_unary(method, type(request).SerializeToString, answer.FromString)
        timeout = self.timeout if timeout is None else timeout
        try:
            return call(request, timeout=timeout)
        except grpc.RpcError as error:
            raise explain(error, self.target, str(self), timeout, verb) from None


def _check_strings(name: str, texts: Iterable[str]) -> list[str]:
    if isinstance(texts, (str, bytes)):
        raise InvalidRequest(
            f"{name} is one string, {str(texts[:40])!r}, where a list of strings is needed. "
            "Put it in brackets: [text]."
        )
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, (str, bytes)):
            raise InvalidRequest(
                f"{name}[{position}] is {text!r} of type {type(text).__name__}, not a string."
            )
    return texts

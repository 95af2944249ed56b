"""The two gRPC services: choose the model, answer or say why not."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server.errors import RequestError, StartError, invalid_argument
from serving.server.manager import ServedModel
from serving.server.model import LoadedModel
from serving.server.predict import predict

logger = logging.getLogger(__name__)

Models = Mapping[str, ServedModel]
# Longer than any request lives: gRPC reports "no deadline" as a very long time.
NO_DEADLINE_SECONDS = 10 * 365 * 86400


def answer(method: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """Turn what a service method raises into the gRPC status of its answer."""

    @functools.wraps(method)
    def answering(service: Any, request: Any, context: Any) -> Any:
        try:
            return method(service, request, context)
        except RequestError as error:
            code, details = error.code, error.details
        except Exception:
            logger.exception("%s failed", method.__name__)
            code, details = grpc.StatusCode.INTERNAL, "Internal server error"
        return context.abort(code, details)

    return answering


@contextmanager
def use_model(models: Models, spec: Any) -> Iterator[LoadedModel]:
    """The loaded version that a ModelSpec asks for. Raises RequestError."""
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    if spec.WhichOneof("version_choice") == "version_label":
        raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
    version = spec.version.value if spec.HasField("version") else None
    wanted = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
    not_found = RequestError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
    if spec.name not in models:
        raise not_found
    with models[spec.name].use(version) as model:
        if model is None:
            raise not_found
        yield model


def check_model_spec(request: Any) -> None:
    """Raise a RequestError when the request names no model at all."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other methods answer UNIMPLEMENTED."""

    def __init__(self, models: Models):
        self._models = models

    @answer
    def Predict(self, request: Any, context: Any) -> Any:
        """Run a signature."""
        check_model_spec(request)
        with use_model(self._models, request.model_spec) as model:
            remaining = context.time_remaining()
            if remaining is not None and remaining <= 0:
                raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            if remaining is not None and remaining > NO_DEADLINE_SECONDS:
                remaining = None
            return predict(model, request, remaining)

    @answer
    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """The signatures as the SavedModel stores them."""
        check_model_spec(request)
        if not request.metadata_field:
            raise invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid_argument(f"Metadata field {field} is not supported")
        with use_model(self._models, request.model_spec) as model:
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, signature in model.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = model.version
            response.metadata["signature_def"].Pack(signatures)
            return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; HandleReloadConfigRequest answers UNIMPLEMENTED."""

    def __init__(self, models: Models):
        self._models = models

    @answer
    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """The states of the versions, the highest first."""
        check_model_spec(request)
        spec = request.model_spec
        states = self._models[spec.name].states() if spec.name in self._models else {}
        missing = f"Could not find any versions of model {spec.name}"
        if spec.HasField("version"):
            version = spec.version.value
            missing = f"Could not find version {version} of model {spec.name}"
            states = {number: state for number, state in states.items() if number == version}
        if not states:
            raise RequestError(grpc.StatusCode.NOT_FOUND, missing)
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, state in states.items():
            status = response.model_version_status.add(version=number, state=state.state)
            status.status.error_code = state.error_code
            status.status.error_message = state.error_message
        return response


def listen(models: Models, host: str, port: int, threads: int) -> tuple[grpc.Server, int]:
    """A started server and the port it got. Raises StartError when the port is taken."""
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="request"),
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            # With SO_REUSEPORT two servers could share a port and clients would get either.
            ("grpc.so_reuseport", 0),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(models), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(models), server)
    try:
        port = server.add_insecure_port(format_address(host, port))
    except RuntimeError as error:
        raise StartError(
            "The server cannot listen there.",
            f"{format_address(host, port)}: {error}",
            "choose another --port (0 picks a free one) or stop what uses it",
        ) from None
    server.start()
    return server, port


def format_address(host: str, port: int) -> str:
    """HOST:PORT, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

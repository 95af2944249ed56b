"""Implementation of PredictionService and ModelService, independent of the transport."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
)

from serving.server import metrics
from serving.server.errors import RequestError, invalid_argument
from serving.server.flags import ServerFlags
from serving.server.inference.classify_regress import (
    classify,
    get_model_spec,
    multi_inference,
    regress,
)
from serving.server.inference.loaded_model import LoadedModel
from serving.server.inference.predict import predict
from serving.server.lifecycle.manager import ModelManager
from serving.server.request import PendingBytes, RequestContext, RequestRecord
from serving.server.request_log import RequestLog


class ServingService:
    """RPCs of both services: request message in, response message out, or RequestError.

    Methods are thread-safe, block until the response is complete, and count and log the request.
    """

    def __init__(self, manager: ModelManager, flags: ServerFlags | None = None):
        flags = flags or ServerFlags()
        self.manager = manager
        self.pending = PendingBytes(flags.max_pending_bytes)
        self.log = RequestLog(flags.request_log)

    def close(self) -> None:
        """Flush the request log."""
        self.log.close()

    def record(self, context: RequestContext, model: str = "") -> RequestRecord:
        """Return a `with` block that counts and logs a request made without the methods below."""
        return RequestRecord(self.log, context, model)

    def predict(self, request: Any, context: RequestContext) -> Any:
        """Run a PredictRequest."""
        return self._infer(predict, check_model_spec, count_rows, request, context)

    def classify(self, request: Any, context: RequestContext) -> Any:
        """Run a ClassificationRequest."""
        return self._infer(classify, check_model_spec, count_examples, request, context)

    def regress(self, request: Any, context: RequestContext) -> Any:
        """Run a RegressionRequest."""
        return self._infer(regress, check_model_spec, count_examples, request, context)

    def multi_inference(self, request: Any, context: RequestContext) -> Any:
        """Run a MultiInferenceRequest; its first task selects the model."""
        return self._infer(multi_inference, get_model_spec, count_examples, request, context)

    def get_model_metadata(self, request: Any, context: RequestContext | None = None) -> Any:
        """Return the SavedModel's signatures. Without a context the request is not recorded."""
        with self._recording(context) as record:
            record.model = request.model_spec.name
            spec = check_model_spec(request)
            if not request.metadata_field:
                raise invalid_argument(
                    "GetModelMetadataRequest must specify at least one metadata_field"
                )
            for field in request.metadata_field:
                if field != "signature_def":
                    raise invalid_argument(f"Metadata field {field} is not supported")
            with self.manager.use(spec) as model:
                record.set_model(model, None)
                signatures = get_model_metadata_pb2.SignatureDefMap()
                for name, signature in model.signatures.items():
                    signatures.signature_def[name].CopyFrom(signature)
                response = get_model_metadata_pb2.GetModelMetadataResponse()
                response.model_spec.name = spec.name
                response.model_spec.version.value = model.version
                response.metadata["signature_def"].Pack(signatures)
                return response

    def get_model_status(self, request: Any, context: RequestContext | None = None) -> Any:
        """Return version states, the highest first. Without a context it is not recorded."""
        with self._recording(context) as record:
            record.model = request.model_spec.name
            spec = check_model_spec(request)
            states = self.manager.states(spec.name)
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

    def reload(self, request: Any, context: RequestContext) -> Any:
        """Replace the configuration; the response has the increase of the named metrics."""
        with self.record(context):
            context.check()
            before = metrics.read_totals(request.metric_names)
            self.manager.reload(request.config, context.cancelled)
            response = model_management_pb2.ReloadConfigResponse()
            response.status.error_code = 0
            for name, total in metrics.read_totals(list(before)).items():
                response.metric.add(name=name, int64_value_increase=total - before[name])
            return response

    def _recording(self, context: RequestContext | None) -> AbstractContextManager[RequestRecord]:
        return (
            nullcontext(RequestRecord(self.log, RequestContext()))
            if context is None
            else self.record(context)
        )

    def _infer(
        self,
        answer: Callable[[LoadedModel, Any, RequestContext], Any],
        check: Callable[[Any], Any],
        count: Callable[[Any], int | None],
        request: Any,
        context: RequestContext,
    ) -> Any:
        with self.record(context) as record:
            record.model = read_model_name(request)
            spec = check(request)
            context.check()
            with self.manager.use(spec) as model:
                record.set_model(model, spec.signature_name)
                record.rows = count(request)
                return answer(model, request, context)


def check_model_spec(request: Any) -> Any:
    """Return the request's ModelSpec; raises RequestError when it has none."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return request.model_spec


def read_model_name(request: Any) -> str:
    """Return the requested model; a MultiInferenceRequest names it in its first task."""
    if hasattr(request, "model_spec"):
        return request.model_spec.name
    return request.tasks[0].model_spec.name if request.tasks else ""


def count_rows(request: Any) -> int | None:
    """Return the batch size of a PredictRequest; None for a scalar or without inputs."""
    for proto in request.inputs.values():
        return proto.tensor_shape.dim[0].size if proto.tensor_shape.dim else None
    return None


def count_examples(request: Any) -> int:
    """Return the number of Examples in a request."""
    kind = request.input.WhichOneof("kind")
    return len(getattr(request.input, kind).examples) if kind else 0

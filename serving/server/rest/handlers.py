"""REST request handlers: from route and body to HTTP response. Blocking, thread-safe."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.server.errors import RequestError, invalid_argument, log_fault
from serving.server.inference.classify_regress import classify, regress
from serving.server.inference.predict import DEFAULT_SIGNATURE, predict
from serving.server.request import RequestContext, RequestRecord
from serving.server.rest.json_body import TOO_DEEP, JsonDocument, format_error, parse_body
from serving.server.rest.json_examples import fill_examples
from serving.server.rest.json_responses import (
    write_classifications,
    write_error,
    write_metadata,
    write_predictions,
    write_regressions,
    write_status,
)
from serving.server.rest.json_tensors import fill_inputs
from serving.server.rest.routes import HTTP_STATUS, Route, VersionTooLarge
from serving.server.service import ServingService, count_examples, count_rows

DECOMPRESSED_LIMIT = 100 * 2**20
# zlib's window size for gzip format.
GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class HttpReply:
    """HTTP status and body of a response."""

    status: int
    body: bytes


class RestHandlers:
    """Handlers of all REST requests; each request is counted and logged once."""

    def __init__(self, service: ServingService):
        self._service = service

    def answer(
        self, route: Route, context: RequestContext, body: Sequence[bytes], gzipped: bool
    ) -> HttpReply:
        """Handle a request.

        Args:
            route: Decoded URL.
            context: Deadline and cancellation.
            body: Chunks of the body.
            gzipped: Whether the body is compressed.
        """

        def work(record: RequestRecord) -> bytes:
            spec = route.spec()
            if route.verb in ("status", "metadata"):
                return self._describe(route.verb, spec, record)
            context.check()
            whole = b"".join(body)
            document = parse_body(decompress(whole) if gzipped else whole)
            if route.verb == "predict":
                return self._predict(document, spec, context, record)
            return self._infer(route.verb, document, spec, context, record)

        return self._reply(route, lambda: self._record(route, context, work))

    def reject(
        self, route: Route, context: RequestContext, error: RequestError, status: int = 0
    ) -> HttpReply:
        """Build the response of a request that is rejected before its body is parsed."""

        def work(record: RequestRecord) -> bytes:
            raise error

        reply = self._reply(route, lambda: self._record(route, context, work))
        return HttpReply(status or reply.status, reply.body)

    def _record(
        self, route: Route, context: RequestContext, work: Callable[[RequestRecord], bytes]
    ) -> bytes:
        with self._service.record(context, route.model) as record:
            try:
                return work(record)
            except RecursionError:
                raise TOO_DEEP from None

    def _reply(self, route: Route, work: Callable[[], bytes]) -> HttpReply:
        try:
            return HttpReply(200, work())
        except VersionTooLarge:
            return HttpReply(400, b"")
        except RequestError as error:
            return build_error_response(error)
        except Exception as error:
            log_fault(f"{route.method} {route.verb}", error)
            return HttpReply(500, write_error("Internal server error"))

    def _describe(self, verb: str, spec: model_pb2.ModelSpec, record: RequestRecord) -> bytes:
        if not spec.name:
            raise invalid_argument("Missing model name in request.")
        if verb == "status":
            request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
            return write_status(self._service.get_model_status(request))
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        response = self._service.get_model_metadata(request)
        record.version = str(response.model_spec.version.value)
        return write_metadata(response)

    def _predict(
        self,
        document: JsonDocument,
        spec: model_pb2.ModelSpec,
        context: RequestContext,
        record: RequestRecord,
    ) -> bytes:
        request = predict_pb2.PredictRequest(model_spec=spec)
        read_signature_name(document, request)
        chosen = request.model_spec.signature_name or DEFAULT_SIGNATURE
        with self._service.manager.use(request.model_spec) as model:
            record.set_model(model, chosen)
            if chosen not in model.signatures:
                raise invalid_argument(
                    f'Serving signature name: "{chosen}" not found in signature def'
                )
            signature = model.signatures[chosen]
            given = request.model_spec.signature_name
            # A dict, unlike a protobuf map, allows lookups of names that are not UTF-8.
            rows = fill_inputs(document, dict(signature.inputs), given, request.inputs)
            record.rows = count_rows(request)
            response = predict(model, request, context)
        return write_predictions(response.outputs, rows)

    def _infer(
        self,
        verb: str,
        document: JsonDocument,
        spec: model_pb2.ModelSpec,
        context: RequestContext,
        record: RequestRecord,
    ) -> bytes:
        make, run, write = {
            "classify": (
                classification_pb2.ClassificationRequest,
                classify,
                write_classifications,
            ),
            "regress": (regression_pb2.RegressionRequest, regress, write_regressions),
        }[verb]
        request = make(model_spec=spec)
        read_signature_name(document, request)
        fill_examples(document, request)
        with self._service.manager.use(request.model_spec) as model:
            record.set_model(model, request.model_spec.signature_name)
            record.rows = count_examples(request)
            response = run(model, request, context)
        return write(response.result)


def build_error_response(error: RequestError) -> HttpReply:
    """Build the response of an error."""
    return HttpReply(HTTP_STATUS.get(error.code, 500), write_error(error.details))


def read_signature_name(document: JsonDocument, request: Any) -> None:
    """Set the request's signature from the body, if given; raises RequestError."""
    name = document.value.get("signature_name", "")
    if not isinstance(name, str):
        raise format_error(
            document.value,
            "not formatted correctly. 'signature_name' key must be a string value.",
        )
    request.model_spec.signature_name = document.encode(name).decode("utf-8", "replace")


def decompress(packed: bytes) -> bytes:
    """Decompress a gzip body; raises RequestError if it is invalid or larger than 100 MB."""
    if not packed:
        return b""
    try:
        member = zlib.decompressobj(GZIP)
        body = member.decompress(packed, DECOMPRESSED_LIMIT + 1)
    except zlib.error as error:
        raise invalid_argument(f"The body is not gzip: {error}") from None
    if len(body) > DECOMPRESSED_LIMIT:
        raise invalid_argument(f"The decompressed body is larger than {DECOMPRESSED_LIMIT} bytes")
    if not member.eof:
        raise invalid_argument("The gzip body is truncated")
    return body

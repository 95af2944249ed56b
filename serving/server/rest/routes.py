"""Routing of REST URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

import grpc
from tensorflow_serving.apis import model_pb2

from serving.server.errors import RequestError, invalid_argument

VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
# TensorFlow Serving's expressions (http_rest_api_util.cc), which ignore case.
INFERENCE = re.compile(
    rf"/v1/models/(?P<model>[^/:]+){VERSION}:(?P<verb>classify|regress|predict)", re.IGNORECASE
)
INFORMATION = re.compile(
    rf"/v1/models(?:/(?P<model>[^/:]+))?{VERSION}(?:/(?P<verb>metadata))?", re.IGNORECASE
)
# HTTP status of a gRPC status; 500 for any other.
HTTP_STATUS = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class VersionTooLarge(RequestError):
    """Version number beyond int64: TensorFlow Serving responds 400 with an empty body."""

    def __init__(self, version: str):
        super().__init__(
            grpc.StatusCode.INVALID_ARGUMENT, f"Failed to convert version: {version} to numeric."
        )


@dataclass(frozen=True)
class Route:
    """Decoded URL. `verb` is empty for an unknown URL."""

    method: str
    path: str
    verb: str = ""
    model: str = ""
    version: str = ""
    label: str = ""

    @property
    def api(self) -> str:
        """Label of the metrics: the inference API, else empty."""
        return self.verb if self.verb in ("predict", "classify", "regress") else ""

    def spec(self) -> model_pb2.ModelSpec:
        """Build the ModelSpec of the URL; raises RequestError."""
        if not self.verb:
            raise invalid_argument(f"Malformed request: {self.method} {self.path}")
        spec = model_pb2.ModelSpec(name=self.model)
        if self.version:
            # Python rejects numbers of thousands of digits.
            digits = self.version.lstrip("0") or "0"
            if len(digits) > 19 or int(digits) >= 2**63:
                raise VersionTooLarge(self.version)
            spec.version.value = int(digits)
        if self.label:
            spec.version_label = self.label
        return spec


def find_route(method: str, path: str) -> Route:
    """Return the Route of a method and a raw path with its query."""
    path = path.encode("utf-8", "replace").decode()
    expressions = {"POST": INFERENCE, "GET": INFORMATION}
    match = expressions[method].fullmatch(path) if method in expressions else None
    if match is None:
        return Route(method, path)
    verb = match["verb"] or "status"
    if verb != verb.lower() and method == "POST":
        # The expression ignores the case of the verb, but a later comparison does not.
        verb = ""
    return Route(
        method,
        path,
        verb.lower(),
        unquote(match["model"] or ""),
        match["version"] or "",
        unquote(match["label"] or ""),
    )

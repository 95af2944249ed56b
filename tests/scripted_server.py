"""gRPC server with scripted responses, for rare behaviour of servers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from serving.client import messages
from serving.client.tensor_codec import decode_tensor, encode_tensor

METHODS = {
    "Predict": messages.PredictRequest,
    "GetModelMetadata": messages.GetModelMetadataRequest,
    "GetModelStatus": messages.GetModelStatusRequest,
}
LABELS = ["angry", "happy", "sad"]


def answer_tensors(request: Any, outputs: dict[str, Any], version: int = 1) -> Any:
    """A PredictResponse."""
    response = messages.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    for name, value in outputs.items():
        response.outputs[name].CopyFrom(encode_tensor(value))
    return response


def read_texts(request: Any, name: str = "text") -> list[str]:
    """The texts in a PredictRequest."""
    return [text.decode() for text in decode_tensor(request.inputs[name])]


def classify(request: Any, version: int = 1) -> Any:
    """A text's label is the text itself (and its pair), its score its length."""
    columns = [read_texts(request, name) for name in sorted(request.inputs)]
    labels = ["|".join(row) for row in zip(*columns, strict=True)]
    lengths = np.array([len(label) for label in labels], np.float32)
    outputs = {"label": labels, "score": lengths, "scores": np.stack([lengths, -lengths], axis=1)}
    return answer_tensors(request, outputs, version)


def label(request: Any, version: int = 1) -> Any:
    """A multilabel model with LABELS, or its `info`: a label applies to a text that names it."""
    if request.model_spec.signature_name == "info":
        info = json.dumps({"task": "multilabel", "labels": [f"{n}{version}" for n in LABELS]})
        return answer_tensors(request, {"info": info}, version)
    active = np.array([[name in text for name in LABELS] for text in read_texts(request)])
    return answer_tensors(request, {"scores": active.astype(np.float32), "active": active}, version)


class ScriptedServer:
    """Responds with `script(method, request, context)` and records the requests.

    `calls` holds (method, request, metadata) in the order of arrival.
    """

    def __init__(self, script: Callable[[str, Any, Any], Any], credentials: Any = None, port=0):
        self.script = script
        self.calls: list[tuple[str, Any, dict[str, Any]]] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        for service in ("PredictionService", "ModelService"):
            handlers = {
                method: grpc.unary_unary_rpc_method_handler(
                    lambda request, context, method=method: self._answer(method, request, context),
                    request.FromString,
                    lambda message: message.SerializeToString(),
                )
                for method, request in METHODS.items()
            }
            self._server.add_generic_rpc_handlers(
                [grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers)]
            )
        where = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(where)
        else:
            self.port = self._server.add_secure_port(where, credentials)
        self.address = f"127.0.0.1:{self.port}"
        self._server.start()

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop at once; running calls fail."""
        self._server.stop(0).wait()

    def count(self, method: str) -> int:
        """Return the number of calls of a method."""
        return sum(name == method for name, _, _ in self.calls)

    def _answer(self, method: str, request: Any, context: Any) -> Any:
        with self._lock:
            self.calls.append((method, request, dict(context.invocation_metadata())))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self.script(method, request, context)
        finally:
            with self._lock:
                self._at_once -= 1


def always(answer: Callable[[Any], Any]) -> Callable[[str, Any, Any], Any]:
    """Return a script that answers Predict and implements no other method."""

    def script(method: str, request: Any, context: Any) -> Any:
        if method != "Predict":
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
        return answer(request)

    return script


def refuse(times: int, code: grpc.StatusCode, details: str) -> Callable[[str, Any, Any], Any]:
    """Return a script that rejects the first `times` calls of Predict and then classifies."""
    refusals = iter(range(times))

    def script(method: str, request: Any, context: Any) -> Any:
        if method != "Predict" or next(refusals, None) is not None:
            context.abort(code, details)
        return classify(request)

    return script


@contextlib.contextmanager
def silent_address():
    """Yield an address that accepts connections and never responds."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


def make_certificates(folder: Path) -> dict[str, Path]:
    """PEM files of an authority (ca) and, signed by it, of a server and a client, with keys.

    The server is `localhost` and 127.0.0.1. Needs the openssl command.
    """

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost,DNS:models.example,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(
            "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    return {path.name: path for path in folder.iterdir()}

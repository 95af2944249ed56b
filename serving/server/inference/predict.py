"""Predict API, with the order and the messages of TensorFlow Serving's checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.server.errors import RequestError, invalid_argument
from serving.server.inference.loaded_model import LoadedModel
from serving.server.inference.tensor_protos import read_tensor, write_tensor
from serving.server.request import RequestContext

DEFAULT_SIGNATURE = "serving_default"
METHOD_NAMES = (
    tf.saved_model.PREDICT_METHOD_NAME,
    tf.saved_model.CLASSIFY_METHOD_NAME,
    tf.saved_model.REGRESS_METHOD_NAME,
)


def predict(model: LoadedModel, request: Any, context: RequestContext) -> Any:
    """Run a PredictRequest; raises RequestError.

    Streaming options, client ids and request options are ignored, as in TensorFlow Serving.
    """
    signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = model.signatures.get(signature_name)
    if signature is None:
        raise RequestError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{signature_name}" not found.',
        )
    if model.options.check_method_names and signature.method_name not in METHOD_NAMES:
        raise RequestError(
            grpc.StatusCode.INTERNAL,
            "Expected prediction signature method_name to be one of "
            f"{{{', '.join(METHOD_NAMES)}}}. Was: {signature.method_name}",
        )
    feeds = read_inputs(signature, request.inputs)
    aliases = choose_outputs(signature, request.output_filter)
    values = model.run(feeds, [signature.outputs[alias].name for alias in aliases], context)

    response = predict_pb2.PredictResponse()
    set_model_spec(response.model_spec, model, signature_name)
    for alias, (datatype, value) in zip(aliases, values, strict=True):
        try:
            write_tensor(
                datatype, value, response.outputs[alias], model.options.answer_in_tensor_content
            )
        except ValueError as error:
            raise RequestError(grpc.StatusCode.UNIMPLEMENTED, f"{alias}: {error}") from None
    return response


def set_model_spec(spec: Any, model: LoadedModel, signature_name: str) -> None:
    """Fill the ModelSpec of a response with the version that was used."""
    spec.name = model.name
    spec.version.value = model.version
    spec.signature_name = signature_name


def read_inputs(signature: Any, inputs: Any) -> dict[str, np.ndarray]:
    """Return feeds by tensor name, from the request or the signature's defaults."""
    wanted, given, defaults = set(signature.inputs), set(inputs), signature.defaults
    if len(given) > len(wanted) or (len(given) < len(wanted) and not defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(given)}!={len(wanted)} "
            f"len({_braces(given)}) != len({_braces(wanted)}). "
            f"Sent extra: {_braces(given - wanted)}. "
            f"Missing but required: {_braces(wanted - given)}."
        )
    feeds = {}
    for alias in sorted(wanted):
        name = signature.inputs[alias].name
        if alias not in given and alias not in defaults:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {name}) not found in request and no "
                f"default value provided. Inputs expected to be in the request {_braces(given)}, "
                f"or default input alias set: {','.join(sorted(defaults))}"
            )
        if name in feeds:
            raise invalid_argument(f'Endpoint "{name}" fed more than once.')
        try:
            feeds[name] = read_tensor(inputs[alias] if alias in given else defaults[alias])
        except ValueError:
            raise invalid_argument(f"tensor parsing error: {alias}") from None
    if given - wanted:
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(given & wanted))}"
            f", request input: {','.join(sorted(given))}"
        )
    return feeds


def choose_outputs(signature: Any, output_filter: Iterable[str]) -> Sequence[str]:
    """Return the output aliases to fetch: those of the filter, or all."""
    chosen: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_braces(signature.outputs)}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return chosen or list(signature.outputs)


def _braces(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"

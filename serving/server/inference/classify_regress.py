"""Classify, Regress and MultiInference, whose inputs are tf.Examples.

Order and messages of the checks are those of TensorFlow Serving (classifier.cc, regressor.cc,
multi_inference.cc and util.cc in servables/tensorflow).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, model_pb2, regression_pb2

from serving.server import metrics
from serving.server.errors import RequestError, invalid_argument
from serving.server.inference.loaded_model import LoadedModel
from serving.server.inference.predict import DEFAULT_SIGNATURE, set_model_spec
from serving.server.request import RequestContext

CLASSIFY = tf.saved_model.CLASSIFY_METHOD_NAME
REGRESS = tf.saved_model.REGRESS_METHOD_NAME
INPUTS, CLASSES, SCORES, OUTPUTS = "inputs", "classes", "scores", "outputs"

# (DataType, value) of fetched tensors by name
Values = dict[str, tuple[int, np.ndarray]]


def classify(model: LoadedModel, request: Any, context: RequestContext) -> Any:
    """Run a ClassificationRequest; raises RequestError."""
    name, signature = _find_signature(model, request.model_spec)
    fetches = check_classification(model, signature)
    examples = read_examples(request.input)
    values = _run(model, signature.inputs[INPUTS].name, examples, fetches, context)
    response = classification_pb2.ClassificationResponse()
    write_classifications(signature, len(examples), values, response.result)
    set_model_spec(response.model_spec, model, name)
    return response


def regress(model: LoadedModel, request: Any, context: RequestContext) -> Any:
    """Run a RegressionRequest; raises RequestError."""
    name, signature = _find_signature(model, request.model_spec)
    fetches = check_regression(model, signature)
    examples = read_examples(request.input)
    values = _run(model, signature.inputs[INPUTS].name, examples, fetches, context)
    response = regression_pb2.RegressionResponse()
    write_regressions(signature, len(examples), values, response.result)
    set_model_spec(response.model_spec, model, name)
    return response


def get_model_spec(request: Any) -> Any:
    """Return the ModelSpec of the first task, which selects the model; empty without tasks."""
    return request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()


def multi_inference(model: LoadedModel, request: Any, context: RequestContext) -> Any:
    """Run a MultiInferenceRequest: one run of the graph for all tasks.

    Raises:
        RequestError: For the first invalid task.
    """
    signatures: dict[str, Any] = {}
    fetches: set[str] = set()
    input_name = ""
    for task in request.tasks:
        spec = task.model_spec
        if not spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if spec.name != request.tasks[0].model_spec.name:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        name = spec.signature_name or DEFAULT_SIGNATURE
        if name in signatures:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in model.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        signature = signatures[name] = model.signatures[name]
        if task.method_name == CLASSIFY:
            fetches.update(check_classification(model, signature))
        elif task.method_name == REGRESS:
            fetches.update(check_regression(model, signature))
        else:
            raise RequestError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"Unsupported signature method_name: {task.method_name}",
            )
        if input_name and input_name != signature.inputs[INPUTS].name:
            raise invalid_argument("Input tensor must be the same for all Signatures.")
        input_name = signature.inputs[INPUTS].name
    examples = read_examples(request.input)
    values = _run(model, input_name, examples, sorted(fetches), context)
    response = inference_pb2.MultiInferenceResponse()
    for task, (name, signature) in zip(request.tasks, signatures.items(), strict=True):
        result = response.results.add()
        set_model_spec(result.model_spec, model, name)
        if task.method_name == CLASSIFY:
            result.classification_result.SetInParent()
            write_classifications(signature, len(examples), values, result.classification_result)
        else:
            write_regressions(signature, len(examples), values, result.regression_result)
    return response


def read_examples(inputs: Any) -> np.ndarray:
    """Return the serialized Examples of an Input, the context before each: object [batch]."""
    context = b""
    kind = inputs.WhichOneof("kind")
    if kind == "example_list_with_context":
        context = inputs.example_list_with_context.context.SerializeToString()
    examples = getattr(inputs, kind).examples if kind else []
    if not examples:
        raise invalid_argument("Input is empty.")
    array = np.empty(len(examples), dtype=object)
    # Concatenated serialized messages are one merged message.
    array[:] = [context + example.SerializeToString() for example in examples]
    return array


def check_classification(model: LoadedModel, signature: Any) -> Sequence[str]:
    """Return the tensors to fetch for a classify signature; raises RequestError for another."""
    _check_signature(model, signature, CLASSIFY, "classification")
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    _check_name(signature, signature.inputs, INPUTS, "classification inputs")
    fetches = [signature.outputs[key].name for key in (CLASSES, SCORES) if key in signature.outputs]
    if not fetches:
        raise invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was: {signature}'
        )
    return fetches


def check_regression(model: LoadedModel, signature: Any) -> Sequence[str]:
    """Return the tensor to fetch for a regress signature; raises RequestError for another."""
    _check_signature(model, signature, REGRESS, "regression")
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    _check_name(signature, signature.inputs, INPUTS, "regression inputs")
    _check_name(signature, signature.outputs, OUTPUTS, "regression outputs")
    return [signature.outputs[OUTPUTS].name]


def write_classifications(signature: Any, count: int, values: Values, result: Any) -> None:
    """Write one Classifications for each of `count` examples, one Class for each column."""
    classes = _check_columns(signature, CLASSES, types_pb2.DT_STRING, count, values)
    scores = _check_columns(signature, SCORES, types_pb2.DT_FLOAT, count, values)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid_argument(
            "Tensors class and score should match in dim_size(1). Got "
            f"{classes.shape[1]} vs. {scores.shape[1]}"
        )
    for row in range(count):
        classifications = result.classifications.add()
        # Labels are proto strings: invalid UTF-8 would make the response unparseable.
        labels = [
            label.decode("utf-8", "replace") for label in (() if classes is None else classes[row])
        ]
        numbers = [] if scores is None else scores[row].tolist()
        for column in range(max(len(labels), len(numbers))):
            found = classifications.classes.add()
            if labels:
                found.label = labels[column]
            if numbers:
                found.score = numbers[column]


def write_regressions(signature: Any, count: int, values: Values, result: Any) -> None:
    """Write one Regression for each of `count` examples."""
    datatype, array = values[signature.outputs[OUTPUTS].name]
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{_show_shape(array)}"
        )
    if len(array) != count:
        raise invalid_argument(
            f"Input batch size did not match output batch size: {count} vs. {len(array)}"
        )
    if datatype != types_pb2.DT_FLOAT:
        raise invalid_argument(
            f"Expected output Tensor of DT_FLOAT.  Got: {types_pb2.DataType.Name(datatype)}"
        )
    for number in array.ravel().tolist():
        result.regressions.add(value=number)


def _find_signature(model: LoadedModel, spec: Any) -> tuple[str, Any]:
    name = spec.signature_name or DEFAULT_SIGNATURE
    if name not in model.signatures:
        raise invalid_argument(f"No signature was found with the name: {name}")
    return name, model.signatures[name]


def _check_signature(model: LoadedModel, signature: Any, method: str, noun: str) -> None:
    if model.options.check_method_names and signature.method_name != method:
        raise invalid_argument(
            f"Expected {noun} signature method_name to be {method}. Was: {signature.method_name}"
        )
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")


def _check_name(signature: Any, tensors: Any, name: str, noun: str) -> None:
    if name not in tensors:
        raise invalid_argument(f"No {noun} found in SignatureDef: {signature}")


def _check_columns(
    signature: Any, key: str, wanted: int, count: int, values: Values
) -> np.ndarray | None:
    if key not in signature.outputs:
        return None
    name = signature.outputs[key].name
    if key == SCORES and CLASSES in signature.outputs and signature.outputs[CLASSES].name == name:
        return None
    datatype, array = values[name]
    if array.ndim != 2:
        raise invalid_argument(
            f"Expected Tensor shape: [batch_size num_classes] but got {_show_shape(array)}"
        )
    if datatype != wanted:
        name_of = types_pb2.DataType.Name
        raise invalid_argument(
            f"Expected {key} Tensor of {name_of(wanted)}. Got: {name_of(datatype)}"
        )
    if len(array) != count:
        raise invalid_argument(f"Expected {key} output batch size of {count}. Got: {len(array)}")
    return array


def _run(
    model: LoadedModel,
    input_name: str,
    examples: np.ndarray,
    fetches: Sequence[str],
    context: RequestContext,
) -> Values:
    values = model.run({input_name: examples}, fetches, context)
    metrics.EXAMPLE_COUNTS.observe(len(examples), model.name)
    metrics.EXAMPLE_COUNT_TOTAL.increase(model.name, by=len(examples))
    return {
        name: (datatype, np.asarray(value))
        for name, (datatype, value) in zip(fetches, values, strict=True)
    }


def _show_shape(array: np.ndarray) -> str:
    return f"[{','.join(map(str, array.shape))}]"

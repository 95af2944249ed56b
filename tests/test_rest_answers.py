"""Tensors, results, states and metadata to JSON, as TensorFlow Serving writes it."""

from __future__ import annotations

import json
import math

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.server.errors import RequestError
from serving.server.inference.tensor_protos import write_tensor
from serving.server.rest.json_numbers import format_numbers
from serving.server.rest.json_responses import (
    write_classifications,
    write_error,
    write_metadata,
    write_predictions,
    write_regressions,
    write_status,
)


def test_numbers_have_six_digits_or_all():
    numbers = [9000000, 999999, 0.5, 0.0003, 0.00003, 555557.5, 1e20, -0.0, 0.2, 1 / 3, 123456789]
    assert format_numbers(np.array(numbers, np.float32)) == (
        ["9e+06", "999999.0", "0.5", "0.0003", "3e-05", "555557.5", "1e+20", "-0.0", "0.2"]
        + ["0.333333343", "123456792.0"]
    )
    doubles = np.array([0.1, 1 / 3, 1e300, 2**53, 5e-324])
    assert format_numbers(doubles) == (
        ["0.1", "0.33333333333333331", "1e+300", "9007199254740992.0", "4.94066e-324"]
    )
    special = np.array([math.nan, math.inf, 3, -math.inf], np.float32)
    assert format_numbers(special) == ["NaN", "Infinity", "3.0", "-Infinity"]
    assert len(format_numbers(np.ones([100, 100], np.float32))) == 10_000


@settings(deadline=None)
@given(st.lists(st.floats(width=32), max_size=50))
def test_written_floats_read_back(numbers):
    array = np.array(numbers, np.float32)
    back = np.array([float(text) for text in format_numbers(array)], np.float32)
    np.testing.assert_array_equal(back, array)
    assert all(len(text) <= 16 for text in format_numbers(array))


@settings(deadline=None)
@given(st.lists(st.floats(), max_size=50))
def test_written_doubles_read_back(numbers):
    array = np.array(numbers, np.float64)
    back = np.array([float(text) for text in format_numbers(array)], np.float64)
    np.testing.assert_array_equal(back, array)


def outputs(**arrays):
    response = predict_pb2.PredictResponse()
    for name, (dtype, value) in arrays.items():
        array = np.asarray(value, dtype.as_numpy_dtype)
        write_tensor(dtype.as_datatype_enum, array, response.outputs[name])
    return response.outputs


MIXED = {
    "n": (tf.float64, np.array([8.0, 9.0])),
    "i": (tf.int32, np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])),
    "s": (tf.string, np.array([[b"foo"], [b'b"\\\n']], object)),
    "s_bytes": (tf.string, np.array([b"hello", b"tf"], object)),
    "b": (tf.bool, np.array([True, False])),
}


def test_answers_by_row():
    assert json.loads(write_predictions(outputs(**MIXED), rows=True)) == {
        "predictions": [
            {"n": 8.0, "i": [[1, 2], [3, 4]], "s": ["foo"], "s_bytes": {"b64": "aGVsbG8="},
             "b": True},
            {"n": 9.0, "i": [[5, 6], [7, 8]], "s": ['b"\\\n'], "s_bytes": {"b64": "dGY="},
             "b": False},
        ]
    }  # fmt: skip


def test_answers_by_column():
    assert json.loads(write_predictions(outputs(**MIXED), rows=False)) == {
        "outputs": {
            "n": [8.0, 9.0],
            "i": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
            "s": [["foo"], ['b"\\\n']],
            "s_bytes": [{"b64": "aGVsbG8="}, {"b64": "dGY="}],
            "b": [True, False],
        }
    }
    assert json.loads(write_predictions(outputs(y=(tf.int8, np.int8(-3))), False)) == {
        "outputs": -3
    }


def test_answers_look_as_tensorflow_serving_s():
    matrix = outputs(y=(tf.float32, np.array([[2.5, 3], [3.5, 4]])))
    assert write_predictions(matrix, rows=True).decode() == (
        '{\n    "predictions": [[2.5, 3.0], [3.5, 4.0]\n    ]\n}'
    )
    assert write_predictions(matrix, rows=False).decode() == (
        '{\n    "outputs": [\n        [\n            2.5,\n            3.0\n        ],\n'
        "        [\n            3.5,\n            4.0\n        ]\n    ]\n}"
    )
    two = outputs(a=(tf.int32, np.array([1])), b=(tf.int32, np.array([2])))
    assert write_predictions(two, rows=True).decode() == (
        '{\n    "predictions": [\n        {\n            "a": 1,\n            "b": 2\n'
        "        }\n    ]\n}"
    )
    assert write_error('no "x"').decode() == '{\n    "error": "no \\"x\\""\n}'


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0), (2, 0, 3), (2, 3, 0)])
def test_empty_answers(shape):
    array = np.zeros(shape, np.float32)
    written = outputs(y=(tf.float32, array))
    assert json.loads(write_predictions(written, rows=True))["predictions"] == array.tolist()
    assert json.loads(write_predictions(written, rows=False))["outputs"] == array.tolist()


def test_strings_that_are_not_utf_8_are_answered_raw():
    written = outputs(y=(tf.string, np.array([b"\xff\xfe"], object)))
    assert b'["\xff\xfe"\n' in write_predictions(written, rows=True)


def test_large_integers_stay_exact():
    written = outputs(y=(tf.uint64, np.array([2**64 - 1], np.uint64)))
    assert b"18446744073709551615" in write_predictions(written, rows=True)
    written = outputs(y=(tf.int64, np.array([-(2**63)])))
    assert b"-9223372036854775808" in write_predictions(written, rows=False)


@pytest.mark.parametrize(
    ("arrays", "details"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"y": (tf.int32, np.int32(1))}, "Tensor name: y has no shape information "),
        (
            {"a": (tf.int32, np.array([1])), "b": (tf.int32, np.array([1, 2]))},
            "has inconsistent batch size: ",
        ),
        *(
            ({"y": (dtype, np.ones(1, dtype.as_numpy_dtype))},
             f"Failed to write JSON value for tensor type: {name}")
            for dtype, name in [(tf.half, "half"), (tf.bfloat16, "bfloat16"),
                                (tf.uint16, "uint16"), (tf.complex64, "complex64")]
        ),
    ],
)  # fmt: skip
def test_answers_that_have_no_rows(arrays, details):
    with pytest.raises(RequestError) as caught:
        write_predictions(outputs(**arrays), rows=True)
    assert details in caught.value.details
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_results():
    result = classification_pb2.ClassificationResult()
    for labels in (["car", "bike"], [""]):
        classification = result.classifications.add()
        for label in labels:
            classification.classes.add(label=label, score=0.2)
    assert json.loads(write_classifications(result)) == {
        "results": [[["car", 0.2], ["bike", 0.2]], [["", 0.2]]]
    }
    numbers = regression_pb2.RegressionResult()
    for value in (0.2, math.inf, 1.0, math.nan):
        numbers.regressions.add(value=value)
    assert b'"results": [0.2, Infinity, 1.0, NaN\n' in write_regressions(numbers)
    for write, empty in [
        (write_classifications, classification_pb2.ClassificationResult()),
        (write_regressions, regression_pb2.RegressionResult()),
    ]:
        with pytest.raises(RequestError, match="Cannot convert empty .*Results to JSON"):
            write(empty)


def test_status_has_its_defaults():
    response = get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.add(version=123, state=30).status.error_code = 0
    assert json.loads(write_status(response)) == {
        "model_version_status": [
            {
                "version": "123",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def test_metadata_comes_out_of_its_any():
    signatures = get_model_metadata_pb2.SignatureDefMap()
    info = signatures.signature_def["s"].inputs["x"]
    info.name, info.dtype = "x:0", 1
    info.tensor_shape.dim.add(size=-1)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = "m"
    response.model_spec.version.value = 3
    response.metadata["signature_def"].Pack(signatures)
    metadata = json.loads(write_metadata(response))
    assert metadata["model_spec"] == {"name": "m", "signature_name": "", "version": "3"}
    assert metadata["metadata"]["signature_def"]["signature_def"] == {
        "s": {
            "inputs": {
                "x": {
                    "dtype": "DT_FLOAT",
                    "name": "x:0",
                    "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
                }
            },
            "outputs": {},
            "method_name": "",
            "defaults": {},
        }
    }

"""JSON bodies to tensors and Examples, with TensorFlow Serving's rules and messages."""

from __future__ import annotations

import json
import math

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, predict_pb2, regression_pb2

from serving.server.errors import RequestError
from serving.server.inference.tensor_protos import read_tensor
from serving.server.rest.json_body import MAX_QUOTE, parse_body
from serving.server.rest.json_examples import fill_examples
from serving.server.rest.json_tensors import fill_inputs


def refusal(body) -> str:
    body = body if isinstance(body, bytes) else body.encode()
    with pytest.raises(RequestError) as caught:
        parse_body(body)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    return caught.value.details


@pytest.mark.parametrize(
    ("body", "reason", "offset"),
    [
        ("   ", "The document is empty.", 3),
        ("instances = [1, 2]", "Invalid value.", 0),
        ("{", "Missing a name for object member.", 1),
        ("{1: 2}", "Missing a name for object member.", 1),
        ('{"a": 1,}', "Missing a name for object member.", 8),
        ('{"a"', "Missing a colon after a name of object member.", 4),
        ('{"a": 1', "Missing a comma or } after an object member.", 7),
        ('{"a": 1 "b"', "Missing a comma or } after an object member.", 8),
        ('{"a": [1 2]}', "Missing a comma or ] after an array element.", 9),
        ('{"a": {"b": [1]} 2}', "Missing a comma or } after an object member.", 17),
        ('{"é": [1 2]}', "Missing a comma or ] after an array element.", 10),
        ('{"a": [1,]}', "Invalid value.", 9),
        ('{"a": nul}', "Invalid value.", 9),
        ('{"a": -Infinit}', "Invalid value.", 14),
        ('{"a": .5}', "Invalid value.", 6),
        ('{"a": 1.}', "Miss fraction part in number.", 8),
        ('{"a": 1e+}', "Miss exponent in number.", 9),
        ('{"a": "x', "Missing a closing quotation mark in string.", 8),
        ('{"a": "\\q"}', "Invalid escape character in string.", 7),
        ('{"a": "\\u12x4"}', "Incorrect hex digit after \\u escape in string.", 7),
        ('{"a": "\n"}', "Invalid escape character in string.", 7),
    ],
)
def test_a_body_that_is_not_json_is_refused_in_rapidjson_s_words(body, reason, offset):
    assert refusal(body) == f"JSON Parse error: {reason} at offset: {offset}"


def test_an_empty_body_has_no_offset():
    assert refusal("") == "JSON Parse error: The document is empty"


def test_what_follows_the_first_value_is_ignored():
    assert parse_body(b' {"a": 1}} nonsense').value == {"a": 1}
    assert parse_body(b'\xef\xbb\xbf{"a": 1}').value == {"a": 1}


def test_a_body_that_is_not_an_object_is_quoted():
    assert refusal("[1, 2.5]") == "JSON Value: [\n    1,\n    2.5\n] Is not object"
    assert refusal("null") == "JSON Value: null Is not object"
    assert refusal("0.1") == "JSON Value: 0.1 Is not object"


def test_quotes_are_cut():
    assert len(refusal(json.dumps(["x" * 10] * 100_000))) < MAX_QUOTE + 100


@pytest.mark.parametrize("opening", ['{"a": ' + "[" * 100_000, '{"a":' * 100_000])
def test_deep_nesting_is_refused(opening):
    assert "nested too deeply" in refusal(opening)


def test_an_integer_of_thousands_of_digits_is_refused():
    assert "Number too big to be stored in double." in refusal('{"a": ' + "1" * 5000 + "}")


def infos(**names):
    return {
        name: meta_graph_pb2.TensorInfo(name=name, dtype=dtype.as_datatype_enum)
        for name, dtype in names.items()
    }


def fill(body, **names):
    document = parse_body(body if isinstance(body, bytes) else body.encode())
    request = predict_pb2.PredictRequest()
    rows = fill_inputs(document, infos(**names), "", request.inputs)
    assert rows == ("instances" in document.value)
    return {name: read_tensor(tensor) for name, tensor in request.inputs.items()}


def fill_error(body, **names):
    with pytest.raises(RequestError) as caught:
        fill(body, **names)
    return caught.value.code.name, caught.value.details


def same(array, expected, dtype):
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.array(expected, dtype))


NUMBERS = [tf.float32, tf.float64, tf.int32, tf.int16, tf.int8, tf.uint8, tf.int64, tf.uint32]


@pytest.mark.parametrize("dtype", [*NUMBERS, tf.uint64])
def test_rows_become_a_batch(dtype):
    [array] = fill('{"instances": [[1,2],[3,4],[5,6]]}', x=dtype).values()
    same(array, [[1, 2], [3, 4], [5, 6]], dtype.as_numpy_dtype)


def test_columns_are_taken_as_they_are():
    same(fill('{"inputs": [[1.5], [2]]}', x=tf.float32)["x"], [[1.5], [2]], np.float32)
    same(fill('{"inputs": {"x": 7}}', x=tf.int64)["x"], 7, np.int64)
    same(fill('{"inputs": []}', x=tf.int64)["x"], [], np.int64)
    same(fill('{"inputs": [[], []]}', x=tf.half)["x"], [[], []], np.float16)
    same(fill('{"inputs": [true, false]}', x=tf.bool)["x"], [True, False], np.bool_)
    assert fill('{"inputs": "a"}', x=tf.string)["x"] == b"a"


def test_several_inputs_by_name():
    body = """{"instances": [
        {"i": [[1,2],[3,4]], "s": ["foo", {"b64": "YmFy"}], "f": [1.0, NaN], "d": [-Infinity]},
        {"i": [[5,6],[7,8]], "s": ["baz", "bat"], "f": [2, Infinity], "d": [2.0]}]}"""
    arrays = fill(body, i=tf.int32, s=tf.string, f=tf.float32, d=tf.float64)
    same(arrays["i"], [[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.int32)
    assert arrays["s"].tolist() == [[b"foo", b"bar"], [b"baz", b"bat"]]
    same(arrays["f"], [[1, math.nan], [2, math.inf]], np.float32)
    same(arrays["d"], [[-math.inf], [2]], np.float64)


def test_columns_by_name_may_have_extra_keys():
    body = '{"inputs": {"i": [[1,2]], "s": {"b64": "aGVsbG8="}, "other": {}}}'
    arrays = fill(body, i=tf.int32, s=tf.string)
    same(arrays["i"], [[1, 2]], np.int32)
    assert arrays["s"].tolist() == b"hello" and set(arrays) == {"i", "s"}


def test_base64_alone_or_in_lists():
    two = '{"b64": "aGVsbG8="}, {"b64": "d29ybGQ"}'
    assert fill(f'{{"instances": [{two}]}}', x=tf.string)["x"].tolist() == [b"hello", b"world"]
    nested = fill(f'{{"instances": [{{"x": [[{two}]]}}]}}', x=tf.string)["x"]
    assert nested.tolist() == [[[b"hello", b"world"]]]


@pytest.mark.parametrize(
    "text",
    ["\ud800", "\x00", "a\u2028b", "𝄞", "\udc00"],
    ids=["high", "nul", "line", "pair", "low"],
)
def test_escaped_strings_become_rapidjson_s_bytes(text):
    body = f'{{"instances": [{json.dumps(text)}]}}'
    if text == "\ud800":
        code, details = fill_error(body, x=tf.string)
        assert details == "JSON Parse error: The surrogate pair in string is invalid. at offset: 16"
    else:
        expected = text.encode("utf-8", "surrogatepass")
        assert fill(body, x=tf.string)["x"].tolist() == [expected]


@settings(deadline=None)
@given(st.binary())
def test_bytes_that_are_not_utf_8_arrive_as_they_are(content):
    plain = bytes(byte for byte in content if byte >= 32 and byte not in b'"\\')
    assert fill(b'{"instances": ["' + plain + b'"]}', x=tf.string)["x"].tolist() == [plain]


ONE = {"x": tf.int32}
TWO = {"i": tf.int32, "s": tf.string}
ROW = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: {}"
TYPE = "JSON Value: {} Type: {} is not of expected type: {}"


@pytest.mark.parametrize("body", [b'{"inputs": {}}', b'{"inputs": []}'])
def test_a_signature_without_inputs_takes_none(body):
    assert fill_inputs(parse_body(body), {}, "info", {}) is False


@pytest.mark.parametrize(
    ("body", "names", "details"),
    [
        ("{}", ONE, "Missing 'inputs' or 'instances' key"),
        ("{}", {}, "Failed to get input map for signature: DEFAULT"),
        (
            '{"instances": 1}',
            ONE,
            "JSON Value: {\n    \"instances\": 1\n} Excepting 'instances' to be an list/array",
        ),
        (
            '{"instances": []}',
            ONE,
            "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
        ),
        (
            '{"instances": [1], "inputs": 1}',
            ONE,
            'JSON Value: {\n    "instances": [\n        1\n    ],\n    "inputs": 1\n} '
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            '{"instances": [1]}',
            TWO,
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map",
        ),
        (
            '{"inputs": [1]}',
            TWO,
            "inputs is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map",
        ),
        ('{"inputs": {"i": 1}}', TWO, "Missing named input: s in 'inputs' object."),
        ('{"inputs": "x"}', ONE, TYPE.format('"x"', "String", "int32")),
        ('{"inputs": [[1], 2]}', ONE, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. "
         "Expected at level: 2"),
        ('{"inputs": [1, [2]]}', ONE, "Encountered list at unexpected level: 1 expected < 1"),
        ('{"inputs": [[1], [2, 3]]}', ONE, "Encountered list at unexpected size: 2 at level: 1 "
         "expected size: 1"),
        ('{"instances": ["x"]}', ONE, ROW.format(0, TYPE.format('"x"', "String", "int32"))),
        ('{"instances": [1, 2.0]}', ONE, ROW.format(1, TYPE.format("2.0", "Number", "int32"))),
        ('{"instances": [true]}', ONE, ROW.format(0, TYPE.format("true", "True", "int32"))),
        ('{"instances": [null]}', ONE, ROW.format(0, TYPE.format("null", "Null", "int32"))),
        ('{"instances": [2147483648]}', ONE,
         ROW.format(0, TYPE.format("2147483648", "Number", "int32"))),
        ('{"instances": [-1]}', {"x": tf.uint64},
         ROW.format(0, TYPE.format("-1", "Number", "uint64"))),
        ('{"instances": [1]}', {"x": tf.bool}, ROW.format(0, TYPE.format("1", "Number", "bool"))),
        ('{"instances": [1]}', {"x": tf.string},
         ROW.format(0, TYPE.format("1", "Number", "string"))),
        ('{"instances": [{"b64": "eA=="}]}', ONE,
         ROW.format(0, TYPE.format('{\n    "b64": "eA=="\n}', "Object", "int32"))),
        ('{"instances": [[{"b64": 1}]]}', {"x": tf.string},
         ROW.format(0, 'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data')),
        ('{"instances": ["a", {"b64": "?"}]}', {"x": tf.string},
         ROW.format(1, "Unable to base64 decode")),
        ('{"instances": [[1,2],[3]]}', ONE,
         ROW.format(1, "Expecting tensor size: 2 but got: 1")),
        ('{"instances": [[1,2],[[3,4]]]}', ONE,
         ROW.format(1, "Expecting shape [2] but got: [1,2]")),
        ('{"instances": [1, [1]]}', ONE, ROW.format(1, "Expecting shape [] but got: [1]")),
        ('{"instances": [{"i": 1, "s": "a"}, 5]}', TWO,
         "Expecting object but got list at item 1 of input list"),
        ('{"instances": [["a"], {"x": ["b"]}]}', {"x": tf.string},
         "Expecting value/list but got object at item 1 of input list"),
        ('{"instances": [{"i": 1}]}', TWO,
         "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"i\": 1\n} "
         "keys must be equal to: i,s"),
        ('{"instances": [{"i": 1, "s": "a", "z": 1}]}', TWO,
         ROW.format("0 key: z", "JSON object: does not have named input: z")),
        ('{"instances": [{"i": "x", "s": "a"}]}', TWO,
         ROW.format("0 key: i", TYPE.format('"x"', "String", "int32"))),
        ('{"instances": [16777217]}', {"x": tf.float32},
         ROW.format(0, "Cannot convert JSON value: 16777217 to float without loss of precision.")),
        ('{"instances": [9007199254740993]}', {"x": tf.float64}, ROW.format(
            0, "Cannot convert JSON value: 9007199254740993 to double without loss of precision.")),
        ('{"instances": [1.79769e+308]}', {"x": tf.float32}, ROW.format(
            0, "Cannot convert JSON value: 1.79769e+308 to float without loss of precision.")),
        ('{"instances": [1, 1e999]}', {"x": tf.float64},
         "JSON Parse error: Number too big to be stored in double. at offset: 18"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_tensorflow_serving_s_words(body, names, details):
    assert fill_error(body, **names) == ("INVALID_ARGUMENT", details)


@pytest.mark.parametrize("dtype", [tf.half, tf.bfloat16, tf.uint16, tf.complex64, tf.complex128])
def test_dtypes_without_json(dtype):
    name = "half" if dtype is tf.half else dtype.name
    reported = f"Conversion of JSON Value: 1 to type: {name}"
    assert fill_error('{"inputs": [1]}', x=dtype) == ("UNIMPLEMENTED", reported)
    row = f"Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: {reported}"
    assert fill_error('{"instances": [1]}', x=dtype) == ("INVALID_ARGUMENT", row)


SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3)


@settings(deadline=None)
@given(SHAPES, st.data())
def test_any_dense_array_comes_through(shape, data):
    count = math.prod(shape)
    elements = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count)
    array = np.array(data.draw(elements), np.int64).reshape(shape)
    filled = fill(json.dumps({"inputs": array.tolist()}), x=tf.int64)["x"]
    inner = shape.index(0) + 1 if 0 in shape else len(shape)
    same(filled, array.reshape(shape[:inner]), np.int64)


def examples(body, kind=classification_pb2.ClassificationRequest):
    request = kind()
    fill_examples(parse_body(body.encode()), request)
    return request.input


def feature(**kind):
    [(name, values)] = kind.items()
    types = {
        "bytes_list": tf.train.BytesList,
        "float_list": tf.train.FloatList,
        "int64_list": tf.train.Int64List,
    }
    return tf.train.Feature(**{name: types[name](value=values)})


def test_examples_take_their_kinds_from_the_json():
    body = """{"examples": [
        {"names": ["foo", {"b64": "aGVsbG8="}], "ratings": [8.0, NaN], "age": 20},
        {"mix": [1, true, false], "ratings": -Infinity, "none": []}]}"""
    first, second = examples(body, regression_pb2.RegressionRequest).example_list.examples
    assert first.features.feature["names"] == feature(bytes_list=[b"foo", b"hello"])
    assert first.features.feature["age"] == feature(int64_list=[20])
    assert math.isnan(first.features.feature["ratings"].float_list.value[1])
    assert second.features.feature["mix"] == feature(int64_list=[1, 1, 0])
    assert second.features.feature["ratings"] == feature(float_list=[-math.inf])
    assert second.features.feature["none"] == tf.train.Feature()


def test_context_stands_beside_the_examples():
    both = examples('{"context": {"q": "pizza"}, "examples": [{"a": 1}, {}]}')
    both = both.example_list_with_context
    assert both.context.features.feature["q"] == feature(bytes_list=[b"pizza"])
    assert len(both.examples) == 2
    empty = examples('{"context": {}, "examples": [{}]}')
    assert empty.WhichOneof("kind") == "example_list_with_context"


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ("{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not "
         "found"),
        ('{"examples": {}}', 'JSON Value: {\n    "examples": {}\n} Expecting \'examples\' value to '
         "be an list/array"),
        ('{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty "
         "array"),
        ('{"context": [1]}', "Example must be JSON object but got JSON Array"),
        ('{"examples": [[{}]]}', "Example must be JSON object but got JSON Array"),
        ('{"examples": [{"n": [10, null]}]}',
         "Feature: n has element with unexpected JSON type: Null"),
        ('{"examples": [{"n": [10, {"test": 10}]}]}',
         "Feature: n has element with unexpected JSON type: Object"),
        ('{"examples": [{"n": [[10], 20]}]}',
         "Feature: n has element with unexpected JSON type: Array"),
        ('{"examples": [{"n": [10, 10.0]}]}',
         "Unexpected element type in feature: n expecting type: int64"),
        ('{"examples": [{"n": ["a", 1]}]}',
         "Unexpected element type in feature: n expecting type: bytes"),
        ('{"examples": [{"n": [1.5, "a"]}]}',
         "Unexpected element type in feature: n expecting type: float"),
        ('{"examples": [{"n": [20, 18446744073709551603]}]}',
         "Feature: n has uint64 element. Only int64 is supported."),
        ('{"examples": [{"n": 1.79769e+308}]}',
         "Cannot convert JSON value: 1.79769e+308 to float without loss of precision."),
        ('{"examples": [{"n": {"b64": "?"}}]}', "Unable to base64 decode"),
    ],
)  # fmt: skip
def test_examples_that_are_none(body, details):
    with pytest.raises(RequestError) as caught:
        examples(body)
    assert caught.value.details == details
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT

"""serving.server.inference.loaded_model: valid but unusual SavedModels behave as in C++."""

from __future__ import annotations

import shutil

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2

from serving.server.errors import RequestError
from serving.server.flags import parse_flags
from serving.server.inference.loaded_model import LoadedModel, ServingOptions, read_options
from serving.server.inference.predict import predict
from serving.server.request import RequestContext
from tests.serving_models import save_graph, save_half_plus_two, v1

Code = grpc.StatusCode


def ask(model, signature="", **inputs):
    """The outputs as arrays."""
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    outputs = predict(model, request, RequestContext()).outputs
    return {name: tf.make_ndarray(proto) for name, proto in outputs.items()}


def refuse(model, signature="", **inputs):
    with pytest.raises(RequestError) as caught:
        ask(model, signature, **inputs)
    return caught.value.code, caught.value.details


def look_up(path):
    """A graph that looks words up in a file of them."""
    words = v1.placeholder(tf.string, [None], name="words")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, -1
        ),
        default_value=-1,
    )
    return words, table.lookup(words)


@pytest.mark.parametrize("legacy", [False, True], ids=["main_op", "legacy_init_op"])
def test_tables_from_assets_are_ready(tmp_path, legacy):
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("where\nis\nmy\ncard\n")

    if legacy:
        with tf.Graph().as_default(), v1.Session() as session:
            words, numbers = look_up(str(vocabulary))
            v1.saved_model.simple_save(
                session,
                str(tmp_path / "saved"),
                {"words": words},
                {"numbers": numbers},
                legacy_init_op=v1.tables_initializer(),
            )
    else:

        def build():
            words, numbers = look_up(str(vocabulary))
            signature = ("predict", {"words": words}, {"numbers": numbers})
            return {"serving_default": signature}, v1.tables_initializer()

        save_graph(tmp_path / "saved", build)
    # The file that was read when saving is gone, and the folder has moved.
    vocabulary.unlink()
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    model = LoadedModel("m", 1, tmp_path / "moved")
    assert ask(model, words=["my", "dog"])["numbers"].tolist() == [2, -1]


def test_tables_of_tensorflow_2_are_ready(tmp_path):
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("where\nis\n")
    module = tf.Module()
    module.table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, -1
        ),
        num_oov_buckets=1,
    )
    module.answer = tf.function(
        lambda words: {"numbers": module.table.lookup(words)},
        input_signature=[tf.TensorSpec([None], tf.string, "words")],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.answer)
    vocabulary.unlink()
    model = LoadedModel("m", 1, tmp_path / "saved")
    assert ask(model, words=["is", "dog"])["numbers"].tolist() == [1, 2]
    code, details = refuse(model, "__saved_model_init_op")
    assert code is Code.INVALID_ARGUMENT
    assert details.startswith("Tried to fetch data for '")
    assert "', which produces no output." in details


def test_the_tags_choose_the_graph(tmp_path):
    save_half_plus_two(tmp_path, tags=("serve", "gpu"))
    model = LoadedModel("half", 1, tmp_path, ("serve", "gpu"))
    assert ask(model, x=np.float32([[2]]))["y"].tolist() == [[3]]
    with pytest.raises(RuntimeError, match="MetaGraphDef associated with tags"):
        LoadedModel("half", 1, tmp_path, ("serve",))


def test_an_empty_batch_is_a_batch(tmp_path):
    save_half_plus_two(tmp_path)
    model = LoadedModel("half", 1, tmp_path)
    assert ask(model, x=np.zeros([0, 1], np.float32))["y"].shape == (0, 1)
    examples = np.empty([0], object)
    assert ask(model, "regress_x_to_y", inputs=examples)["outputs"].shape == (0, 1)


def test_responses_in_tensor_content(tmp_path):
    save_half_plus_two(tmp_path)
    options = ServingOptions(answer_in_tensor_content=True)
    model = LoadedModel("half", 1, tmp_path, options=options)
    request = predict_pb2.PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([[2], [4]])))
    answer = predict(model, request, RequestContext()).outputs["y"]
    assert not answer.float_val and answer.tensor_content == np.float32([3, 4]).tobytes()


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Signatures with a sparse input, without inputs, and with tensors under odd names."""
    folder = tmp_path_factory.mktemp("odd")

    def build():
        x = v1.placeholder(tf.float32, [None], name="x")
        sparse = v1.sparse_placeholder(tf.float32, name="sparse")
        y = tf.identity(x, name="y")
        return {
            "serving_default": ("predict", {"x": x}, {"y": y}),
            "sparse": ("predict", {"s": sparse}, {"sum": tf.sparse.reduce_sum(sparse)}),
            "constant": ("predict", {}, {"y": tf.constant(7)}),
            "short names": ("predict", {"x": x}, {}),
            "gone": ("predict", {"x": x}, {}),
            "gone input": ("predict", {"x": x}, {"y": tf.identity(x)}),
            "index": ("predict", {"x": x}, {}),
            "one tensor for two": ("predict", {"x": x, "z": x}, {"y": y}),
            "twice": ("predict", {"x": x}, {"a": y, "b": y}),
        }, None

    save_graph(folder, build)
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    signatures["short names"].inputs["x"].name = "x"
    signatures["short names"].outputs["y"].name = "y"
    signatures["gone"].outputs["y"].name = "layer/gone:0"
    signatures["gone input"].inputs["x"].name = "gone"
    signatures["index"].outputs["y"].name = "y:3"
    path.write_bytes(saved.SerializeToString())
    return LoadedModel("odd", 1, folder)


def test_a_sparse_input_loads_and_is_refused_as_in_tensorflow_serving(odd):
    assert ask(odd, x=np.float32([1]))["y"].tolist() == [1]
    assert refuse(odd, "sparse", s=np.float32([1])) == (
        Code.INVALID_ARGUMENT,
        "Tensor :0, specified in either feed_devices or fetch_devices was not found in the Graph",
    )


def test_signatures_without_inputs_and_with_short_names_answer(odd):
    assert ask(odd, "constant")["y"] == 7
    assert ask(odd, "short names", x=np.float32([1, 2]))["y"].tolist() == [1, 2]
    assert set(ask(odd, "twice", x=np.float32([1]))) == {"a", "b"}


@pytest.mark.parametrize(
    "signature, details",
    [
        ("gone", "Tensor layer/gone:0, specified in either feed_devices or fetch_devices was not"),
        ("gone input", "Tensor gone:0, specified in either feed_devices or fetch_devices was not"),
        ("index", "FetchOutputs y:3: output index too large, must be < 1"),
    ],
)
def test_tensors_that_are_not_in_the_graph_are_refused(odd, signature, details):
    code, found = refuse(odd, signature, x=np.float32([1]))
    assert code is Code.INVALID_ARGUMENT and found.startswith(details)


def test_one_tensor_is_not_fed_twice(odd):
    x = np.float32([1])
    assert refuse(odd, "one tensor for two", x=x, z=x) == (
        Code.INVALID_ARGUMENT,
        'Endpoint "x:0" fed more than once.',
    )


def test_the_flags_become_the_model_s_options():
    flags = ["--enable_signature_method_name_check", "--enable_serialization_as_tensor_content"]
    assert read_options(parse_flags([])) == ServingOptions(False, False)
    assert read_options(parse_flags(flags[:1])) == ServingOptions(check_method_names=True)
    assert read_options(parse_flags(flags[1:])) == ServingOptions(answer_in_tensor_content=True)


def test_dtypes_are_never_cast(odd):
    code, details = refuse(odd, x=np.int64([1]))
    assert code is Code.INVALID_ARGUMENT
    assert details.startswith("Expects arg[0] to be float but int64 is provided")


def test_shapes_are_not_compared_with_the_signature(odd):
    assert ask(odd, x=np.float32([[1, 2], [3, 4]]))["y"].shape == (2, 2)


def test_a_closed_model_raises(tmp_path):
    save_half_plus_two(tmp_path)
    model = LoadedModel("half", 1, tmp_path)
    model.close()
    assert refuse(model, x=np.float32([[2]]))[0] is Code.CANCELLED

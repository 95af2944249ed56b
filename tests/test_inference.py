"""Classify, Regress and MultiInference: answers, checks, codes and texts."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.server import metrics
from serving.server.errors import RequestError
from serving.server.inference.classify_regress import (
    classify,
    get_model_spec,
    multi_inference,
    regress,
)
from serving.server.inference.loaded_model import LoadedModel, ServingOptions
from serving.server.inference.predict import predict
from serving.server.request import RequestContext
from tests.serving_models import (
    make_example,
    save_classifier,
    save_graph,
    save_half_plus_two,
    save_misfits,
    serve,
)

Code = grpc.StatusCode
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save_half_plus_two(folder / "half" / "123")
    save_misfits(folder / "misfits" / "1")
    return folder


@pytest.fixture(scope="module")
def model(exports):
    return LoadedModel("half", 123, exports / "half" / "123")


@pytest.fixture(scope="module")
def misfits(exports):
    return LoadedModel("misfits", 1, exports / "misfits" / "1")


@pytest.fixture(scope="module")
def checked(exports):
    """The misfits with --enable_signature_method_name_check."""
    options = ServingOptions(check_method_names=True)
    return LoadedModel("misfits", 1, exports / "misfits" / "1", options=options)


def make_input(*numbers, context=None):
    examples = [make_example(x=number) for number in numbers]
    if context is None:
        return input_pb2.Input(example_list={"examples": examples})
    return input_pb2.Input(example_list_with_context={"examples": examples, "context": context})


def make_request(kind, signature="", *numbers, context=None):
    request = kind(input=make_input(*numbers or (2,), context=context))
    request.model_spec.name = "half"
    request.model_spec.signature_name = signature
    return request


def make_classification(*args, **kwargs):
    return make_request(classification_pb2.ClassificationRequest, *args, **kwargs)


def make_regression(*args, **kwargs):
    return make_request(regression_pb2.RegressionRequest, *args, **kwargs)


def make_tasks(*tasks, numbers=(2,), name="half"):
    request = inference_pb2.MultiInferenceRequest(input=make_input(*numbers))
    for signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = name, signature
    return request


def refuse(answer, model, request):
    """(code, details) of a refusal."""
    with pytest.raises(RequestError) as caught:
        answer(model, request, RequestContext())
    return caught.value.code, caught.value.details


def show(result):
    return [[(found.label, found.score) for found in row.classes] for row in result.classifications]


def test_classes_and_scores_come_one_row_an_example(model):
    response = classify(model, make_classification("classify_x_to_both", 2, 4), RequestContext())
    assert show(response.result) == [[("3.0", 3.0), ("4.0", 4.0)], [("4.0", 4.0), ("5.0", 5.0)]]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (
        "half",
        123,
        "classify_x_to_both",
    )


def test_what_a_signature_lacks_stays_empty(model):
    scores = classify(model, make_classification("classify_x_to_y", 2), RequestContext())
    assert show(scores.result) == [[("", 3.0)]]
    labels = classify(model, make_classification("classify_x_to_labels", 2), RequestContext())
    assert show(labels.result) == [[("3.0", 0.0), ("4.0", 0.0)]]


@pytest.mark.parametrize("signature, plus", [("regress_x_to_y", 2), ("regress_x_to_y2", 3)])
def test_regressions_come_from_a_column_or_a_vector(model, signature, plus):
    response = regress(model, make_regression(signature, 2, 4, 6), RequestContext())
    values = [regression.value for regression in response.result.regressions]
    assert values == [plus + 1, plus + 2, plus + 3]
    assert response.model_spec.signature_name == signature
    assert response.model_spec.version.value == 123


def test_the_context_joins_every_example_and_the_example_wins(model):
    context = make_example(x=10, x2=1)
    request = make_regression("regress_x_to_y", 2, 4, context=context)
    response = regress(model, request, RequestContext())
    assert [regression.value for regression in response.result.regressions] == [3, 4]
    request.input.example_list_with_context.examples[0].Clear()
    response = regress(model, request, RequestContext())
    assert [regression.value for regression in response.result.regressions] == [7, 4]


def test_runs_and_examples_are_counted(model):
    name = "half"
    before = metrics.EXAMPLE_COUNT_TOTAL.total(), metrics.RUNTIME_LATENCY.total()
    regress(model, make_regression("regress_x_to_y", 2, 4, 6), RequestContext("REST", "regress"))
    assert metrics.EXAMPLE_COUNT_TOTAL.total() == before[0] + 3
    assert metrics.RUNTIME_LATENCY.total() == before[1] + 1
    labels = f'runtime_latency_count{{model_name="{name}",API="Regress",runtime="TF1"}}'
    assert labels in metrics.exposition()
    assert f'request_example_counts_count{{model="{name}"}}' in metrics.exposition()


EMPTY = [
    input_pb2.Input(),
    input_pb2.Input(example_list={}),
    input_pb2.Input(example_list_with_context={"context": make_example(x=1)}),
]


@pytest.mark.parametrize("given", EMPTY, ids=["none", "list", "context only"])
def test_no_examples_are_refused(model, given):
    wanted = Code.INVALID_ARGUMENT, "Input is empty."
    for answer, request in (
        (classify, make_classification("classify_x_to_y")),
        (regress, make_regression("regress_x_to_y")),
        (multi_inference, make_tasks(("regress_x_to_y", REGRESS))),
    ):
        request.input.CopyFrom(given)
        assert refuse(answer, model, request) == wanted


@pytest.mark.parametrize(
    "answer, make", [(classify, make_classification), (regress, make_regression)]
)
def test_unknown_signatures_are_refused(misfits, answer, make):
    assert refuse(answer, misfits, make("labels")) == (
        Code.INVALID_ARGUMENT,
        "No signature was found with the name: labels",
    )
    assert refuse(answer, misfits, make()) == (
        Code.INVALID_ARGUMENT,
        "No signature was found with the name: serving_default",
    )


SHAPE = "Expected Tensor shape: [batch_size num_classes] but got "
CLASSIFY_MISFITS = {
    "two inputs": "Expected one input Tensor.",
    "three outputs": "Expected one or two output Tensors, found 3",
    "input of another name": "No classification inputs found in SignatureDef: inputs {",
    "no known output": "Expected classification signature outputs to contain at least one of "
    '"classes" or "scores". Signature was: inputs {',
    "vector of classes": SHAPE + "[2]",
    "numbers as classes": "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
    "too many classes": "Expected classes output batch size of 2. Got: 4",
    "cube of scores": SHAPE + "[2,2,1]",
    "text as scores": "Expected scores Tensor of DT_FLOAT. Got: DT_STRING",
    "too few scores": "Expected scores output batch size of 2. Got: 1",
    "columns differ": "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
}
REGRESS_SHAPE = "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
REGRESS_MISFITS = {
    "two inputs": "Expected one input Tensor.",
    "two outputs": "Expected one output Tensor.",
    "regress of another name": "No regression inputs found in SignatureDef: inputs {",
    "vector of classes": "No regression outputs found in SignatureDef: inputs {",
    "two columns": REGRESS_SHAPE + "[2,2]",
    "scalar": REGRESS_SHAPE + "[]",
    "too few numbers": "Input batch size did not match output batch size: 2 vs. 1",
    "integers": "Expected output Tensor of DT_FLOAT.  Got: DT_INT32",
}


@pytest.mark.parametrize("signature", CLASSIFY_MISFITS)
def test_signatures_that_do_not_classify(misfits, signature):
    code, details = refuse(classify, misfits, make_classification(signature, 1, 2))
    assert code is Code.INVALID_ARGUMENT
    assert details.startswith(CLASSIFY_MISFITS[signature])


@pytest.mark.parametrize("signature", REGRESS_MISFITS)
def test_signatures_that_do_not_regress(misfits, signature):
    code, details = refuse(regress, misfits, make_regression(signature, 1, 2))
    assert code is Code.INVALID_ARGUMENT
    assert details.startswith(REGRESS_MISFITS[signature])


def test_one_tensor_for_classes_and_scores_is_the_classes(misfits):
    response = classify(misfits, make_classification("one tensor for both", 1), RequestContext())
    ((found,),) = show(response.result)
    assert float(found[0]) == 1 and found[1] == 0


def test_features_that_are_missing_or_of_another_kind_are_the_runtime_s_to_refuse(model):
    request = make_regression("regress_x_to_y")
    feature = request.input.example_list.examples[0].features.feature
    feature["x"].int64_list.value.append(1)
    code, details = refuse(regress, model, request)
    assert code is Code.INVALID_ARGUMENT and "Data types don't match" in details
    feature.clear()
    code, details = refuse(regress, model, request)
    assert code is Code.INVALID_ARGUMENT and "Feature: x (data type: float) is required" in details


def test_multi_inference_answers_in_task_order(model):
    request = make_tasks(
        ("regress_x_to_y2", REGRESS),
        ("classify_x_to_both", CLASSIFY),
        ("regress_x_to_y", REGRESS),
        numbers=(2, 4),
    )
    assert get_model_spec(request) == request.tasks[0].model_spec
    second, both, first = multi_inference(model, request, RequestContext()).results
    assert [regression.value for regression in second.regression_result.regressions] == [4, 5]
    assert [regression.value for regression in first.regression_result.regressions] == [3, 4]
    assert show(both.classification_result)[1] == [("4.0", 4.0), ("5.0", 5.0)]
    for result, task in zip((second, both, first), request.tasks, strict=True):
        assert result.model_spec.signature_name == task.model_spec.signature_name
        assert (result.model_spec.name, result.model_spec.version.value) == ("half", 123)


def with_second_name(name):
    request = make_tasks(("regress_x_to_y", REGRESS), ("nonsense", ""))
    request.tasks[1].model_spec.name = name
    return request


MULTI_REFUSALS = {
    "second name empty": (
        with_second_name(""),
        Code.INVALID_ARGUMENT,
        "Found ModelSpec with an empty model name.",
    ),
    "two names": (
        with_second_name("other"),
        Code.INVALID_ARGUMENT,
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    "signature twice": (
        make_tasks(("regress_x_to_y", REGRESS), ("regress_x_to_y", CLASSIFY)),
        Code.INVALID_ARGUMENT,
        "Duplicate evaluation of signature: regress_x_to_y",
    ),
    "signature unknown": (
        make_tasks(("labels", "")),
        Code.INVALID_ARGUMENT,
        "Requested signature not found in model graph: labels",
    ),
    "predict": (
        make_tasks(("", "tensorflow/serving/predict")),
        Code.UNIMPLEMENTED,
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    "does not classify": (
        make_tasks(("regress_x_to_y", CLASSIFY)),
        Code.INVALID_ARGUMENT,
        None,
    ),
    "two input tensors": (
        make_tasks(("regress_x_to_y", REGRESS), ("regress_x2_to_y3", REGRESS)),
        Code.INVALID_ARGUMENT,
        "Input tensor must be the same for all Signatures.",
    ),
}


@pytest.mark.parametrize("request_, code, details", MULTI_REFUSALS.values(), ids=MULTI_REFUSALS)
def test_multi_inference_refusals(model, request_, code, details):
    found = refuse(multi_inference, model, request_)
    assert found[0] is code
    assert details is None or found[1] == details


def test_method_names_are_checked_only_when_asked_to(misfits, checked):
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "foreign method"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([[1]])))
    assert list(predict(misfits, request, RequestContext()).outputs) == ["y"]
    assert refuse(predict, checked, request) == (
        Code.INTERNAL,
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. "
        "Was: tensorflow/serving/foreign",
    )
    assert refuse(classify, checked, make_classification("cube of scores")) == (
        Code.INVALID_ARGUMENT,
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict",
    )
    assert refuse(regress, checked, make_regression("scalar")) == (
        Code.INVALID_ARGUMENT,
        "Expected regression signature method_name to be tensorflow/serving/regress. "
        "Was: tensorflow/serving/predict",
    )


def test_predict_calls_classify_and_regress_signatures_too(model):
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "regress_x_to_y"
    examples = [make_example(x=2).SerializeToString(), make_example(x=4).SerializeToString()]
    request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(examples))
    response = predict(model, request, RequestContext())
    assert list(response.outputs["outputs"].float_val) == [3, 4]


def test_labels_that_are_not_text_do_not_break_the_answer(tmp_path):
    def build():
        inputs = tf.compat.v1.placeholder(tf.string, [None])
        labels = tf.fill([tf.size(inputs), 1], b"\xff\xfe")
        return {"serving_default": ("classify", {"inputs": inputs}, {"classes": labels})}, None

    save_graph(tmp_path, build)
    response = classify(LoadedModel("m", 1, tmp_path), make_classification("", 1), RequestContext())
    sent = classification_pb2.ClassificationResponse.FromString(response.SerializeToString())
    assert show(sent.result) == [[("\ufffd\ufffd", 0)]]


def test_over_the_wire(exports, tmp_path):
    save_classifier(tmp_path / "1")
    with (
        serve(half=exports / "half", text=tmp_path) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def ask(method, request):
            with pytest.raises(grpc.RpcError) as caught:
                method(request, timeout=20)
            return caught.value.code(), caught.value.details()

        found = stub.Classify(make_classification("classify_x_to_y", 2), timeout=20)
        assert show(found.result) == [[("", 3.0)]]
        found = stub.Regress(make_regression("regress_x_to_y", 2), timeout=20)
        assert found.result.regressions[0].value == 3
        request = make_tasks(("regress_x_to_y", REGRESS), ("classify_x_to_y", CLASSIFY))
        assert len(stub.MultiInference(request, timeout=20).results) == 2

        assert ask(stub.Classify, classification_pb2.ClassificationRequest()) == (
            Code.INVALID_ARGUMENT,
            "Missing ModelSpec",
        )
        no_name = Code.INVALID_ARGUMENT, "ModelSpec has no name specified."
        assert ask(stub.MultiInference, inference_pb2.MultiInferenceRequest()) == no_name
        request.tasks[0].model_spec.name = ""
        assert ask(stub.MultiInference, request) == no_name
        request.tasks[0].model_spec.name = "other"
        assert ask(stub.MultiInference, request) == (
            Code.NOT_FOUND,
            "Servable not found for request: Latest(other)",
        )
        request = make_regression("multiply")
        request.model_spec.name = "text"
        code, details = ask(stub.Regress, request)
        assert code is Code.INVALID_ARGUMENT and details == "Expected one output Tensor."

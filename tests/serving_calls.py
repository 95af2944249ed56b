"""Requests, errors and waiting for the tests of the gRPC server."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server import metrics
from tests.support.waiting import wait_until

Code = grpc.StatusCode
PREDICT = "/tensorflow.serving.PredictionService/Predict"
# Long: these tests wait for conditions, on machines that may be slow.
SECONDS = 60
# Steps of the `slow` signature that never end.
ENDLESS = 10**9


def predict_request(signature="", model="support", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def slow_request(steps=ENDLESS):
    return predict_request("slow", steps=np.int64(steps))


def prediction_stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def model_stub(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def refusal(call, *arguments, **options):
    """Return (code, details) of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **{"timeout": SECONDS, **options})
    return caught.value.code(), caught.value.details()


def start_slow(stub, steps=ENDLESS):
    """Start a call of so many steps; return once the model runs it."""
    begun = metrics.THREAD_WAIT.total()
    call = stub.Predict.future(slow_request(steps), timeout=SECONDS)
    wait_until(lambda: metrics.THREAD_WAIT.total() > begun)
    return call

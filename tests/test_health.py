"""grpc.health.v1 under its flag: by the state of the models, and until the server stops."""

from __future__ import annotations

import shutil
import threading

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.server.rpc import health
from tests.serving_calls import Code, refusal
from tests.serving_models import save_classifier, serve


@pytest.fixture(scope="module")
def support(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "support"
    save_classifier(folder / "7")
    return folder


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def test_health_follows_the_models(support, tmp_path, monkeypatch):
    monkeypatch.setattr(health, "WATCHERS_LIMIT", 1)
    folder = tmp_path / "support"
    shutil.copytree(support, folder)
    flags = ["--enable_grpc_healthcheck_service", "--file_system_poll_wait_seconds=0.1"]
    with (
        serve(*flags, support=folder) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)

        def check(service):
            return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60).status

        for service in ("", "PredictionService", "ModelService"):
            assert check(service) == SERVING
        for service in ("support", "tensorflow.serving.PredictionService"):
            request = health_pb2.HealthCheckRequest(service=service)
            assert refusal(stub.Check, request)[0] is Code.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watch).status == SERVING
        second = stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert refusal(lambda timeout: next(second))[0] is Code.RESOURCE_EXHAUSTED
        shutil.move(folder / "7", tmp_path / "7")
        assert next(watch).status == NOT_SERVING
        assert check("ModelService") == NOT_SERVING
        shutil.move(tmp_path / "7", folder / "7")
        assert next(watch).status == SERVING
        stopping = threading.Thread(target=application.grpc.stop, args=[60])
        stopping.start()
        assert [response.status for response in watch] == [NOT_SERVING]
        stopping.join()


def test_watch_of_an_unknown_service(support):
    with (
        serve("--enable_grpc_healthcheck_service", support=support) as application,
        grpc.insecure_channel(application.grpc_address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service="x"), timeout=60
        )
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()

"""`python -m serving.server`: flags, start, failed start, end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.server.cli import describe, main
from serving.server.errors import StartError
from serving.server.flags import FIXED_FLAGS, parse_flags
from tests.serving_models import save_classifier, serve
from tests.support import commands

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """A classifier (version 7), saved once."""
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7")
    return folder


def test_flags_are_written_as_for_tensorflow_serving():
    written = ["--port=9000", "--model_name", "support", "--model-base-path=/models/support"]
    flags = parse_flags([*written, "--drain-seconds=2.5", "--enable_batching"])
    assert (flags.port, flags.model_name, flags.drain_seconds) == (9000, "support", 2.5)
    assert flags.model_base_path == "/models/support" and flags.host == "127.0.0.1"
    assert flags.enable_batching and not parse_flags(["--enable_batching=false"]).enable_batching
    defaults = parse_flags([])
    assert defaults.file_system_poll_wait_seconds == 1
    assert (defaults.max_num_load_retries, defaults.load_retry_interval_micros) == (5, 60_000_000)
    assert defaults.version_transition_policy == "availability_preserving"


@pytest.mark.parametrize(
    "name, value",
    [
        ("use_alts_credentials", "true"),
        ("platform_config_file", "something"),
        ("prefer_tflite_model", "1"),
        ("remove_unused_fields_from_bundle_metagraph", "False"),
    ],
)
def test_unsupported_flags_are_rejected_by_name(name, value):
    reported = f"This server does not support --{name}"
    with pytest.raises(StartError, match=reported):
        parse_flags([f"--{name}={value}"])
    with pytest.raises(StartError, match=reported):
        parse_flags([f"--{name}", value])


@pytest.mark.parametrize("name", FIXED_FLAGS)
def test_the_defaults_of_tensorflow_serving_may_be_spelled_out(name, caplog):
    for value in FIXED_FLAGS[name][:2]:
        assert parse_flags([f"--{name}={str(value).lower()}"]) == parse_flags([])
    assert ("is ignored" in caplog.text) == (name == "enable_profiler")


def test_unsupported_flags_without_a_value():
    parse_flags(["--enable_profiler", "--remove_unused_fields_from_bundle_metagraph"])
    with pytest.raises(StartError, match="it runs SavedModels only"):
        parse_flags(["--prefer_tflite_model"])


@pytest.mark.parametrize(
    "argv, part",
    [
        (["--model_base_path=/m", "--prot=1"], "did you mean --port?"),
        (["--model_base_path=/m", "surplus"], "'surplus' is not a flag"),
        (["--model_base_path=/m", "--grpc_max_threads=0"], "--grpc_max_threads is out of range"),
        (["--version_transition_policy=fast"], "availability_preserving, resource_preserving"),
    ],
)
def test_wrong_flags(argv, part):
    with pytest.raises(StartError) as caught:
        parse_flags(argv)
    assert part in str(caught.value)


def test_mistakes_on_the_command_line_end_with_status_2(exports, capsys):
    def expect_refusal(part, *argv):
        base_path = f"--model_base_path={exports / 'support'}"
        assert main([base_path, *argv]) == 2
        printed = capsys.readouterr()
        assert part in printed.err and "\n  to do: " in printed.err and not printed.out

    expect_refusal("did you mean", "--prot=1")
    expect_refusal("need different ports", "--port=8500", "--rest_api_port=8500")
    expect_refusal("cannot be bound", "--host=no.such.host.invalid")
    expect_refusal("out of range", "--port=65536")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        expect_refusal("Address already in use", f"--port={taken.getsockname()[1]}")


def test_what_cannot_be_served_ends_with_status_255_in_tensorflow_servings_words(
    exports, tmp_path, capsys
):
    def expect_failure(line, *argv):
        assert main(["--port=0", *argv]) == 255
        printed = capsys.readouterr().out
        assert printed == f"Failed to start server. Error: {line}\n"

    expect_failure(
        "INVALID_ARGUMENT: Both server_options.model_base_path and "
        "server_options.model_config_file are empty!"
    )
    expect_failure(
        "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting "
        "server_options.enable_batching to true.",
        "--model_base_path=/m",
        "--batching_parameters_file=/b",
    )


def test_a_model_that_fails_for_good_ends_the_command_with_status_255(tmp_path):
    (tmp_path / "1").mkdir()
    flags = [f"--model_base_path={tmp_path}", "--model_name=m", "--max_num_load_retries=0"]
    done = commands.run("serving.server", "--port=0", *flags, status=255)
    assert done.stdout.startswith(
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
        "{{name: m version: 1} due to error: NOT_FOUND: Specified file path"
    )
    assert "loading version 1 failed" in done.stderr and "Traceback" not in done.stderr


def test_waiting_for_a_version_is_logged_and_sigterm_ends_it(tmp_path):
    with commands.start("serving.server", "--port=0", f"--model_base_path={tmp_path}") as process:
        waits = "has no version to serve, it contains nothing; export a model into it"
        commands.read_until(process.stderr, waits)
        process.send_signal(signal.SIGTERM)
        done = commands.finish(process)
    assert (done.returncode, done.stdout) == (0, "") and "Traceback" not in done.stderr


def test_two_servers_do_not_share_a_port(exports):
    base_path = exports / "support"
    with serve(support=base_path) as app:
        port = app.grpc_address.rpartition(":")[2]
        assert main([f"--model_base_path={base_path}", f"--port={port}"]) == 2
        # Nor when the port was free at the first look.
        with (
            pytest.raises(StartError, match="cannot be bound"),
            serve(f"--port={port}", support=base_path),
        ):
            pass


def test_help_and_refusals_do_not_import_tensorflow():
    script = (
        "import sys; from serving.server.cli import describe, main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert main(['--model_base_path=/m', '--host=no.such.host.invalid']) == 2\n"
        "assert main([]) == 255\n"
        "assert not {'tensorflow', 'tfpipe'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--model_base_path" in done.stdout


def test_the_ready_line_names_every_model_and_address(exports):
    base_path = exports / "support"
    with serve("--rest_api_port=0", a=base_path, b=base_path) as app:
        line = f"serving a version 7, b version 7 on {app.grpc_address} (gRPC), this machine only"
        assert describe(app) == line
        app.rest_address = "127.0.0.1:8501"
        assert describe(app) == line.replace("(gRPC)", "(gRPC) and 127.0.0.1:8501 (REST)")


def make_request(signature, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "support"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_the_command_serves_and_drains(exports):
    flags = ["--port=0", "--model_name=support", f"--model_base_path={exports / 'support'}"]
    with commands.start("serving.server", *flags, "--drain-seconds=120") as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("serving support version 7 on 127.0.0.1:")
        assert ready.endswith("(gRPC), this machine only\n")
        assert process.stderr is not None
        with grpc.insecure_channel(ready.split()[5]) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            running = stub.Predict.future(make_request("slow", steps=np.int64(3000)), timeout=300)
            # Both go over one connection, in order: when this has its answer, that has begun.
            stub.Predict(make_request("", text=["hi"]), timeout=60)
            process.send_signal(signal.SIGTERM)
            log = list(iter(process.stderr.readline, ""))
            assert running.result().outputs["sum"].float_val
        assert process.wait(timeout=120) == 0
        assert process.stdout.read() == ""
    reported = "".join(log)
    assert "draining" in reported and "stopped" in reported and "Traceback" not in reported

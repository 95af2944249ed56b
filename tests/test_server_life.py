"""serving.server's life: versions that come and go, flags, the command and its end."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.server.command import main
from serving.server.errors import RequestError, StartError
from serving.server.flags import NOT_BUILT, parse_flags
from serving.server.manager import ServedModel
from serving.server.service import listen
from tests.serving_models import LABELS, save_classifier, serve

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """A classifier (version 7), saved once."""
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7")
    return folder


def make_request(signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "support"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_a_new_version_takes_over_without_losing_a_request(exports, tmp_path):
    base_path = tmp_path / "support"
    shutil.copytree(exports / "support" / "7", base_path / "1")
    with serve(support=base_path) as (address, models), grpc.insecure_channel(address) as channel:
        model, stub = models["support"], prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answers, refusals, stop = [], [], threading.Event()

        def keep_asking():
            while not stop.is_set():
                try:
                    response = stub.Predict(make_request(text=["where is my card"]), timeout=20)
                except grpc.RpcError as error:
                    refusals.append(error)
                    return
                label = response.outputs["label"].string_val[0].decode()
                answers.append((response.model_spec.version.value, label))

        asking = [threading.Thread(target=keep_asking) for _ in range(3)]
        for thread in asking:
            thread.start()
        shutil.copytree(base_path / "1", base_path / "2")
        model.refresh()
        (base_path / "3").mkdir()
        model.refresh()
        states = model.states()
        assert [states[n].state for n in (3, 2, 1)] == [50, 30, 50]
        assert "saved_model.pb" in states[3].error_message and states[3].error_code
        assert states[1].error_code == 0
        # Nothing changed: a version that failed is not loaded again and again.
        model.refresh()
        assert model.states() == states
        # Repaired: it is.
        shutil.rmtree(base_path / "3")
        shutil.copytree(base_path / "1", base_path / "3")
        model.refresh()
        assert model.states()[3].state == 30
        # Withdrawn: the next lower one comes back.
        shutil.rmtree(base_path / "3")
        model.refresh()
        assert [state.state for state in model.states().values()] == [50, 30, 50]
        # Out of reach: what is loaded stays.
        base_path.rename(tmp_path / "away")
        model.refresh()
        stub.Predict(make_request(text=["hi"]), timeout=20)
        stop.set()
        for thread in asking:
            thread.join()
    assert not refusals
    assert [label for _, label in answers] == [LABELS[1]] * len(answers)
    assert {version for version, _ in answers} >= {1, 2, 3}


def test_an_old_version_finishes_what_it_has_begun(exports, tmp_path):
    base_path = tmp_path / "support"
    shutil.copytree(exports / "support" / "7", base_path / "1")
    with serve(support=base_path) as (_, models):
        model = models["support"]
        with model.use() as old:
            shutil.copytree(base_path / "1", base_path / "2")
            changing = threading.Thread(target=model.refresh)
            changing.start()
            deadline = time.monotonic() + 60
            while model.states().get(1).state != 40 and time.monotonic() < deadline:
                time.sleep(0.01)
            with model.use() as new:
                assert new.version == 2
            values = old.run(
                {"serving_default_text:0": np.array([b"hi"], dtype=object)},
                [old.signatures["serving_default"].outputs["label"].name],
                None,
            )
            assert values[0][1].tolist() == [b"short"]
            assert changing.is_alive()
        changing.join()
        assert model.states()[1].state == 50


def test_closing_ends_what_still_runs(exports):
    with serve(support=exports / "support") as (_, models), models["support"].use() as model:
        total = model.signatures["slow"].outputs["sum"].name
        steps = model.signatures["slow"].inputs["steps"].name
        closing = threading.Timer(0.3, models["support"].close)
        closing.start()
        with pytest.raises(RequestError) as caught:
            model.run({steps: np.int64(10**9)}, [total], timeout=60)
        closing.join()
    assert caught.value.code is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize(
    "break_it, part",
    [
        (lambda folder: (folder / "saved_model.pb").unlink(), "saved_model.pb"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"no model"), "Cannot parse"),
        (lambda folder: shutil.rmtree(folder / "variables"), "variables"),
    ],
)
def test_a_broken_saved_model_is_told_in_three_parts(exports, tmp_path, break_it, part):
    shutil.copytree(exports / "support" / "7", tmp_path / "1")
    break_it(tmp_path / "1")
    with pytest.raises(StartError) as caught:
        ServedModel("support", tmp_path).start()
    assert part in str(caught.value)
    assert "\n  found: " in str(caught.value) and "\n  to do: " in str(caught.value)


def test_flags_are_written_as_for_tensorflow_serving():
    written = ["--port=9000", "--model_name", "support", "--model-base-path=/models/support"]
    flags = parse_flags([*written, "--drain-seconds=2.5"])
    assert (flags.port, flags.model_name, flags.drain_seconds) == (9000, "support", 2.5)
    assert flags.model_base_path == Path("/models/support") and flags.host == "127.0.0.1"
    assert flags.file_system_poll_wait_seconds == 1


@pytest.mark.parametrize("name", NOT_BUILT.split())
def test_flags_that_are_not_built_are_refused_by_name(name):
    with pytest.raises(StartError, match=f"--{name} is a flag of TensorFlow Serving"):
        parse_flags(["--model_base_path=/m", f"--{name}=1"])


@pytest.mark.parametrize(
    "argv, part",
    [
        (["--model_base_path=/m", "--prot=1"], "did you mean --port?"),
        (["--model_base_path=/m", "surplus"], "'surplus' is not a flag"),
        (["--port=1"], "no --model_base_path"),
        (["--model_base_path=/m", "--grpc_max_threads=0"], "--grpc_max_threads is out of range"),
    ],
)
def test_wrong_flags_are_told(argv, part):
    with pytest.raises(StartError) as caught:
        parse_flags(argv)
    assert part in str(caught.value)


def test_what_cannot_be_served_ends_with_status_2(exports, tmp_path, capsys):
    def expect_refusal(part, *argv):
        assert main(list(argv)) == 2
        printed = capsys.readouterr()
        assert part in printed.err and "\n  to do: " in printed.err and not printed.out

    expect_refusal("cannot be read", f"--model_base_path={tmp_path / 'missing'}")
    expect_refusal("holds nothing", f"--model_base_path={tmp_path}")
    expect_refusal("is a version, not", f"--model_base_path={exports / 'support' / '7'}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        base_path = f"--model_base_path={exports / 'support'}"
        expect_refusal("Address already in use", base_path, f"--port={port}")
        expect_refusal("cannot listen", base_path, "--host=no.such.host.invalid")
        expect_refusal("port", base_path, "--port=65536")


def test_two_servers_do_not_share_a_port(exports):
    base_path = exports / "support"
    with serve(support=base_path) as (address, models):
        port = int(address.rpartition(":")[2])
        assert main([f"--model_base_path={base_path}", f"--port={port}"]) == 2
        # Nor when the port was free at the first look.
        with pytest.raises(StartError, match="cannot listen there"):
            listen(models, "127.0.0.1", port, threads=1)


def test_help_and_refusals_do_not_import_tensorflow():
    script = (
        "import sys; from serving.server.command import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert main(['--model_base_path=/no/such/folder']) == 2\n"
        "assert not {'tensorflow', 'tfpipe'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--model_base_path" in done.stdout


def test_the_command_serves_says_so_and_drains(exports):
    command = [sys.executable, "-m", "serving.server", "--port=0", "--model_name=support"]
    process = subprocess.Popen(
        [*command, f"--model_base_path={exports / 'support'}", "--drain-seconds=30"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("serving support version 7 on 127.0.0.1:")
        assert "this machine only" in ready
        with grpc.insecure_channel(ready.split()[5]) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            stub.Predict(make_request(text=["hi"]), timeout=20)
            running = stub.Predict.future(make_request("slow", steps=np.int64(1000)), timeout=60)
            time.sleep(0.3)
            assert not running.done()
            process.send_signal(signal.SIGTERM)
            assert running.result().outputs["sum"].float_val
        rest, log = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert rest == ""
    assert "draining" in log and "stopped" in log and "Traceback" not in log

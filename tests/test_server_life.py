"""serving.server's life: versions that come, fail, are repaired and go while requests run."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
import time

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.server import metrics
from serving.server.application import Application
from serving.server.errors import RequestError, StartFailure
from serving.server.flags import parse_flags
from serving.server.lifecycle.loader import Loader
from serving.server.lifecycle.manager import ModelManager
from serving.server.request import RequestContext
from tests.serving_models import save_classifier, serve
from tests.support.waiting import wait_until

LOADING, AVAILABLE, UNLOADING, END = 20, 30, 40, 50
# A broken version fails at once instead of after minutes, and looks are frequent.
QUICK = ("--max_num_load_retries=0", "--file_system_poll_wait_seconds=0.05")


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Versions 1 to 3 of a classifier whose signature `info` returns the version."""
    folder = tmp_path_factory.mktemp("exports")
    for version in (1, 2, 3):
        save_classifier(folder / str(version), {"version": version})
    return folder


@pytest.fixture
def base_path(exports, tmp_path):
    """A base path with version 1."""
    shutil.copytree(exports / "1", tmp_path / "support" / "1")
    return tmp_path / "support"


def publish(exports, version, base_path, name=None):
    """Put a version there at once, as one should."""
    copy = base_path.parent / f"copy-of-{version}"
    shutil.copytree(exports / str(version), copy)
    copy.rename(base_path / (name or str(version)))


def states_of(manager, name="support"):
    return {number: state.state for number, state in manager.states(name).items()}


def make_spec(version=None, label=None, name="support"):
    spec = model_pb2.ModelSpec(name=name)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def ask_version(manager, spec):
    """Which version answers, by the word of the model itself."""
    with manager.use(spec) as model:
        name = model.signatures["info"].outputs["info"].name
        [(_, info)] = model.run({}, [name], RequestContext())
        assert json.loads(info)["version"] == model.version
        return model.version


@contextlib.contextmanager
def manage(load, base_path, *argv):
    """A manager whose versions are loaded by `load(name, version, folder)`."""
    flags = parse_flags([f"--model_base_path={base_path}", "--model_name=support", *QUICK, *argv])
    manager = ModelManager(flags, load)
    try:
        yield manager
    finally:
        manager.close()


def test_under_constant_load_no_request_is_lost_and_none_is_answered_too_early(exports, base_path):
    with (
        serve(*QUICK, support=base_path) as app,
        grpc.insecure_channel(app.grpc_address) as channel,
    ):
        stub, manager = prediction_service_pb2_grpc.PredictionServiceStub(channel), app.manager
        answers, refusals, stop = [], [], threading.Event()

        def keep_asking():
            request = predict_pb2.PredictRequest(model_spec=make_spec())
            request.model_spec.signature_name = "info"
            while not stop.is_set():
                try:
                    response = stub.Predict(request, timeout=60)
                except grpc.RpcError as error:
                    refusals.append(error)
                    return
                info = json.loads(response.outputs["info"].string_val[0])
                answers.append((response.model_spec.version.value, info["version"]))

        def wait_for_states(**wanted):
            wait_until(lambda: states_of(manager) == {int(n[1:]): wanted[n] for n in wanted})

        asking = [threading.Thread(target=keep_asking) for _ in range(3)]
        for thread in asking:
            thread.start()
        publish(exports, 2, base_path)
        wait_for_states(v2=AVAILABLE, v1=END)
        # Half a version leaves the old one answering, and is taken up once it is whole.
        (base_path / "3").mkdir()
        wait_for_states(v3=END, v2=AVAILABLE, v1=END)
        assert manager.states("support")[3].error_code == 5
        assert manager.states("support")[1].error_code == 0
        shutil.copytree(exports / "3", base_path / "3", dirs_exist_ok=True)
        wait_for_states(v3=AVAILABLE, v2=END, v1=END)
        # Withdrawn: the next lower one comes back.
        shutil.rmtree(base_path / "3")
        wait_for_states(v3=END, v2=AVAILABLE, v1=END)
        # Out of reach for a moment: what is loaded stays.
        base_path.rename(base_path.parent / "away")
        stub.Predict(
            predict_pb2.PredictRequest(
                model_spec=model_pb2.ModelSpec(name="support", signature_name="info")
            ),
            timeout=60,
        )
        (base_path.parent / "away").rename(base_path)
        wait_until(lambda: len(answers) > 100 or refusals)
        stop.set()
        for thread in asking:
            thread.join()
    assert not refusals
    assert all(version == reported for version, reported in answers)
    assert {version for version, _ in answers} >= {1, 2}


def test_a_new_version_takes_traffic_only_when_its_load_has_returned(exports, base_path):
    gate = threading.Event()

    def load(name, version, folder):
        model = Loader(parse_flags([])).load(name, version, folder)
        # Loaded, but not warmed yet.
        assert version == 1 or gate.wait(60)
        return model

    with manage(load, base_path) as manager:
        assert manager.start(threading.Event())
        publish(exports, 2, base_path)
        wait_until(lambda: states_of(manager) == {2: LOADING, 1: AVAILABLE})
        assert ask_version(manager, make_spec()) == 1
        with (
            pytest.raises(RequestError, match=r"Specific\(support, 2\)"),
            manager.use(make_spec(2)),
        ):
            pass
        gate.set()
        wait_until(lambda: states_of(manager) == {2: AVAILABLE, 1: END})
        assert ask_version(manager, make_spec()) == 2


def test_an_old_version_finishes_what_it_has_begun(exports, base_path):
    with serve(*QUICK, support=base_path) as app:
        manager = app.manager
        with manager.use(make_spec()) as old:
            publish(exports, 2, base_path)
            wait_until(lambda: states_of(manager) == {2: AVAILABLE, 1: UNLOADING})
            assert ask_version(manager, make_spec()) == 2
            [(_, info)] = old.run(
                {}, [old.signatures["info"].outputs["info"].name], RequestContext()
            )
            assert json.loads(info) == {"version": 1}
        wait_until(lambda: states_of(manager) == {2: AVAILABLE, 1: END})


def test_closing_ends_what_still_runs(exports, base_path):
    with serve(support=base_path) as app, app.manager.use(make_spec()) as model:
        total = model.signatures["slow"].outputs["sum"].name
        steps = model.signatures["slow"].inputs["steps"].name
        closing = threading.Timer(0.3, app.manager.close)
        closing.start()
        with pytest.raises(RequestError) as caught:
            model.run(
                {steps: np.int64(10**9)}, [total], RequestContext(deadline=time.monotonic() + 300)
            )
        closing.join()
        assert not app.manager.ready()
    assert caught.value.code is grpc.StatusCode.CANCELLED


def cut_in_half(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "break_it, code, message",
    [
        (
            lambda folder: (folder / "saved_model.pb").unlink(),
            5,
            "Specified file path does not appear to contain a SavedModel bundle "
            "(should have a file called `saved_model.pb`)",
        ),
        (lambda folder: cut_in_half(folder / "saved_model.pb"), 15, "Can't parse "),
        (
            lambda folder: (folder / "saved_model.pb").write_bytes(b""),
            5,
            "Could not find meta graph",
        ),
        (lambda folder: shutil.rmtree(folder / "variables"), 5, "Unsuccessful TensorSliceReader"),
        (
            lambda folder: cut_in_half(folder / "variables" / "variables.data-00000-of-00001"),
            11,
            "Read less bytes than requested",
        ),
        (
            lambda folder: cut_in_half(folder / "variables" / "variables.index"),
            15,
            "not an sstable",
        ),
        (
            lambda folder: (folder / "variables" / "variables.data-00000-of-00001").unlink(),
            5,
            "No such file or directory",
        ),
        (lambda folder: (shutil.rmtree(folder), folder.write_text("a file")), 5, "Specified file"),
    ],
)
def test_a_broken_version_reports_its_error_and_the_old_one_stays(
    exports, base_path, break_it, code, message
):
    broken = base_path.parent / "broken"
    shutil.copytree(exports / "2", broken)
    break_it(broken)
    with serve(*QUICK, support=base_path) as app:
        broken.rename(base_path / "2")
        wait_until(lambda: states_of(app.manager) == {2: END, 1: AVAILABLE})
        state = app.manager.states("support")[2]
        assert state.error_code == code
        assert message in state.error_message
        assert ask_version(app.manager, make_spec()) == 1


def test_a_load_is_tried_again_and_shown_as_loading_until_the_last_try(base_path):
    (base_path / "2").mkdir()
    tries = []

    def load(name, version, folder):
        if version == 2:
            tries.append(version)
        return Loader(parse_flags([])).load(name, version, folder)

    again = ("--max_num_load_retries=2", "--load_retry_interval_micros=300000")
    with manage(load, base_path, *again) as manager, pytest.raises(StartFailure) as caught:
        manager.start(threading.Event())
    assert len(tries) == 3
    assert caught.value.code is grpc.StatusCode.UNKNOWN
    assert caught.value.details.startswith(
        "1 servable(s) did not become available: {{name: support version: 2} due to error: "
        "NOT_FOUND: Specified file path does not appear"
    )
    assert caught.value.details.endswith("}, }")


def test_a_version_that_is_withdrawn_is_not_tried_again(exports, base_path):
    with serve(
        "--file_system_poll_wait_seconds=0.05",
        "--load_retry_interval_micros=3600000000",
        support=base_path,
    ) as app:
        (base_path / "2").mkdir()
        wait_until(lambda: states_of(app.manager) == {2: LOADING, 1: AVAILABLE})
        (base_path / "2").rmdir()
        wait_until(lambda: states_of(app.manager) == {2: END, 1: AVAILABLE})
        # Between two tries, too, changed files are a reason to look again.
        (base_path / "3").mkdir()
        wait_until(lambda: states_of(app.manager).get(3) == LOADING)
        shutil.copytree(exports / "3", base_path / "3", dirs_exist_ok=True)
        wait_until(lambda: app.manager.available() == {"support": [3]})


def test_a_roll_back_is_logged_once(exports, tmp_path, caplog):
    base_path = tmp_path / "support"
    base_path.mkdir()
    for number in (1, 2):
        publish(exports, number, base_path)
    with caplog.at_level(logging.INFO), serve(*QUICK, support=base_path) as app:
        shutil.rmtree(base_path / "2")
        wait_until(lambda: app.manager.available() == {"support": [1]})
    lines = [line for line in caplog.messages if "rolled back" in line]
    assert lines == ["model support: rolled back, version 1 follows version 2"]


def test_missing_versions_are_awaited_and_logged_when_they_change(exports, tmp_path, caplog):
    base_path = tmp_path / "support"
    argv = [f"--model_base_path={base_path}", "--model_name=support", "--port=0", *QUICK]
    app = Application(parse_flags(argv))
    waiting = threading.Thread(target=app.start)

    def wait_for_line(part):
        wait_until(lambda: any(part in line for line in caplog.messages))

    with caplog.at_level(logging.WARNING):
        waiting.start()
        wait_for_line("cannot be read (No such file or directory); give the folder of the")
        base_path.mkdir()
        wait_for_line("has no version to serve, it contains nothing; export a model into it")
        (base_path / "saved_model.pb").touch()
        wait_for_line("is a version itself, it contains saved_model.pb; give its parent")
        assert not app.grpc_address and not app.manager.ready()
        publish(exports, 1, base_path)
        waiting.join(60)
    warned = [line for line in caplog.messages if line.startswith("model support: ")]
    # Polled every 0.1 s: each obstacle once.
    assert len([line for line in warned if "version" in line and "load" not in line]) <= 4
    assert len(set(warned)) == len(warned)
    assert app.grpc_address and app.manager.ready()
    app.stop()
    assert not app.manager.ready()


def test_an_empty_base_path_unloads_all_and_a_missing_one_does_not_stop_the_others(
    exports, base_path, tmp_path
):
    shutil.copytree(base_path, tmp_path / "other")
    with serve(*QUICK, missing=base_path, support=tmp_path / "other") as app:
        manager = app.manager
        base_path.rename(tmp_path / "away")
        publish(exports, 2, tmp_path / "other")
        wait_until(lambda: manager.available() == {"missing": [1], "support": [2]})
        assert manager.ready() and manager.names() == ["missing", "support"]
        shutil.rmtree(tmp_path / "other")
        (tmp_path / "other").mkdir()
        wait_until(lambda: states_of(manager) == {2: END, 1: END})
        assert not manager.ready()
        with pytest.raises(RequestError) as caught, manager.use(make_spec()):
            pass
        assert caught.value.details == "Servable not found for request: Latest(support)"


def test_resource_preserving_unloads_before_it_loads(exports, base_path):
    events, lock = [], threading.Lock()

    def load(name, version, folder):
        model = Loader(parse_flags([])).load(name, version, folder)
        close = model.close
        with lock:
            events.append(("load", version))

        def told_close():
            with lock:
                events.append(("unload", version))
            close()

        model.close = told_close
        return model

    for policy, order in [
        ("resource_preserving", [("load", 1), ("unload", 1), ("load", 2)]),
        ("availability_preserving", [("load", 1), ("load", 2), ("unload", 1)]),
    ]:
        events.clear()
        shutil.rmtree(base_path / "2", ignore_errors=True)
        with manage(load, base_path, f"--version_transition_policy={policy}") as manager:
            assert manager.start(threading.Event())
            publish(exports, 2, base_path)
            wait_until(lambda: states_of(manager) == {2: AVAILABLE, 1: END})
        assert events[:3] == order


def test_models_are_chosen_with_the_codes_and_texts_of_tensorflow_serving(exports, base_path):
    publish(exports, 2, base_path, "-2")
    publish(exports, 3, base_path, "003")
    config = base_path.parent / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "support" base_path: "{base_path}" '
        'model_platform: "tensorflow" model_version_policy { all {} } '
        'version_labels { key: "stable" value: 1 } version_labels { key: "low" value: -2 } } }'
    )
    with serve(*QUICK, f"--model_config_file={config}") as app:
        manager = app.manager
        wait_until(lambda: manager.available() == {"support": [3, 1, -2]})
        for spec, version in [
            (make_spec(), 3),
            (make_spec(3), 3),
            (make_spec(-2), -2),
            (make_spec(label="stable"), 1),
            (make_spec(label="low"), -2),
        ]:
            with manager.use(spec) as model:
                assert model.version == version
        not_found, invalid = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
        for spec, code, details in [
            (make_spec(name=""), invalid, "ModelSpec has no name specified."),
            (make_spec(name="x"), not_found, "Servable not found for request: Latest(x)"),
            (make_spec(0), not_found, "Servable not found for request: Specific(support, 0)"),
            (
                make_spec(7, name="x"),
                not_found,
                "Servable not found for request: Specific(x, 7)",
            ),
            (make_spec(label="new"), invalid, "Unrecognized servable version label: new"),
            (make_spec(label="a", name="x"), invalid, "Unrecognized servable version label: a"),
        ]:
            with pytest.raises(RequestError) as caught, manager.use(spec):
                pass
            assert (caught.value.code, caught.value.details) == (code, details)


def read_metric(name, folder, *status):
    labels = "".join(f',status="{status}"' for status in status)
    for line in metrics.exposition().splitlines():
        if line.startswith(f':tensorflow:cc:saved_model:{name}{{model_path="{folder}"{labels}}}'):
            return int(line.split()[-1])
    return 0


def test_loads_are_counted_and_polling_can_be_off(exports, base_path):
    (base_path / "2").mkdir()
    quick = ("--max_num_load_retries=1", "--load_retry_interval_micros=1000")
    with (
        pytest.raises(StartFailure),
        serve(*quick, "--flush_filesystem_caches=false", support=base_path),
    ):
        pass
    assert read_metric("load_attempt_count", base_path / "2", "fail") == 2
    (base_path / "2").rmdir()
    with serve(*QUICK, "--file_system_poll_wait_seconds=0", support=base_path) as app:
        assert ask_version(app.manager, make_spec()) == 1
        assert read_metric("load_attempt_count", base_path / "1", "success") == 1
        assert read_metric("load_latency", base_path / "1") > 0
        publish(exports, 2, base_path)
        # A config is a reason to look, nothing else is.
        assert states_of(app.manager) == {1: AVAILABLE}
        app.manager.reload(app.manager.first_config)
        wait_until(lambda: states_of(app.manager) == {2: AVAILABLE, 1: END})

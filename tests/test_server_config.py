"""serving.server's config: which models are served, changed by file or by request."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.server.application import Application
from serving.server.errors import RequestError, StartFailure
from serving.server.flags import parse_flags
from serving.server.lifecycle.model_config import read_first_config, read_models
from tests.serving_models import save_classifier, serve
from tests.support.waiting import wait_until
from tests.test_server_life import AVAILABLE, END, QUICK, make_spec, states_of

INVALID, PRECONDITION = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
ALL = "model_version_policy { all {} }"


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """A folder `m` with versions 1 and 2, and a folder `n` with version 1."""
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "m" / "1")
    shutil.copytree(folder / "m" / "1", folder / "m" / "2")
    shutil.copytree(folder / "m" / "1", folder / "n" / "1")
    return folder


def write_model(name, base_path, more=""):
    return (
        f'config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more} }}'
    )


def read(*models):
    text = "model_config_list { " + "\n".join(models) + " }"
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def label(name, version):
    return f'version_labels {{ key: "{name}" value: {version} }}'


def specific(*versions):
    numbers = " ".join(f"versions: {version}" for version in versions)
    return f"model_version_policy {{ specific {{ {numbers} }} }}"


def version_of(manager, label):
    with manager.use(make_spec(label=label, name="m")) as model:
        return model.version


@contextlib.contextmanager
def refused(code, details):
    with pytest.raises(RequestError) as caught:
        yield
    assert (caught.value.code, caught.value.details) == (code, details)


KNOWN = read_models(read(write_model("m", "/models/m")), {})


@pytest.mark.parametrize(
    "models, details",
    [
        (
            [write_model("m", "/a"), write_model("m", "/b")],
            "Illegal to list model m multiple times in config list",
        ),
        (
            [write_model("m", "models/m")],
            "Expected model m to have an absolute path or URI; got base_path()=models/m",
        ),
        (
            [write_model("m", "")],
            "Expected model m to have an absolute path or URI; got base_path()=",
        ),
        (
            ['config { name: "m" base_path: "/m" model_platform: "caffe" }'],
            "Illegal to change a model's platform. For model m platform was tensorflow and new "
            "platform requested is caffe",
        ),
        (
            ['config { name: "x" base_path: "/m" model_platform: "caffe" }'],
            "Model x requests unsupported platform caffe",
        ),
        (
            ['config { name: "x" base_path: "/m" }'],
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is x",
        ),
        (
            [write_model("x", "/m", "model_type: TENSORFLOW")],
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform.",
        ),
        (
            ['config { name: "x" base_path: "/m" model_type: OTHER }'],
            "ModelServerConfig::model_type choice 2 not supported.",
        ),
        (
            [write_model("x", "/m", "logging_config { }")],
            "No request-logger-creator provided.",
        ),
    ],
)
def test_a_wrong_config_is_refused_with_the_texts_of_tensorflow_serving(models, details):
    with refused(INVALID, details):
        read_models(read(*models), KNOWN)


def test_a_config_is_read():
    models = read_models(
        read(
            write_model("a", "file:///models/a", ALL + label("stable", 1) + label("canary", 2)),
            'config { name: "b" base_path: "/models/b" model_type: TENSORFLOW }',
        ),
        {},
    )
    assert list(models) == ["a", "b"]
    assert str(models["a"].base_path) == "/models/a"
    assert models["a"].labels == {"stable": 1, "canary": 2}
    assert models["a"].policy.WhichOneof("policy_choice") == "all"
    assert models["b"].policy.WhichOneof("policy_choice") is None


def test_the_command_line_is_a_config_of_one_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = parse_flags(["--model_base_path=models/m", "--model_name=m"])
    [model] = read_first_config(flags).model_config_list.config
    assert (model.name, model.base_path) == ("m", str(tmp_path / "models" / "m"))
    assert model.model_platform == "tensorflow"


@pytest.mark.parametrize(
    "text, code, details",
    [
        ("model_config_list { config { nam: 'm' } }", INVALID, "Invalid protobuf file: '{}'"),
        ("model_config_list {", INVALID, "Invalid protobuf file: '{}'"),
        (None, grpc.StatusCode.NOT_FOUND, "{}; No such file or directory"),
        (
            "model_config_list { config { name: 'm' base_path: 'm' } }",
            INVALID,
            "Expected model m to have an absolute path or URI; got base_path()=m",
        ),
    ],
)
def test_an_invalid_config_file_ends_the_start(tmp_path, caplog, text, code, details):
    path = tmp_path / "models.config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StartFailure) as caught, serve(f"--model_config_file={path}"):
        pass
    assert (caught.value.code, caught.value.details) == (code, details.format(path))
    parsed = "Error parsing text-format tensorflow.serving.ModelServerConfig"
    assert (parsed in caplog.text) == (details == "Invalid protobuf file: '{}'")


def test_no_model_at_all_is_a_config(tmp_path, exports):
    (tmp_path / "models.config").touch()
    with serve(f"--model_config_file={tmp_path / 'models.config'}", *QUICK) as app:
        assert app.manager.available() == {} and app.manager.ready()
        app.manager.reload(read(write_model("m", exports / "m")))
        assert app.manager.available() == {"m": [2]}


def test_a_reload_replaces_the_whole_config(exports):
    with serve(*QUICK, m=exports / "m") as app:
        manager = app.manager
        with manager.use(make_spec(name="m")) as old:
            manager.reload(read(write_model("n", exports / "n")))
            # The new name answers, the one left out is not waited for.
            assert manager.available() == {"n": [1]} and manager.names() == ["n"]
            assert old.signatures and manager.ready()
        wait_until(lambda: states_of(manager, "m") == {2: END})
        manager.reload(read(write_model("m", exports / "m", ALL), write_model("n", exports / "n")))
        wait_until(lambda: manager.available() == {"m": [2, 1], "n": [1]})
        # A new place and a new policy of a known name are followed.
        manager.reload(read(write_model("m", exports / "n"), write_model("n", exports / "n")))
        wait_until(lambda: states_of(manager, "m") == {2: END, 1: AVAILABLE})
        with manager.use(make_spec(name="m")) as model:
            assert model.version == 1
        manager.reload(read())
        wait_until(lambda: manager.available() == {})


def test_a_refused_reload_leaves_everything_as_it_was(exports, tmp_path):
    stable = write_model("m", exports / "m", specific(1) + label("stable", 1))
    with serve(*QUICK, m=exports / "m") as app:
        manager = app.manager
        manager.reload(read(write_model("m", exports / "m", ALL)))
        wait_until(lambda: manager.available() == {"m": [2, 1]})
        manager.reload(read(stable))
        wait_until(lambda: manager.available() == {"m": [1]})
        with refused(INVALID, "Model x requests unsupported platform caffe"):
            manager.reload(read('config { name: "x" base_path: "/m" model_platform: "caffe" }'))
        with pytest.raises(RequestError) as caught:
            manager.reload(read('config { name: "x" base_path: "/m" }'))
        assert "Illegal setting neither" in caught.value.details
        missing = tmp_path / "missing"
        for name in ("x", "m"):
            with refused(
                INVALID,
                f"Could not find base path {missing} for servable {name} with error NOT_FOUND: "
                f"{missing} not found",
            ):
                manager.reload(read(write_model("n", exports / "n"), write_model(name, missing)))
        custom = model_server_config_pb2.ModelServerConfig()
        custom.custom_model_config.SetInParent()
        for config in (custom, model_server_config_pb2.ModelServerConfig()):
            with refused(
                INVALID,
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported",
            ):
                manager.reload(config)
        assert manager.names() == ["m"] and version_of(manager, "stable") == 1
        # And the next good one is followed.
        manager.reload(read(stable, write_model("n", exports / "n")))
        assert manager.available() == {"m": [1], "n": [1]}


def test_labels_name_versions_that_answer(exports):
    def policy(*labels):
        return read(write_model("m", exports / "m", specific(1, 2) + "".join(labels)))

    with serve(*QUICK, m=exports / "m") as app:
        manager = app.manager
        with refused(
            PRECONDITION,
            "Request to assign label to version 1 of model m, which is not currently available "
            "for inference",
        ):
            manager.reload(policy(label("canary", 2), label("stable", 1)))
        with refused(INVALID, "Unrecognized servable version label: canary"):
            version_of(manager, "canary")
        manager.reload(policy(label("stable", 2)))
        wait_until(lambda: manager.available() == {"m": [2, 1]})
        manager.reload(policy(label("stable", 1), label("canary", 2)))
        assert (version_of(manager, "stable"), version_of(manager, "canary")) == (1, 2)
        # A label follows no policy: what it names may be unloaded.
        manager.reload(read(write_model("m", exports / "m", specific(2) + label("stable", 1))))
        wait_until(lambda: manager.available() == {"m": [2]})
        with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(m, 1)"):
            version_of(manager, "stable")


def test_with_the_flag_new_labels_may_name_any_version_but_old_ones_only_move_to_what_answers(
    exports,
):
    with serve(*QUICK, "--allow_version_labels_for_unavailable_models", m=exports / "m") as app:
        manager = app.manager
        manager.reload(read(write_model("m", exports / "m", label("canary", 9))))
        with pytest.raises(RequestError, match=r"Specific\(m, 9\)"):
            version_of(manager, "canary")
        with pytest.raises(RequestError) as caught:
            manager.reload(read(write_model("m", exports / "m", label("canary", 8))))
        assert caught.value.code is PRECONDITION
        manager.reload(read(write_model("m", exports / "m", label("canary", 2))))
        assert version_of(manager, "canary") == 2


def test_labels_of_the_first_config_are_applied_after_loading(exports, tmp_path):
    path = tmp_path / "models.config"
    labels = label("stable", 1) + label("canary", 2)
    path.write_text(str(read(write_model("m", exports / "m", ALL + labels))))
    with serve(*QUICK, f"--model_config_file={path}") as app:
        assert version_of(app.manager, "stable") == 1
        assert version_of(app.manager, "canary") == 2
    path.write_text(str(read(write_model("m", exports / "m", label("stable", 1)))))
    with (
        pytest.raises(StartFailure) as caught,
        serve(*QUICK, f"--model_config_file={path}"),
    ):
        pass
    assert caught.value.code is PRECONDITION
    flag = "--allow_version_labels_for_unavailable_models"
    with serve(*QUICK, f"--model_config_file={path}", flag) as app:
        assert app.manager.available() == {"m": [2]}


def test_reload_reports_a_broken_model_and_a_model_without_versions_blocks_nothing(
    exports, tmp_path
):
    (tmp_path / "broken" / "4").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    good = write_model("m", exports / "m")
    with serve(*QUICK, m=exports / "m") as app:
        manager = app.manager
        with pytest.raises(RequestError) as caught:
            manager.reload(read(good, write_model("b", tmp_path / "broken")))
        assert caught.value.code is grpc.StatusCode.UNKNOWN
        assert caught.value.details.startswith(
            "1 model(s) did not become available: {{name: b version: 4} due to error: NOT_FOUND: "
            "Specified file path does not appear"
        )
        assert manager.states("b")[4].state == END
        ended, gone = threading.Event(), threading.Event()

        def wait_for_an_empty_one():
            manager.reload(read(good, write_model("e", tmp_path / "empty")), gone.is_set)
            ended.set()

        waiting = threading.Thread(target=wait_for_an_empty_one)
        waiting.start()
        wait_until(lambda: manager.names() == ["e", "m"])
        manager.reload(read(good, write_model("n", exports / "n")))
        assert manager.available() == {"m": [2], "n": [1]}
        # Left out by the later config, it is waited for no more.
        assert ended.wait(60)
        waiting.join()
        waiting = threading.Thread(target=wait_for_an_empty_one)
        waiting.start()
        wait_until(lambda: manager.names() == ["e", "m"])
        # The same config once more does not make the first call believe that it is done.
        manager.reload(read(good, write_model("e", tmp_path / "empty")))
        waiting.join(0.5)
        assert waiting.is_alive()
        gone.set()
        waiting.join(60)
        assert not waiting.is_alive()


def test_the_config_file_is_read_again_and_a_wrong_one_is_ignored(exports, tmp_path, caplog):
    path = tmp_path / "models.config"

    def write(text):
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").rename(path)

    write(str(read(write_model("m", exports / "m"))))
    with serve(
        *QUICK, f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1"
    ) as app:
        manager = app.manager
        caplog.set_level(logging.INFO)
        write("model_config_list { config { nam")
        wait_until(lambda: "is rejected: Invalid protobuf file" in caplog.text)
        assert manager.available() == {"m": [2]}
        # The version with the label has to be loaded first, by a config that asks for it.
        write(str(read(write_model("m", exports / "m", ALL), write_model("n", exports / "n"))))
        wait_until(lambda: manager.available() == {"m": [2, 1], "n": [1]})
        write(str(read(write_model("m", exports / "m", ALL + label("stable", 1)))))
        wait_until(lambda: manager.available() == {"m": [2, 1]})
        assert version_of(manager, "stable") == 1
        write(str(read(write_model("m", exports / "m", ALL + label("stable", 2)))))
        wait_until(lambda: version_of(manager, "stable") == 2)
    assert "model m: label stable moves from version 1 to version 2" in caplog.messages


def test_versions_come_by_policy(exports, tmp_path):
    base_path = tmp_path / "m"
    for version in (1, 2, 3):
        shutil.copytree(exports / "m" / "1", base_path / str(version))
    with serve(*QUICK, m=base_path) as app:
        manager = app.manager
        assert manager.available() == {"m": [3]}
        for policy, versions in [
            ("model_version_policy { latest { num_versions: 2 } }", [3, 2]),
            ("model_version_policy { latest { num_versions: 0 } }", [3]),
            (specific(1, 3, 8), [3, 1]),
            (ALL, [3, 2, 1]),
            ("", [3]),
        ]:
            manager.reload(read(write_model("m", base_path, policy)))
            wait_until(lambda: manager.available() == {"m": versions})  # noqa: B023
        wait_until(lambda: states_of(manager, "m") == {3: AVAILABLE, 2: END, 1: END})


@pytest.mark.parametrize(
    ("folder", "found"),
    [("absent", "cannot be read (No such file or directory)"), (".", "contains nothing")],
)
def test_a_model_that_no_later_look_can_find_is_not_waited_for(tmp_path, folder, found):
    path = tmp_path / folder
    for seconds in (0, -1):
        with (
            pytest.raises(StartFailure) as caught,
            serve(*QUICK, f"--file_system_poll_wait_seconds={seconds}", support=path),
        ):
            pass
        assert caught.value.code is grpc.StatusCode.NOT_FOUND
        assert f"model support: base path {path} " in caught.value.details
        assert found in caught.value.details


def test_a_server_that_waits_can_be_stopped(tmp_path):
    app = Application(parse_flags([f"--model_base_path={tmp_path}", *QUICK]))
    threading.Timer(0.2, app.stopping.set).start()
    assert app.start() is False

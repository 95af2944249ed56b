"""What the environment and Keras's own file set for other programs does not change ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tf_keras

from tfpipe.errors import UserError
from tfpipe.library_settings import KERAS_HOME, NEEDED, apply
from tfpipe.model import transformers_classes

BUILD = """
import sys
from tfpipe.model.presets import make_tiny
model = make_tiny(["a", "b"], ["some words"])
import keras_tuner, tf_keras
print({v.dtype.name for v in model.weights}, tf_keras.backend.image_data_format())
"""


@pytest.mark.slow
def test_a_model_is_built_in_a_leftover_environment(tmp_path: Path) -> None:
    settings = {"floatx": "float16", "backend": "torch", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    leftover = {"USE_TF": "0", "USE_TORCH": "1", "KERAS_BACKEND": "torch"}
    leftover |= {"TF_USE_LEGACY_KERAS": "0", "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", BUILD]
    done = subprocess.run(command, env={**os.environ, **leftover}, capture_output=True, text=True)
    assert done.stdout.strip() == "{'float32'} channels_last", done.stderr


@pytest.mark.parametrize(
    ("given", "replaced"),
    [
        ({}, {}),
        ({"USE_TF": "YES", "USE_TORCH": "off", "TF_USE_LEGACY_KERAS": "True"}, {}),
        ({"USE_TF": "AUTO", "USE_JAX": "1"}, {"USE_TF": "AUTO"}),
        ({"KERAS_BACKEND": "jax"}, {"KERAS_BACKEND": "jax"}),
    ],
)
def test_only_other_values_count_as_replaced(
    tmp_path: Path, given: dict[str, str], replaced: dict[str, str]
) -> None:
    variables = {"KERAS_HOME": str(tmp_path), **given}
    assert apply(variables) == replaced
    assert {name: variables[name] for name in NEEDED} == NEEDED
    assert variables["KERAS_HOME"] == str(tmp_path)


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ({}, None),
        ({"http_proxy": "http://proxy:3128"}, "localhost,127.0.0.1,::1"),
        ({"https_proxy": "x", "no_proxy": "a.org,::1"}, "a.org,::1,localhost,127.0.0.1"),
    ],
)
def test_this_machine_is_reached_without_a_proxy(
    tmp_path: Path, given: dict[str, str], listed: str | None
) -> None:
    variables = {"KERAS_HOME": str(tmp_path), **given}
    apply(variables)
    assert variables.get("no_proxy") == listed


@pytest.mark.parametrize(
    ("content", "ours"),
    [
        ('{"floatx": "float32", "epsilon": 1e-7}', False),
        ('{"floatx": "float64"}', True),
        ('{"epsilon": 1}', True),
        ('{"floatx": "floa', True),
        ("[]", True),
        (None, False),
    ],
)
def test_kerass_file_is_read_only_where_it_has_the_defaults(
    tmp_path: Path, content: str | None, ours: bool
) -> None:
    if content is not None:
        (tmp_path / "keras.json").write_text(content)
    variables = {"KERAS_HOME": str(tmp_path)}
    assert bool(apply(variables)) is ours
    assert variables["KERAS_HOME"] == str(KERAS_HOME if ours else tmp_path)


def test_a_program_that_set_the_libraries_first_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tf_keras.backend, "floatx", lambda: "float16")
    with pytest.raises(UserError, match="floatx.. is float16"):
        transformers_classes.check_libraries()
    monkeypatch.setattr(transformers_classes, "is_tf_available", lambda: False)
    with pytest.raises(UserError, match="import tfpipe before transformers"):
        transformers_classes.check_libraries()

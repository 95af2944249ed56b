"""Errors of versions that TensorFlow cannot load."""

from __future__ import annotations

import pytest
import tensorflow as tf

from serving.server.errors import StartFailure
from serving.server.flags import parse_flags
from serving.server.lifecycle.load_failure import convert_load_error
from serving.server.lifecycle.loader import Loader
from tests.serving_models import save_half_plus_two, serve

OUT_OF_RANGE = 11


def test_an_operation_s_message_comes_without_python_s_wrapping(tmp_path):
    folder = tmp_path / "1"
    save_half_plus_two(folder)
    values = folder / "variables" / "variables.data-00000-of-00001"
    values.write_bytes(values.read_bytes()[:4])
    with pytest.raises(tf.errors.OutOfRangeError) as caught:
        Loader(parse_flags([])).load("half", 1, folder)
    code, message = convert_load_error(caught.value, folder)
    assert code == OUT_OF_RANGE
    assert message.startswith("Read less bytes than requested")


def test_other_tags(tmp_path):
    save_half_plus_two(tmp_path / "half" / "1")
    flags = ("--max_num_load_retries=0", "--saved_model_tags=serve,gpu")
    with pytest.raises(StartFailure) as caught, serve(*flags, half=tmp_path / "half"):
        pass
    assert (
        "NOT_FOUND: Could not find meta graph def matching supplied tags: { serve gpu }. To inspect"
        in caught.value.details
    )

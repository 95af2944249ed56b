"""Operations beyond TensorFlow's core, and the signatures that need them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.exporting.clean_process import CleanProcessResult, run_in_clean_process
from tfpipe.exporting.unsupported_ops import (
    PYTHON,
    RESTORING,
    UNREACHED,
    find_operations,
    refuse_unsupported,
)

TEXT = tf.TensorSpec([None], tf.string, name="text")


class WithPython(tf.Module):
    """`clean` runs anywhere; `dirty` calls Python from a branch of a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = tf.Variable(2.0)

    @tf.function(input_signature=[TEXT])
    def clean(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"length": tf.cast(tf.strings.length(text), tf.float32) * self.weight}

    @tf.function(input_signature=[TEXT])
    def dirty(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        length = tf.strings.length(text)

        def ask_python() -> tf.Tensor:
            return tf.ensure_shape(tf.numpy_function(np.sort, [length], tf.int32), [None])

        return {"length": tf.cond(tf.size(text) > 3, ask_python, lambda: length)}

    @tf.function(input_signature=[TEXT])
    def unused(self, text: tf.Tensor) -> tf.Tensor:
        return tf.strings.lower(text)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    model = WithPython()
    signatures = {"clean": model.clean, "dirty": model.dirty}
    tf.saved_model.save(model, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def stranger(saved: Path) -> CleanProcessResult:
    """It has no serving_default, so it fails, and still tells what TensorFlow can run."""
    return run_in_clean_process(saved, [])


def test_an_operation_is_led_back_to_its_signatures(saved: Path) -> None:
    found = find_operations(saved)
    assert found["PyFunc"] == ("signature dirty",)
    assert {"signature clean", "signature dirty"} <= set(found["StringLength"])
    assert found["StringLower"] == (UNREACHED,)
    assert RESTORING in found["RestoreV2"]
    assert "ReadVariableOp" in found and "__inference_clean" not in str(found)


def test_what_needs_python_is_refused(saved: Path, stranger: CleanProcessResult) -> None:
    assert stranger.operations >= PYTHON
    with pytest.raises(RuntimeError, match=re.escape("PyFunc (signature dirty)")) as caught:
        refuse_unsupported(saved, stranger.operations)
    assert "clean" not in str(caught.value)


def test_what_is_not_registered_is_refused(saved: Path, stranger: CleanProcessResult) -> None:
    less = stranger.operations - {"StringLength"}
    with pytest.raises(RuntimeError, match=r"StringLength \(signature clean, signature dirty\)"):
        refuse_unsupported(saved, less)


@pytest.mark.parametrize(
    "name", ["MatMul", "LookupTableFindV2", "StatefulPartitionedCall", "If", "UnicodeDecode"]
)
def test_core_operations_are_registered(stranger: CleanProcessResult, name: str) -> None:
    assert name in stranger.operations


def test_a_custom_operation_is_not_registered_though_this_process_may_know_it(
    stranger: CleanProcessResult,
) -> None:
    assert "CaseFoldUTF8" not in stranger.operations and "WordpieceTokenizeWithOffsets" not in (
        stranger.operations
    )


def test_an_export_that_does_not_load_says_why(stranger: CleanProcessResult) -> None:
    with pytest.raises(RuntimeError, match="serving_default"):
        stranger.answered()

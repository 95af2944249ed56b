"""Training steps: one iterator, memory that ends, where the time goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tests.support.runs import tiny_config, tiny_run
from tfpipe import train
from tfpipe.errors import UserError
from tfpipe.run_folder import Run
from tfpipe.training import step_runner, trainer
from tfpipe.training.train_step import TrainStep


def small_device(monkeypatch: pytest.MonkeyPatch, places: int) -> None:
    """A device that holds so many examples at a time and raises what a full GPU raises."""

    class Bounded(TrainStep):
        def __call__(self, batch):  # type: ignore[no-untyped-def]
            if batch["label"].shape[0] // self.parts > places:
                # More than any machine has: TensorFlow's allocator refuses it.
                far_too_much = tf.fill([2**45 + tf.cast(batch["label"][0], tf.int64)], 0.0)
                return dict.fromkeys(("loss", "gradient_norm"), far_too_much[-1])
            return super().__call__(batch)

    monkeypatch.setattr(trainer, "TrainStep", Bounded)


def weights(run: Run) -> dict[str, np.ndarray]:
    return load_file(run.model / "model.safetensors")


def test_memory_that_ends_makes_smaller_parts_of_equal_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    settings = {"epochs": 1, "hidden_dropout": 0.0, "attention_dropout": 0.0}
    whole = tiny_run(tmp_path, **settings)
    small_device(monkeypatch, places=4)
    capsys.readouterr()
    parts = train.train(tiny_config(tmp_path, **settings, output=str(tmp_path / "parts")))
    reported = capsys.readouterr().err
    assert "out of memory at 8 x" in reported and "in 2 parts of 4" in reported
    assert parts.metrics["train"]["steps"] == whole.metrics["train"]["steps"]
    for name, value in weights(whole).items():
        np.testing.assert_allclose(weights(parts)[name], value, atol=1e-4, err_msg=name)


def test_one_example_too_large_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_device(monkeypatch, places=0)
    with pytest.raises(UserError, match="too small for one example"):
        train.train(tiny_config(tmp_path, epochs=1, batch_size=2))


def test_one_iterator_serves_the_whole_run_unless_it_has_many_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    read = step_runner.read_batches
    monkeypatch.setattr(step_runner, "read_batches", lambda *a: opened.append(a) or read(*a))
    whole = tiny_run(tmp_path, epochs=2)
    assert len(opened) == 1
    assert 0 <= whole.metrics["train"]["data_wait_share"] < 1
    monkeypatch.setattr(step_runner, "ROWS_AHEAD", 1)
    by_epoch = train.train(tiny_config(tmp_path, epochs=2, output=str(tmp_path / "other")))
    assert len(opened) == 3
    for name, value in weights(whole).items():
        np.testing.assert_allclose(weights(by_epoch)[name], value, atol=1e-5, err_msg=name)

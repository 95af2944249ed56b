"""A diverging run: restored once at half the rate, ended the next time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs import tiny_config
from tfpipe import train
from tfpipe.config import TrainConfig
from tfpipe.data.encoded import Encoded, EncodedDataset
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.read_examples import read_examples
from tfpipe.errors import UserError
from tfpipe.training import divergence, trainer
from tfpipe.training.callbacks import StepMetrics
from tfpipe.training.checkpointing import CheckpointManager, TrainProgress
from tfpipe.training.divergence import FAILED_BATCH, DivergenceGuard, ScaledSchedule, has_diverged
from tfpipe.training.precision import LossScale
from tfpipe.training.schedules import LinearWarmupDecay
from tfpipe.training.train_step import TrainStep


def step_of(loss: float, norm: float = 1.0) -> StepMetrics:
    return StepMetrics(1, 9, 1, loss, 1e-3, norm, examples=8, tokens=80, places=80, seconds=0.1)


def test_when_a_loss_has_diverged() -> None:
    progress = TrainProgress()
    assert has_diverged(step_of(float("nan")), progress)
    assert has_diverged(step_of(float("inf")), progress)
    assert not has_diverged(step_of(1000.0), progress)
    for loss in (1.1, 1.0, 0.5, 0.01):
        progress.count(loss)
    assert not has_diverged(step_of(20.0), progress)
    assert has_diverged(step_of(1000.0), progress)
    for _ in range(9):
        progress.count(20.0)
    assert has_diverged(step_of(20.0), progress)


@pytest.mark.parametrize("norm", [float("inf"), float("nan")])
def test_a_gradient_that_is_not_finite_is_divergence_except_with_a_loss_scale(norm: float) -> None:
    assert has_diverged(step_of(1.0, norm), TrainProgress())
    assert not has_diverged(step_of(1.0, norm), TrainProgress(), scaled=True)
    assert has_diverged(step_of(float("nan"), norm), TrainProgress(), scaled=True)


@pytest.mark.parametrize("writes", [True, False])
def test_who_does_not_write_leaves_no_batch(tmp_path: Path, writes: bool) -> None:
    examples = Examples(["a", "b"], None, ["x", "y"], "file", Columns("text", None, "label"))
    ids = np.arange(4, dtype=np.int32)
    encoded = Encoded(ids, ids * 0, np.array([0, 2, 4]), np.array([2, 2], np.int32), 0)
    train = EncodedDataset(examples, encoded, {"label": np.array([0, 1], np.int32)})
    state = CheckpointManager(tmp_path / "checkpoints", writes=writes, value=tf.Variable(1.0))
    rate = ScaledSchedule(LinearWarmupDecay(1e-3, 2, 10))
    helper = DivergenceGuard(state, rate, tmp_path, writes)
    with pytest.raises(UserError, match="no checkpoint to restore"):
        helper.roll_back(step_of(9.0), train, np.array([1]))
    state.progress.rate_factor = 0.5
    with pytest.raises(UserError, match="diverged again"):
        helper.roll_back(step_of(9.0), train, np.array([1]))
    assert (tmp_path / FAILED_BATCH).exists() == writes


def test_the_rate_is_eased() -> None:
    schedule = LinearWarmupDecay(1e-3, 2, 10)
    rate = ScaledSchedule(schedule)
    assert float(rate(5)) == float(schedule(5)) and rate.peak == 1e-3
    rate.scale(0.5)
    assert float(rate(5)) == pytest.approx(0.5 * float(schedule(5)))


def test_a_rate_far_too_high_ends_with_the_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config = tiny_config(tmp_path, learning_rate=1e5, warmup=0.0, checkpoint_steps=2, epochs=1)
    with pytest.raises(UserError) as caught:
        train.train(config)
    assert "diverged again at half the learning rate" in caught.value.wrong
    reported = capsys.readouterr().err
    assert "back to step" in reported and "half the learning rate" in reported
    file = tmp_path / "run" / FAILED_BATCH
    assert str(file) in caught.value.fix
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 8 and all(row["input_ids"][0] == rows[0]["input_ids"][0] for row in rows)
    # It is a data file: what is in it can be looked at with every command.
    texts = read_examples(str(file), Columns()).texts
    assert set(texts) <= set(read_examples(str(config.train), Columns()).texts)


@pytest.mark.parametrize("where", ["weights", pytest.param("gradient", marks=pytest.mark.slow)])
def test_one_bad_moment_costs_half_the_rate_and_no_more(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A step that destroys the weights once: the run goes on from the checkpoint before it.

    The seventh step's loss is still finite: its gradient tells, or the loss of the eighth.
    """
    taken = tf.Variable(0)

    class OnceBad(TrainStep):
        def __call__(self, batch):  # type: ignore[no-untyped-def]
            results = super().__call__(batch)
            bad = tf.equal(taken.assign_add(1), 7)
            variable = self.model.trainable_variables[0]
            variable.assign(tf.where(bad, variable * float("nan"), variable))
            if where == "gradient":
                norm = tf.where(bad, float("inf"), results["gradient_norm"])
                return results | {"gradient_norm": norm}
            return results

    monkeypatch.setattr(trainer, "TrainStep", OnceBad)
    run = train.train(tiny_config(tmp_path, checkpoint_steps=5, epochs=2, early_stopping=0))
    reported = capsys.readouterr().err
    alarm = "gradient norm inf at step 7" if where == "gradient" else "at step 8"
    assert f"{alarm}: back to step 5, with half the learning rate" in reported
    assert run.metrics["train"]["steps"] == 24
    assert not (run.folder / FAILED_BATCH).exists()
    stored = json.loads((run.folder / "checkpoints" / "step-24" / "progress.json").read_text())
    assert stored["rate_factor"] == 0.5
    assert divergence.DIVERGED > 1 and TrainConfig().checkpoint_steps == 0


def test_a_loss_scale_that_starts_too_high_is_not_divergence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    # So large that the first gradients are infinite, whatever the steps compute in.
    monkeypatch.setattr(trainer, "LossScale", lambda: LossScale(start=2.0**70))
    run = train.train(tiny_config(tmp_path, precision="float16", epochs=1))
    assert "back to step" not in capsys.readouterr().err
    assert run.metrics["train"]["steps"] == 12

"""Checkpoints bring back weights, moments and progress; signals are noted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.model.sources import make_tiny
from tfpipe.training.optimizer import LinearWarmupDecay, make_optimizer
from tfpipe.training.state import Progress, State, StopRequest
from tfpipe.training.strategy import make_strategy


def fresh_state(folder: Path, strategy: tf.distribute.Strategy) -> tuple[State, list]:
    """A state of fresh random weights, and all variables that it must bring back."""
    with strategy.scope():
        model = make_tiny(["a", "b"], ["some words", "and more words"]).bert
        optimizer = make_optimizer(LinearWarmupDecay(1e-3, 1, 10), 0.01, model)
    return State(folder, model, optimizer), [*model.weights, *optimizer.weights]


@pytest.mark.parametrize("name", ["one_device", "mirrored"])
def test_brings_everything_back(tmp_path: Path, name: str) -> None:
    strategy, _ = make_strategy(name, 0)
    saved, variables = fresh_state(tmp_path, strategy)
    for number, variable in enumerate(variables):
        variable.assign(tf.cast(tf.fill(variable.shape, number), variable.dtype))
    saved.progress.step = 12
    saved.progress.history = [{"epoch": 1, "best": True}, {"epoch": 2, "best": False}]
    saved.save()
    restored, variables = fresh_state(tmp_path, strategy)
    restored.restore()
    for number, variable in enumerate(variables):
        np.testing.assert_array_equal(variable.numpy(), np.full(variable.shape, number))
    assert restored.progress.step == 12
    assert restored.progress.best == {"epoch": 1, "best": True}


def test_keeps_two_checkpoints_and_restores_the_newest(tmp_path: Path) -> None:
    strategy, _ = make_strategy("one_device", 0)
    state, _ = fresh_state(tmp_path, strategy)
    for step in (3, 6, 9):
        state.progress.step = step
        state.save()
    assert sorted(path.stem for path in tmp_path.glob("*.index")) == ["state-6", "state-9"]
    again, _ = fresh_state(tmp_path, strategy)
    again.restore()
    assert again.progress.step == 9


def test_nothing_to_resume(tmp_path: Path) -> None:
    state, _ = fresh_state(tmp_path, make_strategy("one_device", 0)[0])
    with pytest.raises(UserError, match="nothing to resume"):
        state.restore()


def test_no_epoch_is_best_before_the_first() -> None:
    assert Progress().best is None


def test_signals_are_noted_and_a_second_interrupt_stops() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        assert stop.signal is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before

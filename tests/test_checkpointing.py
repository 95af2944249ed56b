"""Checkpoints bring back weights, moments and progress, and are there whole or not at all."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.model.presets import make_tiny
from tfpipe.training.checkpointing import CheckpointManager, TrainProgress, read_progress
from tfpipe.training.optimizer import make_optimizer
from tfpipe.training.schedules import LinearWarmupDecay
from tfpipe.training.strategy import make_strategy


def fresh_state(
    folder: Path, name: str = "one_device", **settings: object
) -> tuple[CheckpointManager, list]:
    """A state of fresh random weights, and all variables that it must bring back."""
    strategy, _ = make_strategy(name, 0)
    with strategy.scope():
        model = make_tiny(["a", "b"], ["some words", "and more words"])
        optimizer = make_optimizer(LinearWarmupDecay(1e-3, 1, 10), 0.01, model)
    state = CheckpointManager(folder, model=model.trackable, optimizer=optimizer, **settings)  # type: ignore[arg-type]
    return state, [*model.weights, *optimizer.weights]


def small_state(folder: Path, **settings: object) -> tuple[CheckpointManager, tf.Variable]:
    """A state of one variable of a megabyte."""
    variable = tf.Variable(tf.zeros([250_000]))
    return CheckpointManager(folder, value=variable, **settings), variable  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["one_device", "mirrored"])
def test_brings_everything_back(tmp_path: Path, name: str) -> None:
    saved, variables = fresh_state(tmp_path, name)
    for number, variable in enumerate(variables):
        variable.assign(tf.cast(tf.fill(variable.shape, number), variable.dtype))
    for loss in (0.1, 0.2):
        saved.progress.count(loss)
    saved.progress.close_epoch({"epoch": 1, "best": True})
    saved.progress.count(0.3)
    saved.progress.rate_factor, saved.progress.parts = 0.5, 4
    saved.save()
    restored, variables = fresh_state(tmp_path, name)
    assert restored.restore()
    for number, variable in enumerate(variables):
        np.testing.assert_array_equal(variable.numpy(), np.full(variable.shape, number))
    assert restored.progress == saved.progress
    assert restored.progress.step == 3 and restored.progress.epoch_loss == 0.3


def test_keeps_the_newest_and_restores_the_last(tmp_path: Path) -> None:
    state, _ = small_state(tmp_path, keep=3)
    for step in (3, 6, 9, 12):
        state.progress.step = step
        state.save()
    assert names(tmp_path) == ["step-12", "step-6", "step-9"]
    again, _ = small_state(tmp_path)
    again.restore()
    assert again.progress.step == 12


def test_the_seconds_of_all_starts_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    first, _ = small_state(tmp_path)
    clock[0] += 60
    first.save()
    clock[0] += 1000
    second, _ = small_state(tmp_path)
    clock[0] += 5
    assert second.restore() and second.earlier_seconds == 60
    clock[0] += 15
    second.progress.step += 1
    second.save()
    third, _ = small_state(tmp_path)
    third.restore()
    assert third.earlier_seconds == 80


def test_nothing_to_resume(tmp_path: Path) -> None:
    state, _ = small_state(tmp_path / "none")
    assert not state.restore() and state.progress == TrainProgress()


def test_progress_is_read_without_the_variables(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "none") is None
    state, _ = small_state(tmp_path)
    for state.progress.step in (2, 10):
        state.progress.close_epoch({"epoch": 1, "best": True})
        state.save()
    assert read_progress(tmp_path) == state.progress
    # One that is being removed, and one that is being written.
    (tmp_path / "step-10" / "progress.json").unlink()
    (tmp_path / ".step-12.4711.tmp").mkdir()
    before = read_progress(tmp_path)
    assert before is not None and before.step == 2 and len(before.history) == 1
    (tmp_path / "step-2" / "progress.json").unlink()
    assert read_progress(tmp_path) is None


def test_progress_is_read_while_checkpoints_come_and_go(tmp_path: Path) -> None:
    state = CheckpointManager(tmp_path, keep=1, value=tf.Variable(0.0))
    state.save()

    def save_many() -> None:
        for state.progress.step in range(1, 41):
            state.save()

    saving, seen = threading.Thread(target=save_many), [0]
    saving.start()
    while saving.is_alive():
        progress = read_progress(tmp_path)
        assert progress is not None
        seen.append(progress.step)
    saving.join()
    assert seen == sorted(seen) and len(set(seen)) > 5


def test_progress_is_renewed_in_the_checkpoint_of_its_step(tmp_path: Path) -> None:
    state, _ = small_state(tmp_path)
    state.save()
    tensors = (tmp_path / "step-0" / "tensors.index").stat()
    state.progress.close_epoch({"epoch": 1, "best": False})
    state.save()
    assert (tmp_path / "step-0" / "tensors.index").stat().st_mtime_ns == tensors.st_mtime_ns
    assert json.loads((tmp_path / "step-0" / "progress.json").read_text())["history"]


def test_who_does_not_write_leaves_no_trace(tmp_path: Path) -> None:
    state, _ = small_state(tmp_path, writes=False)
    state.save()
    assert names(tmp_path) == []


def test_a_save_that_fails_half_way_leaves_the_one_before(tmp_path: Path) -> None:
    state, variable = small_state(tmp_path)
    variable.assign(tf.random.normal(variable.shape))
    value = variable.numpy().copy()
    state.progress.step = 1
    state.save()
    variable.assign_add(tf.ones_like(variable))
    state.progress.step = 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system refuses to write beyond this size, as a full disk would.
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(UserError) as caught:
            state.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "step 2 could not be saved" in caught.value.wrong
    assert "step-1 is whole" in caught.value.fix and "--resume" in caught.value.fix
    assert names(tmp_path) == ["step-1"]
    again, restored = small_state(tmp_path)
    again.restore()
    np.testing.assert_array_equal(restored.numpy(), value)
    state.save()
    assert names(tmp_path) == ["step-1", "step-2"]


FULL_DISK = """
import subprocess, sys
from pathlib import Path
import tensorflow as tf
from tfpipe.errors import UserError
from tfpipe.training.checkpointing import CheckpointManager

disk = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2500k", "none", disk], check=True)
state = CheckpointManager(Path(disk, "checkpoints"), value=tf.Variable(tf.zeros([250_000])))
try:
    for state.progress.step in range(1, 9):
        state.save()
except UserError as error:
    print(error)
print(sorted(path.name for path in state.folder.iterdir()))
subprocess.run(["mount", "-o", "remount,size=9m", disk], check=True)
print(state.restore(), state.progress.step)
state.progress.step = 9
state.save()
print(sorted(path.name for path in state.folder.iterdir()))
"""


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    alone = ["unshare", "-rm"]
    try:
        able = subprocess.run([*alone, "mount", "-t", "tmpfs", "none", str(tmp_path)]).returncode
    except FileNotFoundError:
        able = 1
    if able:
        pytest.skip("a small disk of one's own cannot be had here")
    done = subprocess.run(
        [*alone, sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True
    )
    reported = done.stdout.splitlines()
    assert reported[0] == "the checkpoint of step 3 could not be saved", done.stderr
    assert "No space left on device" in reported[1] and "MB are free" in reported[1]
    assert "step-2 is whole" in reported[2] and "--resume" in reported[2]
    assert reported[3:] == ["['step-1', 'step-2']", "True 2", "['step-2', 'step-9']"]


def test_what_a_killed_save_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".step-7.4711.tmp").mkdir()
    (tmp_path / ".step-7.4711.tmp" / "tensors.index").write_text("half")
    state, _ = small_state(tmp_path)
    assert not state.restore()
    state.save()
    assert names(tmp_path) == ["step-0"]


@pytest.mark.parametrize("damage", ["tensors.index", "tensors.data-00000-of-00001"])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, damage: str) -> None:
    state, _ = small_state(tmp_path)
    state.save()
    (tmp_path / "step-0" / damage).write_bytes(b"")
    with pytest.raises(UserError, match="remove step-0"):
        state.restore()


def test_another_model_is_refused(tmp_path: Path) -> None:
    small_state(tmp_path)[0].save()
    other = CheckpointManager(tmp_path, model=tf.Module(), more=tf.Variable(1.0))
    with pytest.raises(UserError, match="cannot be restored"):
        other.restore()


def test_due_by_steps_and_minutes(tmp_path: Path) -> None:
    state, _ = small_state(tmp_path)
    state.save()
    state.progress.step = 5
    assert not state.due(0, 0) and not state.due(6, 60)
    assert state.due(5, 0) and state.due(0, 1e-9)
    state.save()
    assert not state.due(5, 60)


def test_progress_counts() -> None:
    progress = TrainProgress()
    for step in range(20):
        progress.count(float(step))
    assert progress.step == 20 and progress.epoch_loss == 190
    assert progress.first_loss == 0 and 10 < progress.recent_loss < 19
    progress.close_epoch({"epoch": 1, "best": True})
    assert progress.epoch_loss == 0 and progress.best == {"epoch": 1, "best": True}
    progress.close_epoch({"epoch": 2, "best": False})
    assert progress.best == {"epoch": 1, "best": True}

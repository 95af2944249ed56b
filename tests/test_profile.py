"""A profile of some steps: what is asked for, what is written, what is reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf

from tfpipe.config.profile_steps import parse_steps
from tfpipe.errors import UserError
from tfpipe.training.callbacks import StepMetrics
from tfpipe.training.profile import TAB, Profile

STEP = StepMetrics(1, 9, 1, 1.0, 1e-3, 1.0, examples=8, tokens=80, places=80, seconds=0.1)


def take_steps(profile: Profile, first: int, last: int) -> None:
    for number in range(first, last + 1):
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            tf.linalg.matmul(tf.ones([8, 8]), tf.ones([8, 8])).numpy()
        profile.on_step(replace(STEP, step=number))


def profiles(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*.xplane.pb")]


def test_which_steps() -> None:
    assert parse_steps("10,20") == (10, 20) and parse_steps("2,2") == (2, 2)
    for wrong in ("", "10", "1,5", "5,3", "a,b", "2,3,4", "-2,3", "2.0,3"):
        with pytest.raises(UserError, match="profile-steps"):
            parse_steps(wrong)


def test_the_steps_asked_for_are_written_and_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with Profile(tmp_path / "the logs", 3, 5) as profile:
        take_steps(profile, 1, 2)
        assert not capsys.readouterr().err
        take_steps(profile, 3, 9)
        logged = capsys.readouterr().err
    assert not capsys.readouterr().err and "steps 3 to 5" in logged and TAB in logged
    assert f"tensorboard --logdir '{tmp_path}/the logs'" in logged
    (content,) = profiles(tmp_path)
    # The markers by which the profile tab tells steps apart.
    assert b"train" in content and b"step_num" in content


def test_a_run_that_ends_early_leaves_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt), Profile(tmp_path, 3, 50) as profile:
        take_steps(profile, 1, 6)
        raise KeyboardInterrupt
    assert len(profiles(tmp_path)) == 1 and "steps 3 to 6" in capsys.readouterr().err


@pytest.mark.parametrize(("begin", "end"), [(1, 8), (9, 9), (11, 15)])
def test_a_run_without_these_steps_says_so(
    tmp_path: Path, begin: int, end: int, capsys: pytest.CaptureFixture
) -> None:
    with Profile(tmp_path, 10, 20) as profile:
        take_steps(profile, begin, end)
    (line,) = capsys.readouterr().err.splitlines()
    assert "none" in line and "step 9 to 10" in line


def test_nothing_asked_for_is_nothing_done(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with Profile(tmp_path / "logs", 0, 0) as profile:
        take_steps(profile, 1, 3)
    assert not capsys.readouterr().err and not list(tmp_path.iterdir())

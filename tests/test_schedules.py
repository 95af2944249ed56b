"""Every schedule against its formula in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.config import SCHEDULES as NAMES
from tfpipe.config import TrainConfig
from tfpipe.training.schedules import SCHEDULES, LinearWarmupDecay, make_schedule

FALLS = {
    "linear": lambda done: 1 - done,
    "cosine": lambda done: 0.5 * (1 + np.cos(np.pi * done)),
    "polynomial": lambda done: (1 - done) ** 3,
    "constant": lambda done: 1.0,
}


def rates(config: TrainConfig, steps: int) -> np.ndarray:
    schedule = make_schedule(config, steps)
    return np.array([float(schedule(tf.constant(step, tf.int64))) for step in range(steps + 1)])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("warmup", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("final", [0.0, 0.25])
def test_against_the_formula(name: str, warmup: float, final: float) -> None:
    config = TrainConfig(
        learning_rate=2.0, schedule=name, warmup=warmup, final_rate=final, schedule_power=3.0
    )
    rise = round(warmup * 20)
    expected = []
    for step in range(20):
        done = min(1.0, max(0.0, (step - rise) / max(1, 20 - rise)))
        fall = final + (1 - final) * FALLS[name](done)
        expected.append(2.0 * min((step + 1) / max(1, rise), fall, 1.0))
    np.testing.assert_allclose(rates(config, 20)[:20], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_step_moves_and_the_peak_is_reached(name: str) -> None:
    found = rates(TrainConfig(learning_rate=1e-3, schedule=name), 100)
    assert found[0] == pytest.approx(1e-4) and found.max() == pytest.approx(1e-3)
    assert (np.diff(found[10:]) <= 1e-10).all()
    assert found[-1] == (pytest.approx(1e-3) if name == "constant" else pytest.approx(0, abs=1e-9))


def test_names_are_those_of_the_configuration() -> None:
    assert tuple(SCHEDULES) == NAMES


def test_linear_is_what_a_run_without_settings_has() -> None:
    default = make_schedule(replace(TrainConfig(), learning_rate=1.5e-4), 50)
    plain = LinearWarmupDecay(1.5e-4, 5, 50)
    assert [float(default(step)) for step in range(51)] == [
        float(plain(step)) for step in range(51)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_knows_its_settings(name: str) -> None:
    schedule = make_schedule(TrainConfig(learning_rate=0.1, schedule=name), 30)
    again = type(schedule)(**schedule.get_config())
    assert float(again(17)) == float(schedule(17))

"""The space of a study: its values, its size, its JSON, and Keras Tuner's view of it."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import space_files
from tests.space_files import CONDITIONED, FOCAL, RATE, only
from tfpipe.config import TrainConfig, field_type
from tfpipe.training.defaults import default_rate
from tuning.config import RESERVED_SETTINGS
from tuning.library_internals import set_project_folder
from tuning.space import Parameter, Space, differences, training_defaults
from tuning.space.checks import FIELDS
from tuning.space.file import FIXED_ONLY, read_space

write, read, refused = space_files.write, space_files.read, space_files.refused  # fixtures


# ---- values back from a tuner ---------------------------------------------------------------


def test_a_tuner_s_values_become_plain_ones(read: Any) -> None:
    space = read(
        RATE + "freeze_embeddings: [true, false]\nepochs: {int: [2, 6], log: true}\n"
        "warmup: [0, 0.1]\nmodel: [tiny, starter]\n"
    )
    raw = {
        "learning_rate": np.float32(3e-4),
        "freeze_embeddings": 1,
        "epochs": np.int64(7),
        "warmup": np.float64(0.1),
        "model": np.str_("tiny"),
    }
    values = space.active_values(raw)
    assert values == {
        "learning_rate": 3e-4,
        "freeze_embeddings": True,
        "epochs": 6,
        "warmup": 0.1,
        "model": "tiny",
    }
    kinds = (float, bool, int, float, str)
    assert tuple(type(values[name]) for name in raw) == kinds
    assert json.loads(json.dumps(values)) == values
    assert space.configuration(raw) == TrainConfig(**values)
    with pytest.raises(ValueError, match="warmup cannot be 0.3"):
        space.configuration(raw | {"warmup": 0.3})
    with pytest.raises(KeyError):
        space.configuration({})


def test_drawn_values_stay_inside_and_reach_the_ends(read: Any) -> None:
    space = read(
        RATE + "epochs: {int: [1, 4]}\naccumulate: {int: [1, 4], log: true}\n"
        "warmup: {float: [0, 0.5]}\n"
    )
    rng = random.Random(1)
    samples = [space.sample(rng) for _ in range(600)]
    assert {one["epochs"] for one in samples} == {1, 2, 3, 4}
    assert {one["accumulate"] for one in samples} == {1, 2, 3, 4}
    assert all(1e-5 <= one["learning_rate"] <= 3e-4 for one in samples)
    assert max(one["warmup"] for one in samples) > 0.45
    middle = math.sqrt(1e-5 * 3e-4)
    below = sum(one["learning_rate"] < middle for one in samples)
    assert 240 < below < 360


# ---- the grid -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text,size",
    [
        ("batch_size: [16, 32]\nepochs: {int: [2, 6]}\n", 10),
        ("epochs: {int: [2, 6], log: true}\n", None),
        ("batch_size: [16, 32]\n" + RATE, None),
        ("epochs: {int: [1, 1000000]}\nbatch_size: {int: [1, 1000000]}\n", 10**12),
        (FOCAL, 8),
        (FOCAL + "weight_decay: {choice: [0, 0.1, 0.2], when: {focal_gamma: [2, 3]}}\n", 12),
        # Both parents must agree.
        (
            "loss: [cross_entropy, focal]\nepochs: {int: [1, 5]}\n"
            "warmup: {choice: [0, 0.1, 0.2], when: {loss: focal, epochs: [2, 3]}}\n",
            8 + 2 * 3,
        ),
        # Inactive parents switch off what hangs on them.
        (
            "loss: [cross_entropy, focal]\nepochs: {int: [1, 5], when: {loss: focal}}\n"
            "warmup: {choice: [0, 0.1], when: {epochs: 2}}\n",
            1 + 4 + 2,
        ),
    ],
)
def test_the_size_of_a_grid(read: Any, text: str, size: int | None) -> None:
    assert read(text).grid_size() == size


def test_the_size_of_a_grid_of_many_pairs_takes_no_time() -> None:
    pairs = []
    for number in range(40):
        pairs.append(Parameter(f"parent{number}", "choice", (0, 1)))
        pairs.append(
            Parameter(f"child{number}", "choice", (1, 2, 3), when={f"parent{number}": (1,)})
        )
    ordered = tuple(sorted(pairs, key=lambda one: one.name, reverse=True))
    assert Space(ordered, {}).grid_size() == 4**40


# ---- kept in study.json ---------------------------------------------------------------------


def test_equal_spaces_have_equal_json_in_any_order(read: Any) -> None:
    one = read(FOCAL + RATE + "batch_size: [16, 32]\nwarmup: 0.2\nepochs: 3\n")
    other = read(
        "epochs: 3\nwarmup: 0.2\nbatch_size: {choice: [32, 16]}\n"
        + RATE
        + "focal_gamma: {min: 1, max: 4, step: 0.5, when: {loss: [focal]}}\n"
        + "loss: [focal, cross_entropy]\n"
    )
    assert json.dumps(one.as_json()) == json.dumps(other.as_json())
    kept = json.loads(json.dumps(one.as_json()))
    assert kept == one.as_json()
    assert differences(kept, other.as_json()) == []


def test_differences_are_sentences(read: Any) -> None:
    old = read(FOCAL + RATE + "batch_size: [16, 32]\nepochs: 3\nmax_length: 64\n").as_json()
    new = read(
        FOCAL.replace("0.5", "1") + "learning_rate: 1e-4\nbatch_size: [16, 64]\nwarmup: 0.1\n"
        "epochs: {int: [2, 6]}\n"
    ).as_json()
    assert sorted(differences(json.loads(json.dumps(old)), new)) == [
        "batch_size was one of 16, 32, and is one of 16, 64",
        "epochs was fixed at 3, and is int from 2 to 6",
        "focal_gamma was one of 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0 when loss is focal, and is one"
        " of 1.0, 2.0, 3.0, 4.0 when loss is focal",
        "learning_rate was float from 1e-05 to 0.0003 on a log scale, and is fixed at 0.0001",
        "max_length was fixed at 64, and is fixed at 128",
    ]


# ---- the shipped space ----------------------------------------------------------------------


def test_the_default_space_searches_what_matters(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").write_text("epochs: [1, 2]\n")
    space = read_space("default", {})
    assert {one.name for one in space.parameters} == {
        "learning_rate",
        "batch_size",
        "epochs",
        "warmup",
        "weight_decay",
        "layer_decay",
        "label_smoothing",
    }
    assert only(read_space("./default", {})).name == "epochs"
    focal = read_space("default", {"loss": "focal", "focal_gamma": "3", "train": "a.csv"})
    assert "label_smoothing" not in {one.name for one in focal.parameters}
    assert focal.fixed == {"loss": "focal", "focal_gamma": 3.0, "train": "a.csv"}


@pytest.mark.parametrize(
    ("width", "rows", "rate", "low", "high", "epochs"),
    [
        (64, 360, 0.002665, 0.0006662, 0.01066, (10, 5, 20)),  # tiny, a small file
        (384, 360, 0.0003, 7.5e-05, 0.0012, (10, 5, 20)),  # starter
        (768, 100_000, 5e-05, 1.25e-05, 0.0002, (4, 2, 8)),
        (1024, 2_500, 3.155e-05, 7.888e-06, 0.0001262, (6, 3, 12)),
    ],
)
def test_the_default_space_follows_the_model_and_the_data(
    width: int, rows: int, rate: float, low: float, high: float, epochs: tuple[int, int, int]
) -> None:
    defaults = training_defaults({}, {"hidden_size": width}, rows)
    space = read_space("default", {}, defaults)
    by_name = {one.name: one for one in space.parameters}
    rates, passes = by_name["learning_rate"], by_name["epochs"]
    assert (rates.low, rates.high, rates.log, rates.default) == (low, high, True, rate)
    assert (passes.default, passes.low, passes.high, passes.kind) == (*epochs, "int")
    assert space.default_values() == {
        "learning_rate": rate,
        "batch_size": 32,
        "epochs": epochs[0],
        "warmup": 0.1,
        "weight_decay": 0.01,
        "layer_decay": 1.0,
        "label_smoothing": 0.0,
    }
    # What a trial trains with is what training would take.
    plain = TrainConfig(learning_rate=default_rate(width), epochs=epochs[0])
    assert space.configuration(space.default_values()) == plain


def test_flags_change_the_defaults() -> None:
    flags = {"batch_size": 4, "label_smoothing": 0.1}
    defaults = training_defaults(flags, {"hidden_size": 64}, 300)
    space = read_space("default", flags, defaults)
    assert defaults["epochs"] == 6 and space.default_values()["epochs"] == 6
    assert space.fixed == {**flags, "loss": "cross_entropy"}
    fixed = training_defaults({"learning_rate": 0.01, "epochs": 3}, {"hidden_size": 64}, 300)
    assert (fixed["learning_rate"], fixed["head_rate"], fixed["epochs"]) == (0.01, 0.01, 3)
    own = training_defaults({}, {"hidden_size": 64, "hidden_dropout_prob": 0.3}, 300)
    assert (own["hidden_dropout"], own["attention_dropout"]) == (0.3, 0.1)


@pytest.mark.parametrize(
    ("line", "default", "start"),
    [
        ("learning_rate: {float: [1e-5, 5e-4], sampling: log}", 0.002665, 5e-4),
        ("learning_rate: {float: [1e-2, 1e-1], sampling: log}", 0.002665, 1e-2),
        ("learning_rate: {float: [1e-3, 1e-2]}", 0.002665, 0.002665),
        # On a log scale 1e-3 is nearer.
        ("learning_rate: {float: [1e-5, 1e-1], sampling: log, step: 10}", 5e-4, 1e-3),
        ("learning_rate: [1e-4, 1e-3]", 5e-4, 1e-4),
        ("batch_size: [8, 16]", 32, 16),
        ("batch_size: [16, 48]", 32, 16),
        ("epochs: {int: [2, 6]}", 10, 6),
        ("loss: [focal, cross_entropy]", "cross_entropy", "cross_entropy"),
        ("schedule: [cosine, constant]", "linear", "cosine"),
        ("freeze_embeddings: [true, false]", False, False),
        ("abstain: [auto, 0.05]", None, "auto"),
    ],
)
def test_the_start_is_the_nearest_to_the_default(
    write: Any, line: str, default: Any, start: Any
) -> None:
    name = line.partition(":")[0]
    space = read_space(write(line), {}, training_defaults({}) | {name: default})
    assert space.default_values() == {name: start}
    assert type(space.default_values()[name]) is type(start)


def test_the_start_has_the_settings_that_its_others_allow(write: Any) -> None:
    defaults = training_defaults({}, {"hidden_size": 64}, 300)
    space = read_space(write(CONDITIONED), {}, defaults)
    assert space.default_values() == {"loss": "cross_entropy", "freeze_embeddings": False}
    focal = read_space(write(FOCAL + "epochs: [2, 3]\n"), {"loss": "focal"}, defaults)
    assert focal.default_values() == {"focal_gamma": 2.0, "epochs": 3}
    # Without defaults there is none.
    assert read_space(write(FOCAL), {}).default_values() == {}


def test_every_setting_that_is_a_number_has_a_default() -> None:
    defaults = training_defaults({}, {"hidden_size": 64}, 300)
    numbers = [n for n in FIELDS if field_type(TrainConfig, n)[0] in (int, float)]
    searched = set(numbers) - set(RESERVED_SETTINGS) - set(FIXED_ONLY)
    assert [name for name in searched if defaults[name] is None] == []


def test_a_factor_is_a_range_of_defaults(write: Any) -> None:
    defaults = training_defaults({}, {"hidden_size": 64}, 300)
    text = "learning_rate: {factor: [0.25, 4], sampling: log, step: 2}\nepochs: {factor: [0.04, 1]}"
    space = read_space(write(text), {}, defaults)
    rate, epochs = space.parameters
    assert rate.values == (0.0006662, 0.0013324, 0.0026648, 0.0053296, 0.0106592)
    assert (epochs.low, epochs.high) == (1, 10)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("epochs: {factor: 2}", "`factor` takes two numbers above 0"),
        ("epochs: {factor: [0, 2]}", "`factor` takes two numbers above 0"),
        ("epochs: {factor: [a, 2]}", "`factor` takes two numbers above 0"),
        ("epochs: {factor: [2, 0.5]}", "the range ends before it begins"),
        ("warmup: {factor: [1, 20]}", "--warmup is out of range"),
        ("loss: {factor: [0.5, 2]}", "`factor` multiplies what training takes by itself"),
        (
            "label_smoothing: {factor: [0.5, 2]}",
            "`factor` multiplies what training takes by itself",
        ),
        (
            "epochs: {factor: [0.5, 2], max: 3}",
            "`factor` is a range, beside which there is no `max`",
        ),
        (
            "epochs: {factor: [0.5, 2], int: [1, 2]}",
            "`factor` is a range, beside which there is no `int`",
        ),
    ],
)
def test_a_factor_that_is_none_is_told(refused: Any, line: str, wrong: str) -> None:
    assert [error.wrong for error in refused(RATE + line)] == [wrong]


def test_reading_a_space_loads_no_tensorflow() -> None:
    script = """
import sys
from tuning.space.file import read_space
read_space("default", {})
heavy = {"tensorflow", "numpy", "keras_tuner"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- Keras Tuner ----------------------------------------------------------------------------


def trials(oracle: Any, folder: Path, count: int) -> list[dict[str, Any]]:
    """The values of an oracle's trials, each ended before the next."""
    from keras_tuner.engine.trial import Trial

    oracle.verbose = 0
    set_project_folder(oracle, str(folder), "study")
    found = []
    for _ in range(count):
        trial: Trial = oracle.create_trial("tuner")
        if trial.status != "RUNNING":
            break
        found.append(dict(trial.hyperparameters.values))
        oracle.update_trial(trial.trial_id, {"score": float(len(found) % 5)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return found


def make_study_oracle(kind: str, space: Space, **more: Any) -> Any:
    import keras_tuner

    return getattr(keras_tuner.oracles, kind)(
        objective=keras_tuner.Objective("score", "max"),
        hyperparameters=space.hyperparameters(),
        seed=1,
        **more,
    )


@pytest.mark.parametrize(
    "kind,more",
    [("RandomSearchOracle", {}), ("BayesianOptimizationOracle", {"num_initial_points": 8})],
)
def test_conditions_hold_in_keras_tuner_s_trials(
    read: Any, tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    space = read(CONDITIONED + RATE + "warmup: {float: [0, 0.2]}\n")
    found = trials(make_study_oracle(kind, space, max_trials=10, **more), tmp_path, 10)
    assert len(found) == 10
    for values in found:
        # What Keras Tuner calls active is what we do; numbers are rounded for people.
        active = space.active_values(values)
        assert list(active) == list(values)
        for name, value in active.items():
            close = isinstance(value, float)
            assert value == (pytest.approx(values[name], rel=1e-3) if close else values[name])
        assert isinstance(values["freeze_embeddings"], bool)
        space.configuration(values)
    assert len({one["loss"] for one in found}) == 2


def test_the_grid_of_keras_tuner_is_as_large_as_we_say(read: Any, tmp_path: Path) -> None:
    space = read(CONDITIONED)
    found = trials(make_study_oracle("GridSearchOracle", space), tmp_path, 100)
    assert all(space.active_values(values) == values for values in found)
    different = Counter(json.dumps(values, sort_keys=True) for values in found)
    assert len(found) == len(different) == space.grid_size()


def test_keras_tuner_s_copies_and_messages_keep_the_space(read: Any) -> None:
    from keras_tuner import HyperParameters

    space = read(CONDITIONED + RATE)
    original = space.hyperparameters()
    kept = HyperParameters.from_config(json.loads(json.dumps(original.get_config())))
    sent = HyperParameters.from_proto(original.to_proto())
    for copy in (kept, sent):
        assert {one.name for one in copy.space} == {one.name for one in space.parameters}
        assert space.active_values(copy.values) == copy.values == original.values
        for one in copy.space:
            conditions = {parent.name: tuple(parent.values) for parent in one.conditions}
            (same,) = (other for other in space.parameters if other.name == one.name)
            assert conditions == same.when


def test_a_range_for_keras_tuner_has_its_ends_and_its_scale(read: Any) -> None:
    space = read(
        RATE + "epochs: {int: [2, 6]}\naccumulate: {int: [1, 8], log: true}\n"
        "batch_size: {int: [8, 64], log: true, step: 2}\nmodel: [tiny, starter]\n"
    )
    rate, epochs, accumulate, batch, model = space.hyperparameters().space
    assert rate.prob_to_value(0.5) == pytest.approx(math.sqrt(1e-5 * 3e-4))
    assert list(epochs.values) == [2, 3, 4, 5, 6]
    # Keras Tuner's Gaussian process may ask for the very end, where its own range ends too late.
    assert accumulate.prob_to_value(1.0) == 9 and space.parameters[2].convert(9) == 8
    assert batch.values == [8, 16, 32, 64] and batch.ordered
    assert model.values == ["tiny", "starter"] and not model.ordered

"""The space of a study: every spelling, all mistakes at once, Keras Tuner's view of it."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as with_values
from hypothesis import settings
from hypothesis import strategies as st

from tfpipe.config import TrainConfig
from tfpipe.errors import UserError
from tuning.config import OWN
from tuning.space import Parameter, Space, differences
from tuning.space.file import FIXED_ONLY, read_space
from tuning.space.ranges import read_range
from tuning.space.value import Complaints

Write = Callable[[str], str]
RATE = "learning_rate: {float: [1e-5, 3e-4], sampling: log}\n"
FOCAL = """
loss: [cross_entropy, focal]
focal_gamma: {float: [1, 4], step: 0.5, when: {loss: focal}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a space file and gives its path."""

    def written(text: str) -> str:
        path = tmp_path / "space.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


@pytest.fixture
def read(write: Write) -> Callable[..., Space]:
    """A function from a file's text and flags to a space."""
    return lambda text, **flags: read_space(write(text), flags)


@pytest.fixture
def refused(write: Write) -> Callable[..., list[UserError]]:
    """A function from a file's text and flags to the errors told of it."""

    def errors(text: str, **flags: Any) -> list[UserError]:
        with pytest.raises(UserError) as caught:
            read_space(write(text), flags)
        return getattr(caught.value, "errors", [caught.value])

    return errors


def only(space: Space) -> Parameter:
    (parameter,) = space.parameters
    return parameter


# ---- spellings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling",
    [
        "{float: [1e-5, 3e-4], sampling: log}",
        "{float: ['1e-5', 0.0003], log: true}",
        "{float: {min: 1e-5, max: 3e-4, sampling: log}}",
        "{float: {min: 1e-5, max: 3e-4}, log: true, sampling: log}",
        "{min: 1e-5, max: 3e-4, sampling: log}",
        "{type: float, min: 1e-5, max: 3e-4, sampling: log}",
    ],
)
@pytest.mark.parametrize("name", ["learning_rate", "learning-rate"])
def test_a_range_in_every_spelling(read: Any, name: str, spelling: str) -> None:
    assert only(read(f"{name}: {spelling}")) == Parameter(
        "learning_rate", "float", (), 1e-5, 3e-4, log=True
    )


@pytest.mark.parametrize(
    "spelling",
    [
        "[16, 32, 64]",
        "[64, '16', 32.0]",
        "{choice: [16, 32, 64]}",
        "{choice: {values: [16, 32, 64]}}",
        "{values: [16, 32, 64]}",
        "{type: choice, values: [16, 32, 64]}",
    ],
)
def test_a_choice_in_every_spelling(read: Any, spelling: str) -> None:
    parameter = only(read(f"batch_size: {spelling}"))
    assert parameter == Parameter("batch_size", "choice", (16, 32, 64))
    assert {type(value) for value in parameter.values} == {int}


def test_fixed_values(read: Any) -> None:
    space = read(
        RATE + "warmup: 0\nepochs: {int: [3, 3]}\nbatch_size: [16]\nclass-weights: balanced\n"
        "freeze_embeddings: true\nhidden_dropout: null\nseed: 3\ntrain: a.csv\ndev: 0.2\n"
    )
    assert [one.name for one in space.parameters] == ["learning_rate"]
    assert space.fixed == {
        "warmup": 0.0,
        "epochs": 3,
        "batch_size": 16,
        "class_weights": "balanced",
        "freeze_embeddings": True,
        "hidden_dropout": None,
        "seed": 3,
        "train": "a.csv",
        "dev": "0.2",
    }
    assert space.configuration({"learning_rate": 1e-4}).hidden_dropout is None


def test_texts_keep_their_order_and_booleans_vary(read: Any) -> None:
    space = read("model: [tiny, starter]\nfreeze_embeddings: [true, false]\nschedule: [linear]\n")
    model, freeze = space.parameters
    assert model.values == ("tiny", "starter")
    assert freeze.values == (False, True) and freeze.values[1] is True


# ---- steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line,values",
    [
        ("warmup: {float: [0.1, 0.3], step: 0.1}", (0.1, 0.2, 0.3)),
        ("warmup: {float: [0, 1], step: 0.3}", (0.0, 0.3, 0.6, 0.9)),
        ("warmup: {float: [0, 1], step: 0.3333333333333333}", (0, 1 / 3, 2 / 3, 1)),
        ("warmup: {float: [0.5, 1], step: 0.5}", (0.5, 1.0)),
        ("epochs: {int: [2, 6], step: 2}", (2, 4, 6)),
        ("epochs: {int: [2, 7], step: '2'}", (2, 4, 6)),
        ("batch_size: {int: [8, 64], sampling: log, step: 2}", (8, 16, 32, 64)),
        ("batch_size: {int: [8, 100], sampling: log, step: 2.0}", (8, 16, 32, 64)),
        ("learning_rate: {float: [1e-5, 1e-2], log: true, step: 10}", (1e-5, 1e-4, 1e-3, 1e-2)),
        (
            "learning_rate: {float: [1e-5, 1e-4], log: true, step: 3.1622776601683795}",
            (1e-5, 3.1622776601683795e-05, 1e-4),
        ),
        ("epochs: {int: [1, 10000], step: 1}", tuple(range(1, 10001))),
    ],
)
def test_steps_do_not_drift(read: Any, line: str, values: tuple[Any, ...]) -> None:
    found = only(read(line)).values
    assert found == values
    assert len({type(value) for value in found}) == 1


@settings(max_examples=60, deadline=None)
@with_values(st.integers(0, 50), st.integers(1, 40), st.integers(1, 60), st.integers(1, 6))
def test_decimal_steps_are_what_a_person_would_write(
    low: int, step: int, count: int, digits: int
) -> None:
    unit = 10**digits
    complaints = Complaints("space.yaml")
    entry = {"min": low / unit, "max": (low + step * count) / unit, "step": step / unit}
    parameter = read_range("focal_gamma", "float", entry, complaints)
    assert parameter is not None and not complaints.errors
    assert parameter.values == tuple((low + step * index) / unit for index in range(count + 1))


# ---- mistakes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line,wrong,fix",
    [
        ("lerning_rate: 1", "no training setting 'lerning_rate'", "did you mean 'learning_rate'?"),
        ("on: 3", "table of names and values", "epochs: 3"),
        ("epochs: {int: [2, 6], smapling: log}", "no key 'smapling'", "did you mean 'sampling'?"),
        ("epochs: {int: [2, 6], 3: 4}", "no key '3'", "known: choice, int"),
        ("epochs: {int: [6, 2]}", "ends before it begins", "swap"),
        ("epochs: {int: [0, 2]}", "--epochs is out of range", "at least 1"),
        ("epochs: {int: [2, 2.5]}", "--epochs takes a whole number", "passes"),
        ("epochs: {int: [2, 6, 2]}", "two ends", "int: [LOW, HIGH]"),
        ("epochs: {int: 2}", "two ends", "int: [LOW, HIGH]"),
        ("epochs: {int: null}", "two ends", "int: [LOW, HIGH]"),
        ("epochs: {int: [2, null]}", "null is no value", "stands for"),
        ("epochs: {int: [2, [6]]}", "not a single one", "one value"),
        ("epochs: {int: [1, 99999999999999999999]}", "too large", "stay within"),
        ("epochs: {min: 2}", "no `max`", "both ends"),
        ("epochs: {int: {max: 2}}", "no `min`", "both ends"),
        ("epochs: {int: {min: 2, max: 3}, max: 4}", "`max` is given twice", "one of the two"),
        ("epochs: {int: [2, 6], step: 0}", "leads nowhere", "above 0"),
        ("epochs: {int: [2, 6], step: -1}", "leads nowhere", "above 0"),
        ("epochs: {int: [2, 6], step: 1.5}", "takes a whole number", "leave it out"),
        ("epochs: {int: [2, 6], step: true}", "takes a whole number", "leave it out"),
        ("epochs: {int: [2, 6], step: 5}", "larger than the range", "smaller step"),
        ("epochs: {int: [1, 10001], step: 1}", "more than 10,000 values", "larger step"),
        ("epochs: {float: [2, 6]}", "there is no float range", "write int"),
        ("epochs: {int: [2, 6], values: [2]}", "nothing of a range", "choice"),
        ("epochs: {integer: [2, 6]}", "no key 'integer'", "did you mean 'int'?"),
        ("epochs: {type: flaot, min: 2, max: 6}", "not one of choice", "did you mean 'float'?"),
        ("epochs: {int: [2, 6], choice: [2]}", "not one of choice", "or one value"),
        ("epochs: {}", "not one of choice", "or one value"),
        ("warmup: {int: [0, 1]}", "there is no int range", "write float"),
        ("warmup: {float: [0, 1], sampling: log}", "no zero", "above 0"),
        ("warmup: {float: [0, 1.5]}", "--warmup is out of range", "at most 1"),
        ("warmup: {float: [0, .nan]}", "--warmup takes a number", "share"),
        ("warmup: {float: [0, 1], step: .inf}", "takes a number", "leave it out"),
        ("warmup: {float: [0, 1], step: 1e-320}", "more than 10,000 values", "larger step"),
        ("warmup: {float: [0.5, 0.5000000000000002], step: 1e-17}", "too small", "larger step"),
        ("warmup: {float: [0, 1], sampling: lgo}", "not known", "did you mean 'log'?"),
        ("warmup: {float: [0, 1], sampling: [log]}", "not known", "linear, log"),
        ("warmup: {float: [0.1, 1], sampling: log, log: false}", "contradict", "one of the two"),
        ("warmup: {float: [0.1, 1], log: 1}", "true or false", "log: true"),
        ("warmup: {float: [0.1, 1], log: true, step: 1}", "multiplies", "above 1"),
        ("warmup: {float: [0.1, 1], log: true, step: 11}", "larger than the range", "smaller"),
        ("loss: {float: [0, 1]}", "loss takes texts", "choice"),
        ("loss: {min: 0, max: 1}", "loss takes texts", "choice"),
        ("deterministic: {int: [0, 1]}", "deterministic takes true or false", "choice"),
        ("batch_size: []", "a choice is empty", "choice: [16, 32]"),
        ("batch_size: {choice: 16}", "takes a list", "choice: [16, 32]"),
        ("batch_size: {choice: [16, 32], step: 2}", "`step` says nothing", "leave out"),
        ("batch_size: [16, '16']", "there twice", "once"),
        ("batch_size: [16, null]", "null is no value", "stands for"),
        ("epochs: [null]", "null is no value", "stands for"),
        ("warmup: null", "--warmup has no value", "share"),
        ("batch_size: [16, x]", "--batch-size takes a whole number", "examples"),
        ("batch_size: [[16], 32]", "not a single one", "one value"),
        ("loss: [focal, cross_entrpy]", "does not know this value", "did you mean 'cross_entropy'"),
        ("loss: [focal, no]", "--loss takes a text", "costs"),
        ("epochs: 2000-01-01", "--epochs takes a whole number", "passes"),
        ("epochs: [2, 3]\nwarm-up: 0.1", "no training setting 'warm-up'", "did you mean 'warmup'"),
        ("clip-norm: 1\nclip_norm: 2", "a setting is there twice", "one of the two"),
        ("epochs: {int: [2, 6], when: loss}", "not a table", "when: {loss: focal}"),
        ("epochs: {int: [2, 6], when: {los: focal}}\nloss: focal", "'los' of `when`", "'loss'?"),
        ("epochs: {int: [2, 6], when: {1: 1}}", "'1' of `when`", "same file"),
        ("epochs: {int: [2, 6], when: {epochs: 3}}", "circle", "leave out one"),
    ],
)
def test_a_mistake_is_told_in_three_parts(
    refused: Any, tmp_path: Path, line: str, wrong: str, fix: str
) -> None:
    (error,) = refused(line)
    assert wrong in error.wrong
    assert str(tmp_path / "space.yaml") in error.found
    assert fix in error.fix
    assert len(str(error)) < 2000


def test_all_mistakes_are_told_together_with_those_of_the_flags(refused: Any) -> None:
    errors = refused(
        "epochs: {int: [6, 2]}\nwarmup: {float: [-1, 2], step: 0, smapling: log}\nlos: focal\n"
        "output: runs/a\nseed: [1, 2]\n",
        batch_size="0",
        lerning_rate="1",
        resume=True,
    )
    told = [error.wrong for error in errors]
    assert told == [
        "--batch-size is out of range",
        "there is no option 'lerning_rate'",
        "--resume is set by the study itself",
        "the range ends before it begins",
        "there is no key 'smapling' here",
        "a step leads nowhere",
        "--warmup is out of range",
        "--warmup is out of range",
        "there is no training setting 'los'",
        "output is set by the study itself",
        "seed cannot be searched: a lucky seed is no setting: --seeds trains each configuration"
        " with several",
    ]
    assert ": warmup: '2'" in errors[7].found or ": warmup: 2" in errors[7].found


@pytest.mark.parametrize("name", sorted(OWN))
def test_what_the_study_sets_itself_is_refused_even_fixed(refused: Any, name: str) -> None:
    (error,) = refused(RATE + f"{name}: 1\n")
    assert error.wrong == f"{name} is set by the study itself"
    assert "--" in error.fix or "by itself" in error.fix
    (error,) = refused(RATE, **{name: "1"})
    assert error.wrong == f"--{name.replace('_', '-')} is set by the study itself"


def test_a_setting_is_refused_for_one_reason() -> None:
    assert not set(OWN) & set(FIXED_ONLY)


@pytest.mark.parametrize("name", sorted(FIXED_ONLY))
def test_what_makes_trials_incomparable_is_fixed_only(read: Any, refused: Any, name: str) -> None:
    values = {"task": ["classify"], "seed": ["1", "2"], "profile_steps": ["1,2", "2,3"]}
    several = values.get(name, ["a", "b"])
    if len(several) > 1:
        (error,) = refused(RATE + f"{name}: {json.dumps(several)}\n")
        assert error.wrong == f"{name} cannot be searched: {FIXED_ONLY[name]}"
    strategy = "strategy: tpu\n" if name == "tpu" else ""
    assert name in read(RATE + strategy + f"{name}: '{several[0]}'\n").fixed


@pytest.mark.parametrize(
    "content,wrong",
    [
        (None, "the space file is missing"),
        (b"epochs: [2", "the space file cannot be read"),
        ("loss: é".encode("latin-1"), "the space file cannot be read"),
        (b"- epochs", "the space file is not a table of names and values"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, wrong: str) -> None:
    path = tmp_path / "space.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_space(str(path), {})
    assert caught.value.wrong == wrong and str(path) in caught.value.found
    with pytest.raises(UserError, match="the space file cannot be read"):
        read_space(str(tmp_path), {})


def test_a_file_that_explodes_is_told_briefly(refused: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    errors = refused("\n".join([*lines, "epochs: *a11", "batch_size: {choice: &c [16, *c]}"]))
    assert len(errors) == 12 + 10 + 1
    assert max(len(str(error)) for error in errors) < 3000


@pytest.mark.parametrize("text", ["", "epochs: 3\n", "epochs: [3]\nwarmup: {float: [0, 0]}\n"])
def test_a_space_where_nothing_varies_is_refused(refused: Any, text: str) -> None:
    (error,) = refused(text)
    assert error.wrong == "there is nothing to search: no setting varies"
    (error,) = refused(RATE, learning_rate="1e-4")
    assert error.wrong == "there is nothing to search: no setting varies"


def test_configurations_that_cannot_be_trained_are_refused(refused: Any, read: Any) -> None:
    (error,) = refused("focal_gamma: [1, 3]\n" + RATE)
    assert error.wrong == "some configurations of the space cannot be trained"
    assert "100 of 100 drawn, such as focal_gamma" in error.found
    assert "--focal-gamma says nothing without --loss focal" in error.found
    assert "add --loss focal" in error.fix
    (error,) = refused("loss: [cross_entropy, focal]\nlabel_smoothing: [0, 0.1]\n")
    assert "loss focal, label_smoothing 0.1: focal loss and label smoothing" in error.found
    assert "of 100 drawn" in error.found and "100 of 100" not in error.found
    read("focal_gamma: [1, 3]\nloss: focal\n")


# ---- conditions -----------------------------------------------------------------------------


def test_a_condition_holds_in_every_sample(read: Any) -> None:
    # The child stands before its parent in the file.
    space = read(
        "focal_gamma: {float: [1, 4], step: 0.5, when: {loss: focal}}\n"
        + RATE
        + "loss: [cross_entropy, focal]\n"
    )
    assert [one.name for one in space.parameters] == ["learning_rate", "loss", "focal_gamma"]
    chance = random.Random(3)
    samples = [space.sample(chance) for _ in range(200)]
    assert {"focal_gamma" in one for one in samples} == {True, False}
    for values in samples:
        assert ("focal_gamma" in values) == (values["loss"] == "focal")
        assert space.active_values(values) == values
        chosen = space.configuration(values)
        assert chosen.focal_gamma == values.get("focal_gamma", 2.0)
    stale = {"learning_rate": 1e-4, "loss": "cross_entropy", "focal_gamma": 3.0, "tuner/epochs": 3}
    assert space.active_values(stale) == {"learning_rate": 1e-4, "loss": "cross_entropy"}
    assert space.configuration(stale).focal_gamma == 2.0


def test_a_fixed_parent_decides_at_once(read: Any, refused: Any) -> None:
    child = "focal_gamma: {float: [1, 4], when: {loss: [focal]}}\n"
    assert only(read("loss: focal\n" + child)).when == {}
    (error,) = refused("loss: cross_entropy\n" + child + RATE)
    assert error.wrong == "this can never be active: loss is fixed at cross_entropy"
    # A child with one value stays under its condition, and is fixed where that always holds.
    one = "focal_gamma: {choice: [3], when: {loss: focal}}\n"
    assert read(RATE + "loss: focal\n" + one).fixed == {"loss": "focal", "focal_gamma": 3.0}
    space = read("loss: [cross_entropy, focal]\n" + one)
    assert space.configuration({"loss": "focal", "focal_gamma": 3}).focal_gamma == 3
    assert space.grid_size() == 2


def test_a_flag_wins_and_switches_off_in_silence(read: Any) -> None:
    deeper = FOCAL + "weight_decay: {choice: [0, 0.1], when: {focal_gamma: 2.5}}\n" + RATE
    space = read(deeper, loss="cross_entropy", **{"batch-size": "16"})
    assert only(space).name == "learning_rate"
    assert space.fixed == {"loss": "cross_entropy", "batch_size": 16}
    space = read(deeper, loss="focal", focal_gamma="2.5")
    assert [(one.name, one.when) for one in space.parameters] == [
        ("weight_decay", {}),
        ("learning_rate", {}),
    ]
    # A parent that only a flag names; a range that a flag fixes outside its ends.
    child = "focal_gamma: {float: [1, 4], when: {loss: focal}}\n"
    assert only(read(child, loss="focal")).name == "focal_gamma"
    assert read(RATE + "epochs: {int: [2, 6]}\n", epochs="40").fixed == {"epochs": 40}


def test_the_conditions_that_cannot_be_are_told(refused: Any) -> None:
    def wrongs(text: str, **flags: str) -> list[str]:
        return [error.wrong for error in refused(text, **flags)]

    assert wrongs("epochs: {int: [2, 6]}\nwarmup: {float: [0, 1], when: {epochs: [3, 7]}}") == [
        "epochs of `when` never has this value"
    ]
    assert wrongs("loss: [focal]\nwarmup: {float: [0, 1], when: {loss: foca}}") == [
        "--loss does not know this value"
    ]
    assert wrongs(RATE + "warmup: {float: [0, 1], when: {learning_rate: 1e-4}}") == [
        "learning_rate of `when` never has this value"
    ]
    assert wrongs("loss: [cross_entropy, focal]\nwarmup: {float: [0, 1], when: {loss: []}}") == [
        "`when` names no value"
    ]
    # What is wrong with a parent, in file or flags, is told once.
    child = "focal_gamma: {float: [1, 4], when: {loss: focal}}\n"
    assert wrongs("loss: [x]\n" + child) == ["--loss does not know this value"]
    assert wrongs(child, loss="x") == ["--loss does not know this value"]
    (error,) = refused(
        RATE + "warmup: {float: [0, 1], when: {epochs: 2}}\n"
        "epochs: {choice: [2, 3], when: {weight_decay: 0}}\n"
        "weight_decay: {choice: [0, 1], when: {warmup: 0}}\n"
        "ema: {choice: [0, 0.9], when: {warmup: 0}}\n"
    )
    assert error.wrong == "the conditions go round in a circle"
    assert error.found.endswith("warmup: warmup needs epochs needs weight_decay needs warmup")


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
    chance = random.Random(1)
    samples = [space.sample(chance) for _ in range(600)]
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

CONDITIONED = FOCAL + (
    "freeze_embeddings: [true, false]\n"
    "weight_decay: {choice: [0, 0.1], when: {focal_gamma: [2.5, 3]}}\n"
    "epochs: {int: [2, 3], when: {freeze_embeddings: false, loss: focal}}\n"
    "ema: {choice: [0.9], when: {freeze_embeddings: true}}\n"
)


def trials(oracle: Any, folder: Path, count: int) -> list[dict[str, Any]]:
    """The values of an oracle's trials, each ended before the next."""
    from keras_tuner.engine.trial import Trial

    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "study")
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


def oracle_of(kind: str, space: Space, **more: Any) -> Any:
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
    found = trials(oracle_of(kind, space, max_trials=10, **more), tmp_path, 10)
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
    found = trials(oracle_of("GridSearchOracle", space), tmp_path, 100)
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
    assert accumulate.prob_to_value(1.0) == 9 and space.parameters[2].plain(9) == 8
    assert batch.values == [8, 16, 32, 64] and batch.ordered
    assert model.values == ["tiny", "starter"] and not model.ordered

"""Space files: every spelling, and all mistakes at once."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as with_values
from hypothesis import settings
from hypothesis import strategies as st

from tests import space_files
from tests.space_files import FOCAL, RATE, only
from tfpipe.errors import UserError
from tuning.config import RESERVED_SETTINGS
from tuning.space import Parameter
from tuning.space.checks import ErrorCollector
from tuning.space.file import FIXED_ONLY, read_space
from tuning.space.ranges import read_range

write, read, refused = space_files.write, space_files.read, space_files.refused  # fixtures


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
    collector = ErrorCollector("space.yaml")
    entry = {"min": low / unit, "max": (low + step * count) / unit, "step": step / unit}
    parameter = read_range("focal_gamma", "float", entry, collector)
    assert parameter is not None and not collector.errors
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
        ("loss: [focal, cross_entrpy]", "has an unknown value", "did you mean 'cross_entropy'"),
        ("loss: [focal, no]", "--loss takes a text", "training loss"),
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
    reported = [error.wrong for error in errors]
    assert reported == [
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


@pytest.mark.parametrize("name", sorted(RESERVED_SETTINGS))
def test_what_the_study_sets_itself_is_refused_even_fixed(refused: Any, name: str) -> None:
    (error,) = refused(RATE + f"{name}: 1\n")
    assert error.wrong == f"{name} is set by the study itself"
    assert "--" in error.fix or "by itself" in error.fix
    (error,) = refused(RATE, **{name: "1"})
    assert error.wrong == f"--{name.replace('_', '-')} is set by the study itself"


def test_a_setting_is_refused_for_one_reason() -> None:
    assert not set(RESERVED_SETTINGS) & set(FIXED_ONLY)


@pytest.mark.parametrize("name", sorted(FIXED_ONLY))
def test_what_makes_trials_incomparable_is_fixed_only(read: Any, refused: Any, name: str) -> None:
    values = {"task": ["classify"], "seed": ["1", "2"], "profile_steps": ["2,3", "3,4"]}
    values |= {"header": ["true", "false"], "split_seed": ["1", "2"]}
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
    assert "--focal-gamma has no effect without --loss focal" in error.found
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
    rng = random.Random(3)
    samples = [space.sample(rng) for _ in range(200)]
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
        "--loss has an unknown value"
    ]
    assert wrongs(RATE + "warmup: {float: [0, 1], when: {learning_rate: 1e-4}}") == [
        "learning_rate of `when` never has this value"
    ]
    assert wrongs("loss: [cross_entropy, focal]\nwarmup: {float: [0, 1], when: {loss: []}}") == [
        "`when` names no value"
    ]
    # What is wrong with a parent, in file or flags, is reported once.
    child = "focal_gamma: {float: [1, 4], when: {loss: focal}}\n"
    assert wrongs("loss: [x]\n" + child) == ["--loss has an unknown value"]
    assert wrongs(child, loss="x") == ["--loss has an unknown value"]
    (error,) = refused(
        RATE + "warmup: {float: [0, 1], when: {epochs: 2}}\n"
        "epochs: {choice: [2, 3], when: {weight_decay: 0}}\n"
        "weight_decay: {choice: [0, 1], when: {warmup: 0}}\n"
        "ema: {choice: [0, 0.9], when: {warmup: 0}}\n"
    )
    assert error.wrong == "the conditions go round in a circle"
    assert error.found.endswith("warmup: warmup needs epochs needs weight_decay needs warmup")

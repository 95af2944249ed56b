"""The configuration: every rule, all errors at once, and YAML there and back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tfpipe.config import (
    EvaluateConfig,
    ExportConfig,
    TrainConfig,
    build,
    field_type,
    read_values,
    to_yaml,
)
from tfpipe.errors import UserError, UserErrors, did_you_mean, raise_all
from tfpipe.tasks import TASKS


def refused(values: dict[str, Any], config_class: type = TrainConfig) -> UserError:
    with pytest.raises(UserError) as caught:
        build(config_class, values)
    return caught.value


# ---- values ---------------------------------------------------------------------------------


def test_the_defaults_obey_their_own_rules() -> None:
    assert build(TrainConfig, {}) == TrainConfig()
    assert build(TrainConfig, dataclasses.asdict(TrainConfig())) == TrainConfig()


@pytest.mark.parametrize(
    "name,value,expected",
    [
        ("epochs", "3", 3),
        ("epochs", 3.0, 3),
        ("batch-size", "64", 64),
        ("batch_size", 64, 64),
        ("learning_rate", "1e-4", 1e-4),
        ("learning_rate", 1, 1.0),
        ("learning_rate", None, None),
        ("warmup", "0", 0.0),
        ("warmup", 1, 1.0),
        ("max_length", 4, 4),
        ("max_length", 512, 512),
        ("devices", 0, 0),
        ("deterministic", True, True),
        ("deterministic", "False", False),
        ("resume", "true", True),
        ("dev", 0.25, "0.25"),
        ("label", 2024, "2024"),
        ("train", "一.csv", "一.csv"),
        ("strategy", "mirrored", "mirrored"),
        ("abstain", 0.05, "0.05"),
        ("abstain", "oos", "oos"),
        ("abstain", None, None),
        ("long-text", "head_tail", "head_tail"),
    ],
)
def test_values_are_converted(name: str, value: Any, expected: Any) -> None:
    result = getattr(build(TrainConfig, {name: value}), name.replace("-", "_"))
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    "name,value,wrong",
    [
        ("task", "clasify", "--task has an unknown value"),
        ("strategy", "Mirrored", "--strategy has an unknown value"),
        ("epochs", 0, "--epochs is out of range"),
        ("max_length", 3, "--max-length is out of range"),
        ("max_length", "513", "--max-length is out of range"),
        ("warmup", 1.01, "--warmup is out of range"),
        ("warmup", "-0.1", "--warmup is out of range"),
        ("learning_rate", 0, "--learning-rate is out of range"),
        ("clip_norm", "0.0", "--clip-norm is out of range"),
        ("label_smoothing", 1, "--label-smoothing is out of range"),
        ("hidden_dropout", 1.0, "--hidden-dropout is out of range"),
        ("attention_dropout", -0.1, "--attention-dropout is out of range"),
        ("ema", 1, "--ema is out of range"),
        ("layer_decay", 0, "--layer-decay is out of range"),
        ("layer_decay", 1.1, "--layer-decay is out of range"),
        ("final_rate", 1.5, "--final-rate is out of range"),
        ("head_rate", 0, "--head-rate is out of range"),
        ("freeze_layers", -1, "--freeze-layers is out of range"),
        ("r_drop", -1, "--r-drop is out of range"),
        ("l2", "-1", "--l2 is out of range"),
        ("focal_gamma", -0.5, "--focal-gamma is out of range"),
        ("schedule_power", 0, "--schedule-power is out of range"),
        ("loss", "hinge", "--loss has an unknown value"),
        ("schedule", "step", "--schedule has an unknown value"),
        ("seed", -1, "--seed is out of range"),
        ("epochs", "three", "--epochs takes a whole number"),
        ("epochs", 2.5, "--epochs takes a whole number"),
        ("epochs", "2.0e0", "--epochs takes a whole number"),
        ("epochs", True, "--epochs takes a whole number"),
        ("epochs", [3], "--epochs takes a whole number"),
        ("epochs", float("inf"), "--epochs takes a whole number"),
        ("epochs", float("nan"), "--epochs takes a whole number"),
        ("epochs", "9" * 5000, "--epochs takes a whole number"),
        ("learning_rate", "nan", "--learning-rate takes a number"),
        ("learning_rate", float("inf"), "--learning-rate takes a number"),
        ("learning_rate", "-inf", "--learning-rate takes a number"),
        ("learning_rate", 10**400, "--learning-rate takes a number"),
        ("learning_rate", "1e-4x", "--learning-rate takes a number"),
        ("learning_rate", False, "--learning-rate takes a number"),
        ("learning_rate", {"rate": 1}, "--learning-rate takes a number"),
        ("deterministic", "maybe", "--deterministic takes true or false"),
        ("deterministic", 1, "--deterministic takes true or false"),
        ("label", ["a"], "--label takes a text"),
        ("label", False, "--label takes a text"),
        ("abstain", True, "--abstain takes a text"),
        ("abstain", "", "--abstain has no value"),
        ("long_text", "tail", "--long-text has an unknown value"),
        ("train", b"a.csv", "--train takes a text"),
        ("batch_size", None, "--batch-size has no value"),
        ("epochs", "", "--epochs has no value"),
        ("train", "", "--train has no value"),
        ("model", None, "--model has no value"),
    ],
)
def test_every_rule_is_told_in_three_parts(name: str, value: Any, wrong: str) -> None:
    error = refused({name: value})
    assert error.wrong == wrong
    assert error.found == ("nothing" if value in (None, "") else repr(value))
    assert error.fix


def test_a_choice_and_a_bound_are_named() -> None:
    error = refused({"task": "clasify"})
    assert error.fix == f"did you mean 'classify'? choose one of {', '.join(TASKS)}"
    assert refused({"max_length": 600}).fix == "give a value at most 512"
    assert refused({"learning_rate": -1}).fix == "give a value above 0"
    assert refused({"epochs": 0}).fix == "give a value at least 1"


def test_an_unknown_name_is_told_with_the_close_one() -> None:
    error = refused({"batchsize": 3})
    assert error.wrong == "there is no option 'batchsize'"
    assert error.fix.startswith("did you mean 'batch_size'")


def test_all_errors_are_told_at_once() -> None:
    before = UserError("first", "f", "x")
    with pytest.raises(UserErrors) as caught:
        build(TrainConfig, {"epochs": 0, "epoch": 1, "warmup": "much"}, [before])
    assert [error.wrong for error in caught.value.errors] == [
        "first",
        "--epochs is out of range",
        "there is no option 'epoch'",
        "--warmup takes a number",
    ]
    assert str(caught.value).count("to do:") == 4


@pytest.mark.parametrize(
    "values,wrong",
    [
        ({"focal_gamma": 1}, "--focal-gamma has no effect without --loss focal"),
        (
            {"schedule_power": 3, "schedule": "cosine"},
            "--schedule-power has no effect without --schedule polynomial",
        ),
        (
            {"loss": "focal", "label_smoothing": 0.1},
            "focal loss and label smoothing cannot be combined",
        ),
        ({"schedule": "constant", "final_rate": 0.1}, "--final-rate has no effect"),
        (
            {"r_drop": 1, "hidden_dropout": 0, "attention_dropout": 0},
            "R-Drop needs dropout",
        ),
        (
            {"workers": "a:1,b:2", "strategy": "mirrored"},
            "--workers has no effect without --strategy multi_worker",
        ),
        (
            {"worker_index": 0, "strategy": "parameter_server"},
            "--worker-index has no effect without --strategy multi_worker",
        ),
        (
            {"tpu": "local", "strategy": "one_device"},
            "--tpu has no effect without --strategy tpu",
        ),
        ({"tpu": "local", "workers": "a:1,b:2"}, "--tpu and --workers cannot be combined"),
        ({"devices": 2, "strategy": "one_device"}, "--strategy one_device uses one device"),
        ({"strategy": "tpu", "precision": "float16"}, "a TPU does not support float16"),
    ],
)
def test_what_does_not_go_together_is_told(values: dict[str, Any], wrong: str) -> None:
    error = refused(values)
    assert error.wrong.startswith(wrong)
    assert error.found and error.fix
    for name in values:
        # Each of them alone, or with the others at their defaults, is no mistake by itself.
        assert "--" + name.replace("_", "-") in f"{error.wrong} {error.found} {error.fix}"


# A value of each setting that means nothing to some task.
OTHER: dict[str, Any] = {
    "abstain": "auto",
    "long_text": "windows",
    "loss": "focal",
    "label_smoothing": 0.1,
    "r_drop": 1.0,
    "class_weights": "balanced",
    "rare_labels": "drop",
    "offsets": "utf16",
    "augment": "typos:0.1",
    "smoothness": 1.0,
    "teacher": "runs/teacher",
    "adversarial": "fgm",
}


@pytest.mark.parametrize("task", [task for task in TASKS if task != "classify"])
def test_what_means_nothing_to_a_task_is_told(task: str) -> None:
    assert "abstain" in TASKS[task].inapplicable and set(TASKS[task].inapplicable) <= set(OTHER)
    assert ("long_text" in TASKS[task].inapplicable) == (task in ("tag", "qa", "embed"))
    assert ("offsets" in TASKS[task].inapplicable) == (task != "tag")
    assert ("rare_labels" in TASKS[task].inapplicable) == (task in ("regress", "qa", "embed"))
    for name, value in OTHER.items():
        # Its default asks for nothing.
        build(TrainConfig, {"task": task, name: getattr(TrainConfig(), name)})
        if name not in TASKS[task].inapplicable:
            build(TrainConfig, {"task": task, name: value})
            continue
        flag = "--" + name.replace("_", "-")
        error = refused({"task": task, name: value})
        assert error.wrong == f"--task {task} has no {flag}: {TASKS[task].inapplicable[name]}"
        assert error.found == f"{flag} {value} with --task {task}"
        assert error.fix == f"leave out {flag}, or use another --task"
    both = refused({"task": task, "abstain": "0.1", "epochs": 0})
    assert isinstance(both, UserErrors) and len(both.errors) == 2


def test_classify_knows_all_settings_but_the_places_of_entities() -> None:
    assert [*TASKS["classify"].inapplicable] == ["offsets"]
    for name, value in OTHER.items() - {("offsets", "utf16")}:
        build(TrainConfig, {"task": "classify", name: value})


def test_what_goes_together_is_taken() -> None:
    for values in (
        {"loss": "focal", "focal_gamma": 1, "class_weights": "balanced"},
        {"schedule": "polynomial", "schedule_power": 3, "final_rate": 0.1},
        {"r_drop": 1, "hidden_dropout": 0},
        {"r_drop": 1, "label_smoothing": 0.1, "ema": 0.99, "l2": 0.01, "layer_decay": 0.9},
        {"freeze_layers": 2, "freeze_embeddings": True, "head_rate": 1e-3},
        {"workers": "a:1,b:2", "worker_index": 0},
        {"workers": "a:1,b:2", "worker_index": 1, "strategy": "multi_worker"},
        {"tpu": "local"},
        {"tpu": "local", "strategy": "tpu", "precision": "bfloat16"},
        {"devices": 1, "strategy": "one_device"},
        {"devices": 2, "strategy": "mirrored"},
    ):
        config = build(TrainConfig, values)
        assert build(TrainConfig, dataclasses.asdict(config)) == config


def test_conflicts_are_told_with_all_else_and_only_for_good_values() -> None:
    error = refused({"epochs": 0, "focal_gamma": 1, "schedule": "constant", "final_rate": 0.5})
    assert isinstance(error, UserErrors)
    assert [e.wrong.split()[0] for e in error.errors] == [
        "--epochs",
        "--focal-gamma",
        "--final-rate",
    ]
    # A refused --loss says nothing about what the focal loss's exponent was meant for.
    alone = refused({"loss": "focl", "focal_gamma": 1})
    assert alone.wrong == "--loss has an unknown value"


def test_what_must_be_given_is_told() -> None:
    error = refused({}, ExportConfig)
    assert isinstance(error, UserErrors)
    assert [e.wrong for e in error.errors] == ["RUN is missing", "--to is missing"]
    assert refused({}, EvaluateConfig).wrong == "RUN is missing"
    # A value that is there and wrong is reported once.
    assert refused({"run": "", "to": "models/a"}, ExportConfig).wrong == "RUN has no value"
    config = build(ExportConfig, {"run": "r", "to": "m/a", "version": "3"})
    assert config == ExportConfig(run="r", to="m/a", version=3)


def test_field_types() -> None:
    assert field_type(TrainConfig, "learning_rate") == (float, True)
    assert field_type(TrainConfig, "batch_size") == (int, False)


def test_every_field_has_help_and_a_group() -> None:
    for field in dataclasses.fields(TrainConfig):
        assert field.metadata["help"]
        groups = ("data", "model", "adapter", "devices", "processes", "training")
        groups += ("objective", "robustness", "rates", "run")
        assert field.metadata["group"] in groups


# ---- YAML -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(
            train="数据 'a' \"b\": #c.csv",
            label="no",
            text="1e5",
            text_pair="2024-01-01",
            dev="0.05",
            learning_rate=1e-5,
            deterministic=True,
            output="- x",
            model="null",
            abstain="0.05",
            long_text="windows",
        ),
    ],
)
def test_a_saved_configuration_comes_back_equal(tmp_path: Path, config: TrainConfig) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config), encoding="utf-8")
    assert build(TrainConfig, read_values(path)) == config


def test_an_empty_file_has_no_values(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# epochs: 3\n")
    assert read_values(tmp_path / "a.yaml") == {}


@pytest.mark.parametrize(
    "content,wrong",
    [
        (b"epochs: [3\n", "cannot be read"),
        (b"epochs: 3\n  batch: 4\n", "cannot be read"),
        (b"text: \xff\xfe\n", "cannot be read"),
        (b"text: a\0b\n", "cannot be read"),
        (b"text: 2024-99-99\n", "cannot be read"),
        (b"text: !!python/object:os.system x\n", "cannot be read"),
        (b"- epochs\n", "is not a table"),
        (b"epochs\n", "is not a table"),
        (b"3: 4\n", "is not a table"),
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, content: bytes, wrong: str) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_values(tmp_path / "a.yaml")
    assert wrong in caught.value.wrong
    assert caught.value.found.startswith(f"{tmp_path / 'a.yaml'}: ")
    assert "\n" not in caught.value.found


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing"):
        read_values(tmp_path / "a.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        read_values(tmp_path)


# ---- errors ---------------------------------------------------------------------------------


def test_an_error_shows_its_three_parts() -> None:
    assert str(UserError("a is wrong", "b", "do c")) == "a is wrong\n  found: b\n  to do: do c"


def test_errors_are_raised_together_and_flat() -> None:
    one, two, three = (UserError(name, "f", "x") for name in "abc")
    raise_all([])
    with pytest.raises(UserError) as caught:
        raise_all([one])
    assert caught.value is one
    with pytest.raises(UserErrors) as several:
        raise_all([UserErrors([one, two]), three])
    assert several.value.errors == [one, two, three]


def test_did_you_mean_keeps_the_known_spelling() -> None:
    assert did_you_mean("TXT", ["Text", "Label"]) == "did you mean 'Text'? "
    assert did_you_mean("xyz", ["Text", "Label"]) == ""
    assert did_you_mean("a", []) == ""

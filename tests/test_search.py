"""The search's command line: every mistake reported in three parts before anything is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from tests.studies import three_parts
from tests.support.commands import ROOT
from tests.support.data import write_messages
from tfpipe import cli
from tfpipe.cli import parser_for
from tfpipe.config import TrainConfig
from tfpipe.errors import UserError
from tuning import search
from tuning.config import RESERVED_SETTINGS, SearchConfig, training_fields
from tuning.search import main, parse_search, plan_study

SPACE = "learning_rate: {float: [1e-4, 1e-2], sampling: log}\nbatch_size: [8, 16]\n"
Refused = Callable[..., list[str]]
VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with data and a space, and an environment without a cluster."""
    monkeypatch.chdir(tmp_path)
    for name in ("TF_CONFIG", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
    write_messages(tmp_path / "messages.tsv", rows=30)
    (tmp_path / "space.yaml").write_text(SPACE)
    yield tmp_path


@pytest.fixture
def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """refused(flags): what is wrong, by its sentences; nothing was written and nothing printed."""

    def run(*flags: str, reported: str = "", output: str = "study") -> list[str]:
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        fixed = ["--space=space.yaml", "--train=messages.tsv", f"--output={output}"]
        assert main([*fixed, *flags]) == 2
        captured = capsys.readouterr()
        wrong = three_parts(captured.err)
        assert captured.out == "" and reported in captured.err, captured.err
        after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert after == before and not (folder / "studies").exists()
        assert not (folder / "study").is_dir() or output != "study"
        return wrong

    return run


def parsed(*arguments: str) -> tuple[SearchConfig, dict]:
    parser = parser_for(SearchConfig, "tuning.search", "about", "example", training_fields())
    return parse_search(parser, arguments)


# ---- what is searched -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "hint"),
    [
        ("dev.acuracy", "did you mean 'dev.accuracy'?"),
        ("accuracy", "did you mean 'dev.accuracy'?"),
        ("dev.pearson", "choose one of dev.accuracy, dev.macro_f1, dev.weighted_f1, dev.loss"),
        ("test.accuracy", "choose one of"),
        ("dev.", "choose one of"),
        ("dev.dev.accuracy", "choose one of"),
    ],
)
def test_an_objective_that_the_task_does_not_have(
    refused: Refused, objective: str, hint: str
) -> None:
    assert refused("--objective", objective, reported=hint) == ["the task has no such objective"]


def test_the_objectives_of_a_task() -> None:
    directions = {
        objective: plan_study(*parsed("--space=space.yaml", "--objective", objective))[0].direction
        for objective in ("dev.accuracy", "dev.macro_f1", "dev.loss")
    }
    assert directions == {"dev.accuracy": "max", "dev.macro_f1": "max", "dev.loss": "min"}
    assert plan_study(*parsed("--space=space.yaml"))[0].objective == "dev.accuracy"


@pytest.mark.parametrize(
    "flags",
    [
        ("--trials", "0"),
        ("--trials", "-3"),
        ("--jobs", "0"),
        ("--seeds", "0"),
        ("--trial-timeout", "-1"),
        ("--same-errors", "0"),
        ("--processes", "0"),
        ("--servers", "-1"),
        ("--lease", "1"),
        ("--patience", "-5"),
        ("--price", "-0.1"),
    ],
)
def test_a_number_out_of_range(refused: Refused, flags: tuple[str, str]) -> None:
    assert refused(*flags) == [f"{flags[0]} is out of range"]


def test_a_grid_larger_than_the_trials_tells_its_size(refused: Refused, folder: Path) -> None:
    (folder / "space.yaml").write_text(
        "batch_size: [8, 16, 32]\nwarmup: {float: [0, 0.4], step: 0.1}\nloss: [cross_entropy,"
        " focal]\nfocal_gamma: {choice: [1, 2, 3], when: {loss: focal}}\n"
    )
    wrong = refused(
        "--algorithm", "grid", "--trials", "59", reported="60 combinations, --trials 59"
    )
    assert wrong == ["the grid is larger than the trials allow"]
    refused("--algorithm", "grid", "--trials", "20", reported="give --trials 60")
    given = ("--space=space.yaml", "--algorithm=grid", "--trials=60")
    assert plan_study(*parsed(*given))[0].space.grid_size() == 60


def test_a_grid_over_a_range_without_steps(refused: Refused) -> None:
    wrong = refused("--algorithm", "grid", "--trials", "999", reported="learning_rate")
    assert wrong == ["a grid needs values to take in turn"]


def test_hyperband_has_a_rule_of_its_own(refused: Refused) -> None:
    for rule in ("median", "none"):
        wrong = refused("--algorithm", "hyperband", "--stop-poor", rule)
        assert wrong == ["hyperband stops poor trials by its own halving"]


@pytest.mark.parametrize(
    ("text", "epochs", "most"),
    [
        ("epochs: {int: [2, 6]}\n", (), 6),
        ("epochs: [3, 5, 4]\n", (), 5),
        ("epochs: 4\n", (), 4),
        ("", ("--epochs=7",), 7),
        ("epochs: [3, 5, 4]\n", ("--epochs=7",), 7),
        ("", (), search.HYPERBAND_EPOCHS),
    ],
)
def test_hyperband_takes_the_epochs_for_its_longest_trials(
    folder: Path, text: str, epochs: tuple[str, ...], most: int
) -> None:
    (folder / "space.yaml").write_text(SPACE + text)
    given = ("--space=space.yaml", "--algorithm=hyperband", *epochs)
    plan, _ = plan_study(*parsed(*given))
    assert plan.epochs == plan.space.fixed["epochs"] == most
    assert [one.name for one in plan.space.parameters] == ["learning_rate", "batch_size"]


# ---- options --------------------------------------------------------------------------------


def test_mistakes_everywhere_are_told_at_once(refused: Refused, folder: Path) -> None:
    (folder / "space.yaml").write_text("lerning_rate: [1]\nepochs: {int: [6, 2]}\n")
    reported = refused("--trails", "3", "--nonsense", "--trials", "x", "--warmup", "2", "--jbos=4")
    assert sorted(reported) == sorted(
        [
            "there is no option '--trails'",
            "there is no option '--nonsense'",
            "there is no option '--jbos'",
            "--trials takes a whole number",
            "--warmup is out of range",
            "there is no training setting 'lerning_rate'",
            "the range ends before it begins",
        ]
    )


def test_objective_grid_and_environment_are_told_at_once(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", "{}")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "localhost")
    flags = ("--objective=dev.f1", "--algorithm=grid", "--strategy=multi_worker")
    assert len(refused(*flags)) == 5


def test_a_misspelt_option_has_a_hint(refused: Refused) -> None:
    refused("--trial", "3", reported="did you mean --trials")
    refused("--lerning-rate=3", reported="did you mean --learning-rate")
    refused("--algorithm", "bayes", reported="did you mean 'bayesian'?")
    assert refused("--trials") == ["--trials has no value"]
    assert refused("study") == ["unexpected argument"]


@pytest.mark.parametrize("name", sorted(set(RESERVED_SETTINGS) - {"output", "json", "dry_run"}))
def test_what_the_study_sets_itself(refused: Refused, name: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    value = ["3"] if name != "resume" else []
    assert refused(flag, *value, reported=RESERVED_SETTINGS[name]) == [
        f"{flag} is set by the study itself"
    ]


def test_retrain_on_says_nothing_alone(refused: Refused) -> None:
    assert refused("--retrain-on", "train+dev") == ["--retrain-on has no effect without --retrain"]
    assert refused("--retrain", "--retrain-on", "dev") == ["--retrain-on has an unknown value"]


def test_what_the_space_refuses(refused: Refused) -> None:
    assert refused("--space=none.yaml", reported="--space default") == ["the space file is missing"]
    wrong = refused("--learning-rate=1e-3", "--batch-size=8")
    assert wrong == ["there is nothing to search: no setting varies"]


# ---- a flag fixes what varies ---------------------------------------------------------------


def test_a_flag_fixes_what_the_space_varies() -> None:
    config, given = parsed("--space", "space.yaml", "--batch-size", "4", "--trials=3", "--seeds=2")
    plan, _ = plan_study(config, given)
    assert (config.trials, config.seeds) == (3, 2)
    assert [one.name for one in plan.space.parameters] == ["learning_rate"]
    assert plan.space.fixed["batch_size"] == 4


def test_a_configuration_file_has_settings_of_both_kinds(folder: Path, refused: Refused) -> None:
    (folder / "search.yaml").write_text(
        "space: space.yaml\ntrials: 5\nstop-poor: none\nbatch_size: 8\nmax-length: 16\n"
    )
    config, given = parsed("--config", "search.yaml", "--trials", "7", "--max-length=32")
    assert (config.space, config.trials, config.stop_poor) == ("space.yaml", 7, "none")
    assert given == {"batch_size": 8, "max_length": "32"}
    (folder / "search.yaml").write_text("trials: 0\nbatch_size: x\nresume: true\ntrails: 2\n")
    assert sorted(refused("--config", "search.yaml")) == [
        "--batch-size takes a whole number",
        "--resume is set by the study itself",
        "--trials is out of range",
        "there is no option 'trails'",
    ]


def test_every_training_setting_is_an_option_or_has_a_reason() -> None:
    taken = {field.name for _, field in training_fields()}
    own = {field.name for field in fields(SearchConfig)}
    assert taken | set(RESERVED_SETTINGS) == set(TrainConfig.__dataclass_fields__)
    assert not taken & own and not taken & set(RESERVED_SETTINGS)


# ---- the surroundings -----------------------------------------------------------------------


def test_a_cluster_in_the_environment(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {}}')
    assert refused(reported="TF_CONFIG") == ["a trial cannot be one process of a cluster"]


@pytest.mark.parametrize("strategy", ["multi_worker", "parameter_server"])
def test_a_strategy_of_several_processes(refused: Refused, strategy: str) -> None:
    wrong = refused("--strategy", strategy, reported="--processes 2")
    assert wrong == [f"--strategy {strategy} needs several processes a trial"]
    plan_study(*parsed("--space=space.yaml", "--strategy", strategy, "--processes", "2"))


@pytest.mark.parametrize("missing", VARIABLES)
def test_keras_tuners_variables_are_all_there_or_none(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in set(VARIABLES) - {missing}:
        monkeypatch.setenv(name, "1")
    wrong = refused(reported=f"not {missing}")
    assert wrong == ["a search on several machines needs all three variables of Keras Tuner"]


# ---- the data -------------------------------------------------------------------------------


def test_data_that_cannot_be_trained_on(refused: Refused, folder: Path) -> None:
    refused("--train=none.tsv", reported="none.tsv")
    refused("--dev=none.tsv", reported="none.tsv")
    refused("--text=words", reported="words")
    (folder / "empty.tsv").touch()
    refused("--train=empty.tsv", reported="empty.tsv")
    (folder / "header.tsv").write_text("text\tlabel\n")
    refused("--train=header.tsv", reported="header.tsv")
    (folder / "one.tsv").write_text("text\tlabel\n" + "a\tyes\nb\tyes\n" * 20)
    refused("--train=one.tsv", reported="yes")


# ---- the study's folder ---------------------------------------------------------------------


def test_a_folder_that_cannot_be_the_studys(refused: Refused, folder: Path) -> None:
    (folder / "file").write_text("mine")
    assert refused(output="file") == ["the output folder cannot be written"]
    assert refused(output="file/inside") == ["the output folder cannot be written"]
    (folder / "other").mkdir()
    (folder / "other" / "thesis.txt").write_text("mine")
    wrong = refused(output="other", reported="thesis.txt")
    assert wrong == ["the output folder exists and is no study"]


def test_a_folder_of_another_study(
    refused: Refused, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuning.study import Study

    fixed = ("--space=space.yaml", "--train=messages.tsv")
    Study(folder / "other", plan_study(*parsed(*fixed))[0]).open()
    other = "the folder has another study"
    assert refused("--objective=dev.loss", output="other", reported="dev.loss") == [other]
    assert refused("--algorithm=random", output="other", reported="algorithm is") == [other]
    assert refused("--seeds=2", output="other", reported="seeds is 2") == [other]
    assert refused("--seed=2", output="other", reported="texts or labels of train") == [other]
    reported = "batch_size was one of 8, 16, and is fixed at 8"
    assert refused("--batch-size=8", output="other", reported=reported) == [other]
    (folder / "space.yaml").write_text(SPACE.replace("1e-2", "1e-3"))
    assert refused(output="other", reported="learning_rate was float from") == [other]
    (folder / "space.yaml").write_text(SPACE)
    write_messages(folder / "messages.tsv", rows=33)
    assert refused(output="other", reported="the texts or labels of train are others") == [other]
    (folder / "other" / "study.json").write_text("{")
    assert refused(output="other", reported="study.json") == ["the study's file cannot be read"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"trials": [], "seed": 1}', "\0"])
def test_a_damaged_state_is_told(folder: Path, content: str) -> None:
    from tuning.study import Study
    from tuning.study_runner import StudyRunner

    config, given = parsed("--space=space.yaml", "--train=messages.tsv")
    study = Study(folder / "study", plan_study(config, given)[0])
    study.open()
    state = folder / "study" / "oracle" / "oracle.json"
    state.parent.mkdir()
    state.write_text(content)
    with pytest.raises(UserError) as caught:
        StudyRunner(config, study, ["python"]).resume()
    assert caught.value.wrong == "the study's state cannot be read"
    assert "oracle.json" in caught.value.found
    assert state.read_text() == content


# ---- help -----------------------------------------------------------------------------------

HELP = """
import runpy, sys
sys.argv = ["x", "--help"]
try:
    runpy.run_module("tuning.search", run_name="__main__", alter_sys=True)
except SystemExit as stop:
    heavy = {"tensorflow", "keras_tuner", "numpy", "yaml", "sklearn", "grpc", "transformers"}
    print("heavy:", sorted(heavy & set(sys.modules)), stop.code)
"""


def test_help_is_complete_and_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("heavy: [] 0\n")
    shown = " ".join(done.stdout.split())
    assert "example: python -m tuning.search " in shown
    for name in {field.name for field in fields(SearchConfig)} | {
        field.name for _, field in training_fields()
    }:
        assert re.search(rf" --{name.replace('_', '-')}[ ,]", shown), name
    for name in ("resume", "stop-after", "best-by", "workers"):
        assert f"[--{name}" not in shown, name


def test_tfpipe_tune_is_the_same_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["tune", "--help"])
    assert caught.value.code == 0
    assert "python -m tuning.search" in capsys.readouterr().out
    assert cli.main(["tune", "--trials", "0", "--train=messages.tsv"]) == 2
    assert three_parts(capsys.readouterr().err) == ["--trials is out of range"]


def test_the_command_of_a_process_of_its_own(folder: Path) -> None:
    # All mistakes above are reported in this process; this one shows that they are in any.
    command = [sys.executable, "-m", "tuning.search", "--trails", "3", "--trials", "0"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == ""
    assert len(three_parts(done.stderr)) == 2 and "did you mean --trials" in done.stderr
    assert not (folder / "studies").exists()

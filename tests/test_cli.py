"""The command line: flags, files, exit statuses, and --help without TensorFlow."""

from __future__ import annotations

import dataclasses
import errno
import importlib.util
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tfpipe import cli
from tfpipe.config import EvaluateConfig, TrainConfig, to_yaml
from tfpipe.errors import Interrupted, UserError, UserErrors

ROOT = Path(__file__).parents[1]


def parse_train(*arguments: str) -> TrainConfig:
    parser = cli.parser_for(TrainConfig, "tfpipe.train", "about", "example")
    return cli.parse(parser, TrainConfig, arguments)


def parse_evaluate(*arguments: str) -> EvaluateConfig:
    parser = cli.parser_for(EvaluateConfig, "tfpipe.evaluate", "about", "example")
    return cli.parse(parser, EvaluateConfig, arguments)


def wrongs(*arguments: str, parse: Callable = parse_train) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse(*arguments)
    return [error.wrong for error in getattr(caught.value, "errors", [caught.value])]


# ---- flags ----------------------------------------------------------------------------------


def test_no_flag_gives_the_defaults() -> None:
    assert parse_train() == TrainConfig()


@pytest.mark.parametrize(
    "arguments", [("--batch-size", "8"), ("--batch-size=8",), ("--batch_size", "8")]
)
def test_a_flag_in_every_spelling(arguments: tuple[str, ...]) -> None:
    assert parse_train(*arguments) == TrainConfig(batch_size=8)


def test_switches_have_a_no() -> None:
    found = [parse_train(*flags).header for flags in ((), ("--header",), ("--no-header",))]
    assert found == [None, True, False]
    assert parse_evaluate("runs/a", "--data", "a", "--no-header").header is False
    assert parse_train("--deterministic", "--resume").deterministic is True
    assert parse_train("--deterministic", "--no-deterministic").deterministic is False


def test_a_positional_may_stand_anywhere() -> None:
    expected = EvaluateConfig(run="runs/a", data="d.csv", json=True)
    assert parse_evaluate("runs/a", "--data", "d.csv", "--json") == expected
    assert parse_evaluate("--json", "--data", "d.csv", "runs/a") == expected
    assert wrongs("--json", parse=parse_evaluate) == ["RUN is missing"]


def test_a_value_may_begin_with_a_dash() -> None:
    assert parse_train("--text", "-text-").text == "-text-"
    assert parse_train("--text=--text").text == "--text"
    assert wrongs("--learning-rate", "-1e-4") == ["--learning-rate is out of range"]


def test_a_forgotten_value_is_told_with_all_other_errors() -> None:
    assert wrongs("--train", "--epochs", "0", "--epoch", "3", "more", "--model") == [
        "unexpected argument",
        "--train has no value",
        "--epochs is out of range",
        "--model has no value",
        "there is no option '--epoch'",
    ]


def test_a_flag_that_may_stand_alone() -> None:
    for arguments in (("--abstain",), ("--abstain", "--epochs", "2"), ("--epochs=2", "--abstain")):
        config = parse_train(*arguments)
        assert config.abstain == "auto"
        assert config.epochs == (2 if len(arguments) > 1 else TrainConfig().epochs)
    for arguments in (("--abstain", "0.05"), ("--abstain=0.05",)):
        assert parse_train(*arguments).abstain == "0.05"
    assert parse_train("--abstain", "out of scope").abstain == "out of scope"
    assert parse_train().abstain is None
    # An empty value is forgotten, not left out, and no other flag may stand alone.
    assert wrongs("--abstain=") == ["--abstain has no value"]
    alone = [field.name for field in dataclasses.fields(TrainConfig) if field.metadata.get("alone")]
    assert alone == ["abstain"]


def test_abbreviations_and_unknown_flags_are_refused_with_a_hint() -> None:
    with pytest.raises(UserError) as caught:
        parse_train("--batch", "8")
    assert caught.value.wrong == "there is no option '--batch'"
    with pytest.raises(UserError) as caught:
        parse_train("--epoch=3")
    assert caught.value.found == "--epoch: '3'"
    assert caught.value.fix == "did you mean --epochs? all are listed by --help"


def test_near_options_alone_are_proposed() -> None:
    with pytest.raises(UserError) as caught:
        parse_train("--freeze-layer", "2")
    assert caught.value.fix == "did you mean --freeze-layers? all are listed by --help"
    with pytest.raises(UserError) as caught:
        parse_train("--zzz", "2")
    assert caught.value.fix == "all are listed by --help"


def test_one_thing_can_be_given_by_each_of_its_names(tmp_path: Path) -> None:
    for flag in ("--output", "--out", "--to"):
        assert parse_train(flag, "runs/a").output == "runs/a"
    expected = EvaluateConfig(run="runs/a", data="d.csv", text="body")
    assert parse_evaluate("runs/a", "--file", "d.csv", "--column=body") == expected
    path = tmp_path / "a.yaml"
    path.write_text("file: e.csv\ncolumn: body\n")
    assert parse_evaluate("runs/a", "--config", str(path), "--data", "d.csv") == expected


def test_a_switch_with_a_value_is_refused_in_three_parts() -> None:
    with pytest.raises(UserError) as caught:
        parse_train("--resume=yes")
    assert "--resume" in caught.value.found


# ---- --config -------------------------------------------------------------------------------


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("epochs: 2\nbatch-size: 8\nlearning_rate: 1e-4\ndeterministic: true\n")
    assert parse_train("--config", str(path)) == TrainConfig(
        epochs=2, batch_size=8, learning_rate=1e-4, deterministic=True
    )
    config = parse_train("--epochs", "5", "--config", str(path), "--no-deterministic")
    assert (config.epochs, config.batch_size, config.deterministic) == (5, 8, False)
    # What the flag replaces is not held against the user.
    path.write_text("epochs: 0\n")
    assert parse_train("--config", str(path), "--epochs", "1").epochs == 1


def test_a_flag_alone_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("abstain: oos\n", encoding="utf-8")
    assert parse_train("--config", str(path)).abstain == "oos"
    assert parse_train("--config", str(path), "--abstain").abstain == "auto"
    assert parse_train("--abstain", "--config", str(path)).abstain == "auto"


def test_a_saved_configuration_is_taken_back(tmp_path: Path) -> None:
    config = TrainConfig(train="a b.csv", epochs=2, learning_rate=3e-5, output="r")
    (tmp_path / "a.yaml").write_text(to_yaml(config))
    assert parse_train(f"--config={tmp_path / 'a.yaml'}") == config


def test_errors_of_file_and_flags_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("epochs: [1]\nepoch: 2\n")
    assert wrongs("--config", str(path), "--warmup", "2") == [
        "--epochs takes a whole number",
        "there is no option 'epoch'",
        "--warmup is out of range",
    ]
    assert wrongs("--config", str(tmp_path / "none.yaml"), "--warmup", "2") == [
        "the configuration file is missing",
        "--warmup is out of range",
    ]
    assert wrongs("--config") == ["the configuration file cannot be read"]


# ---- running --------------------------------------------------------------------------------


def raiser(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


def test_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(lambda: None) == 0
    assert cli.run(raiser(UserError("w", "f", "x"))) == 2
    assert capsys.readouterr().err == "error: w\n  found: f\n  to do: x\n"
    two = UserErrors([UserError("a", "f", "x"), UserError("b", "f", "x")])
    assert cli.run(raiser(two)) == 2
    assert capsys.readouterr().err.count("error: ") == 2
    assert cli.run(raiser(KeyboardInterrupt())) == 130
    assert cli.run(raiser(Interrupted(143, "go on with: resume"))) == 143
    assert "go on with: resume" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        cli.run(raiser(ZeroDivisionError()))


def test_figures_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    cli.print_metrics({"accuracy": 0.91234, "examples": 10}, prefix="dev.")
    assert capsys.readouterr().out == "dev.accuracy\t0.9123\ndev.examples\t10\n"
    cli.print_metrics({"accuracy": 0.91234}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"accuracy": 0.91234}


def test_a_format_of_standard_error_is_for_its_block(capsys: pytest.CaptureFixture[str]) -> None:
    from tfpipe.export import ElapsedTime

    cli.log_to_stderr()
    capsys.readouterr()
    with cli.stderr_format(ElapsedTime()):
        logging.getLogger("tfpipe.exporting.gate").info("within")
        logging.getLogger("tfpipe.training.trainer").info("of another package")
    logging.getLogger("tfpipe.export").info("after")
    assert capsys.readouterr().err == "  0.0 s: within\nof another package\nafter\n"


@pytest.mark.parametrize("module", [module for module, _ in cli.VERBS.values()])
def test_commands_log_under_their_own_name(module: str) -> None:
    # `python -m` runs them as __main__, whose log goes nowhere.
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    assert "getLogger(__name__)" not in Path(spec.origin).read_text(encoding="utf-8")


def test_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in cli.VERBS)
    assert cli.main(["trian"]) == 2
    error = capsys.readouterr().err
    assert "did you mean 'train'?" in error
    assert "found: trian" in error
    assert cli.main(["train", "--epochs", "x"]) == 2
    assert "--epochs takes a whole number" in capsys.readouterr().err


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_leads_to_a_command(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(importlib.import_module(cli.VERBS[verb][0]).main)
    with pytest.raises(SystemExit) as caught:
        cli.main([verb, "--help"])
    assert caught.value.code == 0
    assert "usage:" in capsys.readouterr().out


HEAVY = "{'tensorflow', 'transformers', 'numpy', 'yaml', 'pyarrow', 'tf_keras', 'matplotlib'}"
HELP = f"""
import runpy, sys
sys.argv = ["x", "--help"]
try:
    runpy.run_module("MODULE", run_name="__main__", alter_sys=True)
except SystemExit as stop:
    print("\\nheavy:", sorted({HEAVY} & set(sys.modules)), stop.code)
"""


MODULES = ["tfpipe.train", "tfpipe.evaluate", "tfpipe.predict", "tfpipe.export", "tfpipe.doctor"]
MODULES += ["tfpipe.compare", "tfpipe.ask", "tfpipe.report", "tfpipe.runs"]


@pytest.mark.parametrize("module", MODULES)
def test_help_is_complete_and_imports_nothing_heavy(module: str) -> None:
    code = HELP.replace("MODULE", module)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("heavy: [] 0\n")
    assert f"example:\n  python -m {module} " in done.stdout
    if module == "tfpipe.train":
        for field in TrainConfig.__dataclass_fields__:
            assert f"--{field.replace('_', '-')}" in done.stdout


def test_a_command_told_something_wrong_ends_with_2_and_no_traceback() -> None:
    command = [sys.executable, "-m", "tfpipe.train", "--epochs", "x", "--wramup", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 2
    assert "did you mean --warmup?" in done.stderr


def test_a_full_disk_is_told(capsys: pytest.CaptureFixture) -> None:
    def command() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a/config.yaml")

    assert cli.run(command) == 2
    reported = capsys.readouterr().err
    assert (
        "the disk is full" in reported and "runs/a/config.yaml" in reported and "to do:" in reported
    )

"""`tfpipe.runs`: runs with figures and differing settings, sorted, filtered, and fitted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfpipe.config import TrainConfig, to_yaml
from tfpipe.run_listing import find_runs
from tfpipe.runs import as_table, fit, main
from tfpipe.text_display import align_columns, display_width

RUNS = {
    "a": ({"seed": 1, "learning_rate": 2e-5}, {"accuracy": 0.5, "loss": 0.9, "examples": 10}),
    "客服": ({"seed": 2, "learning_rate": 3e-4}, {"accuracy": 0.875, "loss": 0.4, "examples": 10}),
    "folds/fold-1": ({"seed": 1, "task": "regress"}, {"mae": 0.25, "loss": 0.1, "examples": 9}),
    "begun": ({"seed": 3}, None),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "runs"
    for number, (name, (settings, dev)) in enumerate(RUNS.items()):
        run = top / name
        run.mkdir(parents=True)
        config = TrainConfig(**settings, output=str(run))
        (run / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
        (run / "data.json").write_text("{}")
        if dev:
            (run / "metrics.json").write_text(json.dumps({"dev": dev}))
        for file in run.iterdir():
            os.utime(file, (1e9 + 60 * number,) * 2)
    (top / "model").mkdir()
    (top / "model" / "config.json").write_text("{}")
    return top


def listed(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict]:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["runs"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["begun", "folds/fold-1", "客服", "a"]),
        (["--sort", "dev.accuracy"], ["客服", "a", "begun", "folds/fold-1"]),
        (["--sort", "dev.loss"], ["folds/fold-1", "客服", "a", "begun"]),
        (["--sort", "learning_rate"], ["a", "客服", "begun", "folds/fold-1"]),
        (["--filter", "fold"], ["folds/fold-1"]),
        (["--filter", "task=classify,dev.accuracy>=0.6"], ["客服"]),
        (["--filter", "seed=1", "--filter", "dev.loss<0.5"], ["folds/fold-1"]),
    ],
)
def test_runs_are_sorted_and_filtered(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], names: list[str]
) -> None:
    assert [one["name"] for one in listed(capsys, folder, *arguments)] == names


def test_figures_and_the_settings_that_differ(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {one["name"]: one for one in listed(capsys, folder, "--filter", "task=classify")}
    assert found["客服"]["dev"] == RUNS["客服"][1] and "dev" not in found["begun"]
    assert found["a"]["differing"] == {"seed": 1, "learning_rate": 2e-5}
    assert [one["finished"] for one in found.values()] == [False, True, True]
    assert main([str(folder)]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    columns = ["name", "task", "model", "date", "dev.mae", "dev.accuracy"]
    assert heading.split() == [*columns, "learning_rate", "seed", "dev.loss"]
    assert "unfinished" in lines[0] and lines[2].split()[-4:] == ["0.875", "0.0003", "2", "0.4"]


def test_a_table_fits_a_terminal(folder: Path) -> None:
    table = as_table(find_runs(folder))
    for width in (10, 40, 60, 80, 200):
        kept, left_out = fit(table, width)
        assert [*kept[0], *left_out] == table[0] and kept[0][0] == "name"
        lines = list(align_columns(kept))
        assert max(map(display_width, lines)) <= max(width, display_width("folds/fold-1"))


def test_what_is_wrong_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, reported in (
        ([str(folder), "--sort", "dev.accurcy"], "did you mean 'dev.accuracy'"),
        ([str(folder), "--filter", "sede=1"], "did you mean 'seed'"),
        ([str(folder / "none")], "folder of runs is missing"),
    ):
        assert main(arguments) == 2
        assert reported in capsys.readouterr().err
    assert main([str(folder / "model")]) == 0
    assert "no runs in" in capsys.readouterr().err
    (folder / "a" / "metrics.json").write_text("{")
    (folder / "a" / "config.yaml").write_text("{")
    assert not next(one for one in listed(capsys, folder) if one["name"] == "a")["finished"]


def test_listing_imports_no_tensorflow(folder: Path) -> None:
    script = f"""
import sys
from tfpipe.runs import main
assert main([{str(folder)!r}]) == 0
assert not {{"tensorflow", "numpy", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)

"""`tfpipe.evaluate`: an export's metrics equal its run's, and each label has its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.data import write_messages
from tests.support.exports import exported
from tests.support.runs import finished_run
from tfpipe.evaluate import main


def test_each_label_of_a_run_and_its_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_messages(tmp_path / "fresh.tsv", rows=60, seed=9)
    # Half of the weather rows are said to be about cards: their recall is that of the others.
    lines = data.read_text(encoding="utf-8").splitlines()
    lines = [
        line.replace("\tweather", "\tcard") if number % 2 else line
        for number, line in enumerate(lines)
    ]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = []
    for folder in (finished_run("classify").folder, exported("classify").folder.parent):
        assert main([str(folder), "--data", str(data), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    labels = {row["label"]: row for row in found[0]["labels"]}
    assert [row["rows"] for row in labels.values()] == [30, 20, 10]
    assert labels["card"]["recall"] == pytest.approx(2 / 3, abs=0.1)
    assert labels["weather"]["precision"] == pytest.approx(1 / 2, abs=0.1)
    of_run, of_export = found
    assert of_export.pop("loss") == pytest.approx(of_run.pop("loss"), abs=1e-4)
    assert of_run == of_export and of_run["examples"] == 60

    assert main([str(folder), "--data", str(data)]) == 0
    figures, table = capsys.readouterr().out.split("\n\n")
    assert f"accuracy\t{of_run['accuracy']:.4f}" in figures
    heading, card, *others = table.splitlines()
    assert heading.split() == ["precision", "recall", "f1", "rows", "label"] and len(others) == 2
    shown = [f"{labels['card'][name]:.4f}" for name in ("precision", "recall", "f1")]
    assert card.split() == [*shown, "30", "card"]


def test_numbers_have_no_labels(capsys: pytest.CaptureFixture[str]) -> None:
    run = str(finished_run("regress").folder)
    assert main([run, "--json"]) == 0
    assert "labels" not in json.loads(capsys.readouterr().out)
    assert main([run]) == 0
    assert "precision" not in capsys.readouterr().out


def test_an_export_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(exported("classify").folder)]) == 2
    assert "give a labelled file with --data" in capsys.readouterr().err

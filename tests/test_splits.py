"""Files read as the parts of a run, and all their faults reported at once."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.support.data import write_entities, write_label_sets, write_questions
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.labels import OneLabel
from tfpipe.data.splits import is_share, read_for, read_splits, refuse_other_inputs
from tfpipe.errors import UserError, UserErrors
from tfpipe.tasks import TASKS


def write(path: Path, *rows: str) -> str:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def table(path: Path, rows: int = 20) -> str:
    return write(path, "text,label", *(f"text {i},{'xy'[i % 2]}" for i in range(rows)))


def refused(train: str, dev: str, test: str | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        read_splits(train, dev, test, Columns(), seed=1)
    return caught.value


def test_a_share_of_train_becomes_dev(tmp_path: Path) -> None:
    train = table(tmp_path / "a.csv")
    parts = read_splits(train, "0.2", None, Columns(), seed=1)
    assert (len(parts.train), len(parts.dev), parts.test) == (16, 4, None)
    assert parts.dev.path == f"0.2 of {train}, cut with seed 1"
    assert [len(part) for part in parts] == [16, 4]
    other = read_splits(train, "0.2", None, Columns(), seed=2)
    assert other.dev.texts != parts.dev.texts


def test_all_that_is_wrong_with_train_is_told(tmp_path: Path) -> None:
    word = "x" * 2000
    train = write(tmp_path / "a.csv", "text,label", "a,x", f"see {word},x")
    error = refused(train, "0.2")
    assert isinstance(error, UserErrors)
    assert [one.wrong for one in error.errors] == [
        "a text holds a word that is far too long to be one",
        "there is only one label, so there is nothing to learn",
    ]


def test_three_files(tmp_path: Path) -> None:
    names = [table(tmp_path / f"{n}.csv", rows=n) for n in (20, 8, 6)]
    parts = read_splits(names[0], names[1], names[2], Columns(), seed=1)
    assert [(len(part), part.path) for part in parts] == list(zip((20, 8, 6), names, strict=True))


def test_dev_may_be_the_train_file_itself(tmp_path: Path) -> None:
    train = table(tmp_path / "a.csv")
    assert read_splits(train, train, train, Columns(), seed=1).dev.texts[0] == "text 0"


@pytest.mark.parametrize(
    "value,expected", [("0.1", True), ("1e-3", True), (".5", True), ("a.csv", False)]
)
def test_a_share_is_a_number(value: str, expected: bool) -> None:
    assert is_share(value) is expected


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "10", "nan", "inf"])
def test_a_share_is_between_0_and_1(value: str) -> None:
    with pytest.raises(UserError) as caught:
        is_share(value)
    assert caught.value.found == value


def test_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "text,label", "a,x", "b,x", "c,once", f"{'d' * 5000},x")
    error = refused(train, str(tmp_path / "none.csv"), write(tmp_path / "c.csv", "text", "t"))
    assert isinstance(error, UserErrors)
    assert [e.wrong.split(str(tmp_path))[0] for e in error.errors] == [
        "a text holds a word that is far too long to be one",
        "a label that occurs once cannot be learnt and checked",
        "the data file is missing",
        "no label column was found in ",
    ]


def test_a_missing_train_file_is_the_one_error(tmp_path: Path) -> None:
    error = refused(str(tmp_path / "none.csv"), "0.1")
    assert not isinstance(error, UserErrors)
    assert error.wrong == "the data file is missing"


def test_pairs_and_single_texts_do_not_mix(tmp_path: Path) -> None:
    single = table(tmp_path / "a.csv")
    pairs = write(tmp_path / "b.csv", "text_a,text_b,label", *["a,b,x", "c,d,y"] * 3)
    error = refused(single, pairs)
    assert error.wrong == "the model reads single texts"
    assert "b.csv, columns 'text_a', 'text_b'" in error.found
    assert refused(pairs, single).wrong == "the model reads text pairs"
    refuse_other_inputs(Examples(["a"], ["b"], None, "f", Columns()), pairs=True)


# ---- files of one task ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "task,owner,ending",
    [
        *[(task, "tag", ".conll") for task in TASKS if task != "tag"],
        *[(task, "qa", ".json") for task in TASKS if task != "qa"],
    ],
)
def test_a_format_of_another_task_is_refused(
    task: str, owner: str, ending: str, tmp_path: Path
) -> None:
    data = tmp_path / f"a{ending}"
    (write_entities if owner == "tag" else write_questions)(data, rows=8)
    broken = tmp_path / f"b{ending}"
    broken.write_text('{"data": [{"text": "a", "label": "b"}]', encoding="utf-8")
    # It is of no use to know how a file is broken that is of another task all the same.
    for path in (data, broken):
        errors = []
        for read in (
            lambda path=path: read_for(str(path), Columns(), TASKS[task].rules),
            lambda path=path: read_splits(str(path), "0.2", None, Columns(), 1, TASKS[task].rules),
        ):
            with pytest.raises(UserError) as caught:
                read()
            errors.append(caught.value)
        assert {error.wrong for error in errors} == {f"the file's format is that of --task {owner}"}
        assert {error.found for error in errors} == {f"{path} with --task {task}"}
        assert errors[0].fix.startswith(f"use --task {owner}, or give a file with a label column")


@pytest.mark.parametrize("name", ["people.conll", "people.conll.gz", "things.json"])
def test_a_format_without_columns(name: str, tmp_path: Path) -> None:
    task = "qa" if ".json" in name else "tag"
    path = tmp_path / name.removesuffix(".gz")
    (write_questions if task == "qa" else write_entities)(path, rows=20)
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
    examples = read_for(str(tmp_path / name), Columns(), TASKS[task].rules)
    assert len(examples) == len(examples.labels or ()) == 20
    assert (examples.text_pairs is not None) == (task == "qa")
    with pytest.raises(UserError) as caught:
        read_for(str(tmp_path / name), Columns("words", label="tags"), TASKS[task].rules)
    assert caught.value.wrong == "a file of this format has no columns to name"
    assert caught.value.found == f"{tmp_path / name} with --text words, --label tags"
    assert caught.value.fix == "leave these out"


def test_a_file_of_columns_is_any_task_s(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tsv", "text\tlabel", 'ann met bob\t[[0, 3, "per"]]', "rain\t[]")
    examples = read_for(data, Columns(), TASKS["tag"].rules)
    assert (examples.texts[1], examples.labels) == ("rain", ['[[0, 3, "per"]]', "[]"])
    several = write_label_sets(tmp_path / "b.tsv", rows=30)
    assert "" in (read_for(str(several), Columns(), TASKS["multilabel"].rules).labels or ())
    # The rules are the task's: a row without a label is no example of one label.
    with pytest.raises(UserError, match="have no label"):
        read_for(str(several), Columns(), TASKS["classify"].rules)
    with pytest.raises(UserError, match="a label is not a number"):
        read_for(data, Columns(), TASKS["regress"].rules)


def test_a_part_of_the_wrong_task_is_told_with_all_else(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "text,label", "a,x", f"see {'x' * 2000},x")
    error = refused(train, str(write_entities(tmp_path / "dev.conll", rows=4)))
    assert isinstance(error, UserErrors)
    assert [one.wrong for one in error.errors] == [
        "a text holds a word that is far too long to be one",
        "there is only one label, so there is nothing to learn",
        "the file's format is that of --task tag",
    ]


def test_one_label_a_row() -> None:
    def examples(*labels: str) -> Examples:
        return Examples([*labels], None, labels, "a.csv", Columns("text", None, "label"))

    assert OneLabel.names_in("a|b, c") == ("a|b, c",) and not OneLabel.optional_label
    for labels in (("a", "a"), ("a", "a", "b")):
        OneLabel.check(examples(*labels), to_learn=False)
    OneLabel.check(examples("a", "b", "a", "b"), to_learn=True)
    with pytest.raises(UserError, match="only one label"):
        OneLabel.check(examples("a", "a"), to_learn=True)
    # What is left out is what the first task does.
    assert OneLabel.name == TASKS["classify"].name == next(iter(TASKS))
    assert issubclass(TASKS["classify"].rules, OneLabel)

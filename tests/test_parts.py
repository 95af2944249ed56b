"""Files read as the parts of a run, and all their faults told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfpipe.data.parts import is_share, read_parts, refuse_other_inputs
from tfpipe.data.read import Columns, Examples
from tfpipe.errors import UserError, UserErrors


def write(path: Path, *rows: str) -> str:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def table(path: Path, rows: int = 20) -> str:
    return write(path, "text,label", *(f"text {i},{'xy'[i % 2]}" for i in range(rows)))


def refused(train: str, dev: str, test: str | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        read_parts(train, dev, test, Columns(), seed=1)
    return caught.value


def test_a_share_of_train_becomes_dev(tmp_path: Path) -> None:
    train = table(tmp_path / "a.csv")
    parts = read_parts(train, "0.2", None, Columns(), seed=1)
    assert (len(parts.train), len(parts.dev), parts.test) == (16, 4, None)
    assert parts.dev.path == f"0.2 of {train}, cut with seed 1"
    assert [len(part) for part in parts] == [16, 4]
    other = read_parts(train, "0.2", None, Columns(), seed=2)
    assert other.dev.texts != parts.dev.texts


def test_three_files(tmp_path: Path) -> None:
    names = [table(tmp_path / f"{n}.csv", rows=n) for n in (20, 8, 6)]
    parts = read_parts(names[0], names[1], names[2], Columns(), seed=1)
    assert [(len(part), part.path) for part in parts] == list(zip((20, 8, 6), names, strict=True))


def test_dev_may_be_the_train_file_itself(tmp_path: Path) -> None:
    train = table(tmp_path / "a.csv")
    assert read_parts(train, train, train, Columns(), seed=1).dev.texts[0] == "text 0"


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

"""Columns found and named, values to texts, and the sentences for what is missing."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.read_examples import read_examples
from tfpipe.data.splits import read_for
from tfpipe.errors import UserError, UserErrors
from tfpipe.tasks import TASKS


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def refused(path: Path, columns: Columns | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        read_examples(path, columns or Columns())
    return caught.value


# ---- columns --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header,text,pair,label",
    [
        ("text,label", "text", None, "label"),
        ("id,sentence,category", "sentence", None, "category"),
        ("text_a,text_b,label", "text_a", "text_b", "label"),
        ("sentence1,sentence2,label", "sentence1", "sentence2", "label"),
        ("label,text_pair,text", "text", "text_pair", "label"),
        ("category,label,text", "text", None, "label"),
        (" Text , LABEL ", "Text", None, "LABEL"),
        ("Text_A,Text_B,Class", "Text_A", "Text_B", "Class"),
    ],
)
def test_columns_are_found(
    tmp_path: Path, header: str, text: str, pair: str | None, label: str
) -> None:
    names = [name.strip() for name in header.split(",")]
    examples = read_examples(write(tmp_path / "a.csv", header, ",".join(names)), Columns())
    assert examples.columns == Columns(text, pair, label)
    assert list(examples.texts) == [text]
    assert examples.text_pairs == (None if pair is None else [pair])
    assert examples.labels == [label]


@pytest.mark.parametrize(("name", "lines"), [("a.csv", [2, 4]), ("a.jsonl", [1, 2])])
def test_examples_have_their_lines(tmp_path: Path, name: str, lines: list[int]) -> None:
    rows = ["text,label", '"a\nb",x', "c,x"]
    if name.endswith("jsonl"):
        rows = ['{"text": "a", "label": "x"}', '{"text": "b", "label": "x"}']
    examples = read_examples(write(tmp_path / name, *rows), Columns())
    assert [*(examples.lines or ())] == lines and [*examples.decisions] == []
    assert [*(examples.take([1]).lines or ())] == lines[1:]


def test_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label,q,a,gold", "t,l,question,answer,yes")
    examples = read_examples(path, Columns("q", "a", "gold"))
    assert (examples.texts, examples.text_pairs, examples.labels) == (
        ["question"],
        ["answer"],
        ["yes"],
    )


def test_without_labels_none_is_needed_and_one_is_read_where_there_is_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text", "hello")
    assert read_examples(path, Columns(), labelled=False).labels is None
    path = write(tmp_path / "b.csv", "text,label", "hello,")
    assert read_examples(path, Columns(), labelled=False).labels == [""]


# Every character that Unicode calls white space, and those that cannot be seen.
BLANKS = [c for c in map(chr, range(0x11_0000)) if c.isspace()] + list("\u200b\u2060\ufeff\u200e")


def test_labels_are_stripped_as_headers_are_and_counted(tmp_path: Path) -> None:
    for blank in BLANKS:
        path = write(
            tmp_path / "a.jsonl", json.dumps({"text": "t", f"label{blank}": f"a b{blank}"})
        )
        found = read_examples(path, Columns())
        assert (found.labels, found.columns.label, found.stripped) == (["a b"], "label", 1)
    lines = [json.dumps({"text": "t", "label": f"{c}a\u3000b{c}"}) for c in [*BLANKS, ""]]
    found = read_examples(write(tmp_path / "b.jsonl", *lines), Columns())
    assert set(found.labels or ()) == {"a\u3000b"} and found.stripped == len(BLANKS) > 25
    assert found.take([0, 1]).stripped == 0


def test_a_label_of_blanks_is_an_empty_one(tmp_path: Path) -> None:
    labels = ["x", "\u3000", "\u200b", " nan\u00a0", ""]
    lines = [json.dumps({"text": "t", "label": label}) for label in labels]
    path = write(tmp_path / "a.jsonl", *lines)
    places = "; ".join(f"line {line} 't'" for line in (2, 3, 4, 5))
    assert refused(path).found == f"{path}, column 'label', empty or NaN: {places}"
    found = read_examples(path, Columns(), optional_label=True)
    assert (found.labels, found.stripped) == (["x", "", "", "", ""], 0)


SPANS = '[[0, 1, "{0}person{0}"], [2, 3, "{0}place"]]'


@pytest.mark.parametrize(
    ("task", "written", "read"),
    [
        ("classify", "{0}a|{0}b", "a|{0}b"),
        ("multilabel", "{0}a{0}|b|{0}c d", "a|b|c d"),
        ("regress", "{0}3.50{0}", "3.50"),
        ("tag", "{0}" + SPANS, SPANS.replace("{0}", "")),
        ("qa", '[[0, "{0}t"]]{0}', '[[0, "{0}t"]]'),
    ],
)
@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000"])
def test_each_task_strips_the_names_in_its_labels(
    tmp_path: Path, task: str, written: str, read: str, blank: str
) -> None:
    given, expected = (label.replace("{0}", blank) for label in (written, read))
    rows = [
        {"text": "t t", "text_pair": f"{blank}t", "label": label} for label in (given, expected)
    ]
    for row in rows if task == "tag" else ():
        del row["text_pair"]
    path = write(tmp_path / "a.jsonl", *map(json.dumps, rows))
    found = read_for(str(path), Columns(), TASKS[task].rules)
    assert (found.labels, found.stripped) == ([expected, expected], 1)


def test_all_wrong_columns_are_told_at_once_with_the_close_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,category", "a,b")
    error = refused(path, Columns("txt", None, "categroy"))
    assert isinstance(error, UserErrors)
    assert [e.wrong for e in error.errors] == [
        f"{path} has no column 'txt'",
        f"{path} has no column 'categroy'",
    ]
    assert "did you mean 'text'?" in error.errors[0].fix
    assert "did you mean 'category'?" in error.errors[1].fix
    assert error.errors[0].found == "columns 'text', 'category'"


def test_a_column_that_is_not_found_names_its_flag(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "a.csv", "text,mood", "a,b"))
    assert "no label column" in error.wrong
    assert "'mood'" in error.found
    assert "--label" in error.fix


def test_a_name_that_two_columns_have_is_refused_where_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label,text,x,x", "a,b,c,d,e")
    assert "2 columns 'text'" in refused(path).wrong
    assert "2 columns 'x'" in refused(path, Columns(text="x")).wrong
    path = write(tmp_path / "b.csv", "text,label,x,x", "a,b,c,d")
    assert read_examples(path, Columns()).texts == ["a"]
    table = pa.Table.from_arrays([pa.array(["a"])] * 3, names=["text", "label", "text"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert "2 columns 'text'" in refused(tmp_path / "a.parquet").wrong


@pytest.mark.parametrize("columns", [Columns(text="label"), Columns(text_pair="text")])
def test_one_column_in_two_roles_is_refused(tmp_path: Path, columns: Columns) -> None:
    assert "one column" in refused(write(tmp_path / "a.csv", "text,label", "a,b"), columns).wrong


def test_a_parquet_file_without_columns(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({}), tmp_path / "a.parquet")
    error = refused(tmp_path / "a.parquet")
    assert isinstance(error, UserErrors)
    assert all(e.found == "columns none" for e in error.errors)


# ---- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", ["a,", 'a,"  "', "a,NaN", "a,nan"], ids=["empty", "spaces", "NaN", "nan"]
)
def test_missing_labels_are_counted_and_placed(tmp_path: Path, row: str) -> None:
    path = write(tmp_path / "a.csv", "text,label", "a,b", row, "c,d", *[row] * 6)
    error = refused(path)
    assert error.wrong == "7 of 9 rows have no label"
    places = "; ".join(f"line {line} 'a'" for line in (3, 5, 6, 7, 8))
    assert error.found.endswith(f": {places}; and 2 more")


def test_missing_labels_of_typed_formats(tmp_path: Path) -> None:
    for value in ("null", "NaN", '""'):
        lines = ['{"text": "a", "label": 1}', f'{{"text": "b", "label": {value}}}', '{"text": "c"}']
        assert "2 of 3" in refused(write(tmp_path / "a.jsonl", *lines)).wrong
    pyarrow.parquet.write_table(
        pa.table({"text": ["a", "b", "c"], "label": [1.0, math.nan, None]}), tmp_path / "a.parquet"
    )
    assert "2 of 3" in refused(tmp_path / "a.parquet").wrong


def test_numbers_and_truth_values_become_texts(tmp_path: Path) -> None:
    values = [1, 0, -2, 2.5, True, False, "1"]
    lines = [json.dumps({"text": v, "label": v}) for v in values]
    expected = ["1", "0", "-2", "2.5", "true", "false", "1"]
    examples = read_examples(write(tmp_path / "a.jsonl", *lines), Columns())
    assert examples.texts == expected
    assert examples.labels == expected
    for column, texts in (
        ([1, 2], ["1", "2"]),
        ([True, False], ["true", "false"]),
        ([b"x", "é".encode()], ["x", "é"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
    ):
        table = pa.table({"text": ["a", None], "label": column})
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        examples = read_examples(tmp_path / "a.parquet", Columns())
        assert examples.labels == texts
        assert examples.texts == ["a", ""]


@pytest.mark.parametrize("value", ['["a"]', '{"a": 1}', '"\\ud800"'])
def test_a_value_that_is_no_text_is_told_with_its_row(tmp_path: Path, value: str) -> None:
    lines = ['{"text": "a", "label": "b"}', f'{{"text": {value}, "label": "b"}}']
    error = refused(write(tmp_path / "a.jsonl", *lines))
    assert error.wrong == "a value is not text"
    assert f"{tmp_path / 'a.jsonl'}: line 2 '' (" in error.found


@pytest.mark.parametrize(
    "name,content", [("a.csv", "text,label"), ("a.tsv", "text\tlabel\r\n\r\n")]
)
def test_a_header_without_rows(tmp_path: Path, name: str, content: str) -> None:
    assert refused(write(tmp_path / name, content)).wrong == (
        "the data file has a header and no rows"
    )


def test_a_broken_row_is_told_by_read_examples_too(tmp_path: Path) -> None:
    assert "line 3" in refused(write(tmp_path / "a.csv", "text,label", "a,b", "c")).found


# ---- examples -------------------------------------------------------------------------------


def test_examples_are_taken_and_joined() -> None:
    single = Examples(["a", "b", "c"], None, ["x", "y", "z"], "f", Columns())
    taken = single.take([2, 0])
    assert (taken.texts, taken.text_pairs, taken.labels) == (["c", "a"], None, ["z", "x"])
    assert single.joined() == ["a", "b", "c"]
    pairs = Examples(["a", "b"], ["c", "d"], None, "f", Columns())
    assert pairs.take([1]).text_pairs == ["d"]
    assert pairs.joined() == ["a | c", "b | d"]


def test_every_real_table_has_the_rows_its_readme_says(shared_data: Path) -> None:
    readme = (shared_data / "README.md").read_text(encoding="utf-8")
    found = 0
    for name, train, dev in re.findall(
        r"^\| (\w+) \|[^|]*\|[^|]*\| ([\d,]+) \| ([\d,]+) \|", readme, re.M
    ):
        if not (shared_data / name / "train.tsv").is_file():
            continue
        found += 1
        for part, rows in (("train", train), ("dev", dev)):
            examples = read_examples(shared_data / name / f"{part}.tsv", Columns())
            assert len(examples) == int(rows.replace(",", "")), (name, part)
            assert (examples.text_pairs is not None) == name.startswith(("mrpc", "stsb"))
            assert all(text.strip() for text in examples.joined())
    assert found == 13

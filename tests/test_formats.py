"""How files are read where their name does not say it: separators, quoting, header, formats."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_tabular import as_parquet
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.read_examples import read_examples
from tfpipe.data.streaming import TextStream
from tfpipe.data.tabular import open_rows
from tfpipe.errors import UserError

TEXTS = [f"the parcel number {number} came late, I think; really" for number in range(12)]
LABELS = ["good", "bad"] * 6
PAIRS = [*zip(TEXTS, LABELS, strict=True)]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(separator: str, rows: Any) -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


def refused(path: Path, content: str | bytes, columns: Columns | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        read_examples(write(path, content), columns or Columns())
    assert str(path) in str(caught.value)
    return caught.value


def read(path: Path, columns: Columns | None = None) -> Examples:
    """The examples, which are also what prediction streams."""
    examples = read_examples(path, columns or Columns())
    stream = TextStream(path, columns or Columns(), True)
    assert [text for window in stream.windows(5) for text in window.texts] == [*examples.texts]
    assert stream.decisions == [*examples.decisions]
    return examples


# ---- separators -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "reported"),
    [
        ("a.csv", lines(";", [("text", "label"), *PAIRS]).replace("; really", ""), "semicolons"),
        ("a.csv", lines("|", [("text", "label"), *PAIRS]), "vertical bars"),
        ("a.csv", lines("\t", [("text", "label"), *PAIRS]), "tabs"),
        ("a.tsv", lines("|", [("text", "label"), *PAIRS]), "vertical bars"),
        ("a.txt", lines("\t", [("text", "label"), *PAIRS]), None),
        ("a.csv", "sep=|\r\n" + lines("|", [("text", "label"), *PAIRS]), "vertical bars"),
        ("a.csv", '"sep=\t"\n' + lines("\t", [("text", "label"), *PAIRS]), "tabs"),
        ("a.csv", "SEP=^\n" + lines("^", [("text", "label"), *PAIRS]), "'^'"),
    ],
)
def test_a_separator_is_found(
    tmp_path: Path, name: str, content: str, reported: str | None
) -> None:
    examples = read(write(tmp_path / name, content))
    assert examples.labels == LABELS
    assert [text.partition(";")[0] for text in examples.texts] == [t[:-8] for t in TEXTS]
    decisions = [f"read {name} with {reported} between the fields"] if reported else []
    assert [one.partition(", as")[0] for one in examples.decisions] == decisions
    first = 3 if "sep" in content[:5].lower() else 2
    assert [*(examples.lines or ())] == [*range(first, first + 12)]


def test_labels_tell_separators_from_as_many_commas_in_each_text(tmp_path: Path) -> None:
    rows = [(f"I think, number {n} is late", label) for n, label in enumerate(LABELS)]
    examples = read(write(tmp_path / "a.csv", lines(";", rows)))
    assert examples.labels == LABELS and "semicolons" in examples.decisions[0]


@pytest.mark.parametrize("header", ["text,label", "text,label,a;b", '"text","label;tabs\t|"'])
def test_a_comma_csv_with_other_separators_in_its_texts_stays_one(
    tmp_path: Path, header: str
) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([[*pair, ";|"][: header.count(",") + 1] for pair in PAIRS])
    columns = Columns("text", label=header.split(",")[1].strip('"'))
    examples = read(write(tmp_path / "a.csv", f"{header}\n{out.getvalue()}"), columns)
    assert (examples.texts, examples.labels, [*examples.decisions]) == (TEXTS, LABELS, [])


def test_a_row_of_another_width_is_told_for_the_separator_of_the_others(tmp_path: Path) -> None:
    content = lines(";", [("text", "label"), *[("a, b", "x")] * 30, ("a", "b", "c")])
    found = refused(tmp_path / "a.csv", content).found
    assert "line 32 'a b c' (3 fields, 2 in the header)" in found


# ---- quoting --------------------------------------------------------------------------------

FIELD = st.text(st.sampled_from('a"\t\n ,é'), max_size=8)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(FIELD, min_size=2, max_size=2), min_size=1, max_size=6))
def test_a_tsv_that_quotes_where_needed_has_the_fields_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    # As DataFrame.to_csv(sep="\t") writes it. Without a quote in any field, line breaks may happen
    # to give as many fields in each line: then nothing tells, and the quotes stay.
    rows.append(['said "no"', "z"])
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerows([["text", "label"], *rows])
    path = write(tmp_path_factory.mktemp("quoted") / "a.tsv", out.getvalue())
    opened = open_rows(path)
    assert [*opened.rows] == rows
    assert opened.decisions == [
        "read a.tsv as TSV with quoted fields: quotes around a field are not part of it, and"
        " doubled ones stand for one"
    ]


def test_a_tsv_with_a_column_of_quoted_values_alone(tmp_path: Path) -> None:
    rows = [(f'"{text}"', label) for text, label in PAIRS]
    examples = read(write(tmp_path / "a.tsv", lines("\t", [("text", "label"), *rows])))
    assert examples.texts == TEXTS and "quoted fields" in examples.decisions[0]


@pytest.mark.parametrize(
    ("texts", "begin"),
    [
        (['"Yes, I do"', "b"], "1 field begins"),
        (['"no" he said', '5" pipe', '"open', '"'], "3 fields begin"),
        (['"he said ""no"""', '5" pipe'], "1 field begins"),
        (['""well""', '"'], "2 fields begin"),
        (['5" pipe', 'he said "no"'], None),
        (['"' + "x" * 100, *["long" * 250_000] * 5, "end"], "1 field begins"),
    ],
)
def test_a_quote_in_an_unquoted_tsv_stays(
    tmp_path: Path, texts: list[str], begin: str | None
) -> None:
    path = write(tmp_path / "a.tsv", lines("\t", [("text", "label"), *((t, "x") for t in texts)]))
    examples = read(path)
    assert examples.texts == texts
    decision = f"read a.tsv as TSV without quoting: {begin} with a quote, which stays"
    assert [*examples.decisions] == ([decision] if begin else [])


def test_a_bad_row_of_a_quoted_tsv_is_told_and_not_its_line_breaks(tmp_path: Path) -> None:
    content = 'text\tlabel\n"a ""b""\nc\nd"\tx\n"e\nf"\ty\ng\n'
    found = refused(tmp_path / "a.tsv", content).found
    assert "line 7, row 4 of the sheet 'g' (1 fields, 2 in the header)" in found


# ---- header ---------------------------------------------------------------------------------

ZH = [f"这台水壶声音清楚好听，第{number}次买" for number in range(12)]
COLA = [(f"zz{i:02}", str(i % 2), "*" * (i % 2), text) for i, text in enumerate(TEXTS)]
SCORES = [f"{number / 4}" for number in range(12)]


@pytest.mark.parametrize(
    ("name", "rows", "columns", "reported"),
    [
        ("a.tsv", PAIRS, ("text", None, "label"), "column 1 is text, column 2 is label"),
        (
            *("a.csv", [(b, f'"{a}"') for a, b in PAIRS], ("text", None, "label")),
            "column 2 is text, column 1 is label",
        ),
        (
            *("a.tsv", zip(ZH, "01" * 6, strict=True), ("text", None, "label")),
            "column 1 is text, column 2 is label",
        ),
        ("a.tsv", COLA, ("text", None, "label"), "column 4 is text, column 2 is label"),
        (
            *("a.tsv", zip(TEXTS, TEXTS[::-1], SCORES, strict=True)),
            *(("text_a", "text_b", "label"), "column 1 is text_a, column 2 is text_b"),
        ),
    ],
)
def test_a_file_without_a_header(
    tmp_path: Path, name: str, rows: Any, columns: tuple[str, str | None, str], reported: str
) -> None:
    rows = [*rows]
    separator = "," if name == "a.csv" else "\t"
    examples = read(write(tmp_path / name, lines(separator, rows)))
    assert examples.columns == Columns(*columns) and len(examples) == 12
    assert examples.texts[0] in (TEXTS[0], ZH[0]) and examples.lines is not None
    assert [*examples.lines] == [*range(1, 13)]
    assert f"read {name} as a table without a header: {reported}" in examples.decisions[0]


def test_short_texts_are_those_that_differ_not_the_longer_ones(tmp_path: Path) -> None:
    words = ["hi", "hello", "bye", "ciao", "hey", "so long"]
    rows = zip(words, ["greeting", "greeting", "farewell", "farewell"] * 2, strict=False)
    assert read(write(tmp_path / "a.tsv", lines("\t", rows))).texts == words


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        (Columns("4", label="2"), TEXTS[0]),
        (Columns("1", label="2"), "zz00"),
        (Columns("1", "4"), "zz00"),
        (Columns(label="2", header=False), TEXTS[0]),
    ],
)
def test_columns_without_a_name_are_given_by_number(
    tmp_path: Path, asked: Columns, first: str
) -> None:
    examples = read(write(tmp_path / "a.tsv", lines("\t", COLA)), asked)
    assert examples.texts[0] == first and examples.labels == ["0", "1"] * 6


@pytest.mark.parametrize(
    ("rows", "header", "has_header"),
    [
        ([("text", "label"), ("text", "label"), ("a b c d", "x")], None, True),
        ([("Kommentar", "Urteil"), *PAIRS], None, True),
        ([("0", "1"), *((t, "01"[i % 2]) for i, t in enumerate(TEXTS))], None, True),
        (
            [("wert", "kommentar"), *((s, t) for s, t in zip(SCORES, TEXTS, strict=True))],
            None,
            True,
        ),
        (PAIRS, True, True),
        ([("text", "label"), *PAIRS], False, False),
        ([("a", "x"), ("b", "y")], None, True),
        ([("a", "x"), ("b", "y")], False, False),
    ],
)
def test_a_first_row_is_data_only_where_it_looks_like_it_or_the_user_says_so(
    tmp_path: Path, rows: Any, header: bool | None, has_header: bool
) -> None:
    path = write(tmp_path / "a.tsv", lines("\t", rows))
    opened = open_rows(path, columns=Columns(header=header))
    assert (opened.first_row is None) == has_header
    assert len([*opened.rows]) == len(rows) - has_header


def test_what_is_not_evident_is_asked_for_with_the_first_row(tmp_path: Path) -> None:
    rows = [(f"code {i % 3}", str(i % 2), text) for i, text in enumerate(TEXTS)]
    error = refused(tmp_path / "a.tsv", lines("\t", rows))
    assert error.wrong.endswith("a.tsv is the label is not evident")
    assert error.found.startswith("no header, first row: 1 'code 0', 2 '0', 3 'the parcel number")
    assert "--label 3" in error.fix and "--header" in error.fix
    # Here the first row might be names as well.
    error = refused(tmp_path / "b.tsv", "so good\tx\nso bad\ty\n")
    assert "add --no-header" in str(error)


def test_tags_of_tokens_are_no_texts(tmp_path: Path) -> None:
    content = "EU\tB-ORG\nis\tO\nin\tO\nRome\tB-LOC\n\n"
    for name in ("a.tsv", "a.txt"):
        assert "name it .conll" in refused(tmp_path / name, content).fix


# ---- other formats --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.csv"])
def test_fasttext_lines(tmp_path: Path, name: str) -> None:
    content = "__label__good a, b\tc \n\n__label__x\t__label__y-z d\n__label__good e\n"
    examples = read(write(tmp_path / name, content))
    assert examples.texts == ["a, b\tc ", "d", "e"]
    assert examples.labels == ["good", "x|y-z", "good"]
    assert [*(examples.lines or ())] == [1, 3, 4]
    assert "fastText's lines" in examples.decisions[0]


RECORDS = [{"text": "[a", "label": "x"}, {"label": "y", "text": 'b"]}'}]


@pytest.mark.parametrize(
    ("name", "content", "lines", "reported"),
    [
        ("a.json", json.dumps(RECORDS), [1, 1], ["a JSON array of objects"]),
        ("a.json", "\n" + json.dumps(RECORDS, indent=1), [3, 7], ["a JSON array of objects"]),
        ("a.jsonl", json.dumps(RECORDS, indent=1), [2, 6], ["a JSON array of objects"]),
        ("a.json", "\n".join(map(json.dumps, RECORDS)), [1, 2], ["one JSON object a line"]),
        ("a.ndjson", "\n".join(map(json.dumps, RECORDS)), [1, 2], []),
    ],
)
def test_objects_are_read_as_lines_or_as_an_array(
    tmp_path: Path, name: str, content: str, lines: list[int], reported: list[str]
) -> None:
    examples = read(write(tmp_path / name, content))
    assert (examples.texts, examples.labels) == (["[a", 'b"]}'], ["x", "y"])
    assert [*(examples.lines or ())] == lines
    assert [*examples.decisions] == [f"read {name} as {one}" for one in reported]


@pytest.mark.parametrize(
    ("content", "wrong", "found"),
    [
        ('[\n{"text": "a"},\n3]', "an element of the array is not a JSON object", "line 3: int"),
        ('[\n{"text": "a"},\n{"text"]', "the file is not a JSON array", "from line 3:"),
        ('[{"text": "a"}', "the file is not a JSON array", "from line 1:"),
        ('[{"text": "a"}]\n{}', "the file is not a JSON array", "'{}' after the end"),
    ],
)
def test_a_broken_array(tmp_path: Path, content: str, wrong: str, found: str) -> None:
    error = refused(tmp_path / "a.json", content)
    assert error.wrong == wrong and found in error.found


@pytest.mark.parametrize("ending", ["bmes", "bio", "bioes", "bmes.gz"])
def test_other_endings_of_tagged_tokens(tmp_path: Path, ending: str) -> None:
    import gzip

    content = "高\tB-NAME\n勇\tM-NAME\n强\tE-NAME\n去\tO\n京\tS-LOC\n".encode()
    content = gzip.compress(content) if ending.endswith("gz") else content
    examples = read(write(tmp_path / f"a.{ending}", content))
    assert examples.labels == ['[[0, 3, "NAME"], [4, 5, "LOC"]]']


# ---- what a file is by its content -----------------------------------------------------------


def as_zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x.spreadsheet")
    return out.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 1367342\n" % (b"a" * 64)


@pytest.mark.parametrize(
    "ending", ["csv", "tsv", "jsonl", "json", "parquet", "xlsx", "conll", "csv.gz"]
)
def test_a_pointer_of_git_lfs(tmp_path: Path, ending: str) -> None:
    error = refused(tmp_path / f"a.{ending}", POINTER)
    assert "Git LFS" in error.wrong and "1,367,342 bytes" in error.found
    assert "git lfs pull" in error.fix and "download" not in error.fix


@pytest.mark.parametrize(
    ("content", "wrong", "fix"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "Excel workbook", "save it as .xlsx"),
        (as_zip("mimetype", "content.xml"), "OpenDocument", "save it as .xlsx"),
        (as_zip("train.csv"), "a zip archive", "unpack it"),
        (b"%PDF-1.7\n", "a PDF", "CSV in UTF-8"),
        (b"BZh91AY", "bzip2", "decompress it"),
        (b"\n<!DOCTYPE html>\n<html>", "a web page", "download the data file itself"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "json", "conll", "parquet", "xlsx", "zip", "doc"])
def test_a_file_of_another_kind_than_its_name_says(
    tmp_path: Path, content: bytes, wrong: str, fix: str, ending: str
) -> None:
    error = refused(tmp_path / f"a.{ending}", content)
    assert wrong in error.wrong and fix in error.fix


@pytest.mark.parametrize("ending", ["xls", "ods"])
@pytest.mark.parametrize("content", [b"text;label\n", as_zip("mimetype"), b"\xd0\xcf\x11\xe0"])
def test_spreadsheets_of_other_kinds(tmp_path: Path, ending: str, content: bytes) -> None:
    error = refused(tmp_path / f"a.{ending}", content)
    assert error.wrong == f".{ending} is not read" and "save it as .xlsx, or as CSV" in error.fix


def test_parquet_and_gzip_by_content(tmp_path: Path) -> None:
    import gzip

    content = as_parquet([["text", "label"], *map(list, PAIRS)])
    examples = read(write(tmp_path / "a.csv", content))
    assert examples.labels == LABELS and examples.lines is None
    assert [*examples.decisions] == ["read a.csv as a parquet file, which its name does not say"]
    zipped = gzip.compress(lines("\t", [("text", "label"), *PAIRS]).encode())
    examples = read(write(tmp_path / "b.tsv", zipped))
    assert examples.labels == LABELS
    assert [*examples.decisions] == ["read b.tsv as gzip, which its name does not say"]


# ---- spreadsheets ---------------------------------------------------------------------------


def write_workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl (the extra `excel`) is missing")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv"])
def test_the_first_sheet_with_rows_is_read(tmp_path: Path, name: str) -> None:
    rows = [["id", "text", "label"], [1, "a, b\nc", 0], [None], [2, "007", 1.5], [3, 12, True]]
    path = tmp_path / "a.xlsx"
    write_workbook(path, Notes=[], Data=rows, More=[["text"], ["no"]]).rename(tmp_path / name)
    examples = read(tmp_path / name)
    assert examples.texts == ["a, b\nc", "007", "12"] and examples.labels == ["0", "1.5", "true"]
    assert [*(examples.rows or ())] == [2, 4, 5]
    assert f"read the sheet 'Data' of {name}, the first of 3 that has rows" in examples.decisions
    assert len(examples.decisions) == (2 if name == "a.csv" else 1)


def test_a_sheet_without_a_header_and_one_with_empty_cells(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", S=[[text, label] for text, label in PAIRS])
    assert read(path).labels == LABELS
    path = write_workbook(
        tmp_path / "b.xlsx", S=[["text", "label"], ["a", "x"], ["b"], ["c", "y", "!"]]
    )
    assert ": row 3 'b'" in refused_file(path).found


def refused_file(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_examples(path, Columns())
    return caught.value


def test_a_broken_or_empty_workbook_and_a_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_workbook(tmp_path / "a.xlsx", Empty=[], Blank=[[None], [""]])
    assert refused_file(path).wrong == "the data file is empty"
    assert refused(tmp_path / "e.xlsx", b"").wrong == "the data file is empty"
    for content in (b"text,label\na,b\n", path.read_bytes()[:-900], as_zip("xl/workbook.xml")):
        error = refused(tmp_path / "b.xlsx", content)
        assert error.wrong in (
            "the file cannot be read as an Excel workbook",
            "the data file is a zip archive",
        )
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    assert "pip install 'tfpipe[excel]'" in refused_file(path).fix

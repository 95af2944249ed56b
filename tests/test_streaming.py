"""Texts in windows: read as they are asked for, equal on a second reading, bad rows by number."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.test_tabular import WRITERS
from tfpipe.data import streaming as module
from tfpipe.data.examples import Columns
from tfpipe.data.streaming import TextStream, Window
from tfpipe.data.tabular import open_rows
from tfpipe.errors import UserError

TEXTS = [f"text number {row} 😀" for row in range(10)]
NAMES = ["a.tsv", "a.csv", "a.jsonl", "a.parquet", "a.tsv.gz", "a.jsonl.gz", "a.parquet.gz"]


def write(path: Path, rows: list[list[str]]) -> Path:
    content = WRITERS[path.suffixes[0][1:]](rows)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def open_texts(path: Path, answer_empty: bool = False) -> TextStream:
    return TextStream(path, Columns(), answer_empty)


def refused(path: Path) -> tuple[list[Window], UserError]:
    """The windows of two before the error, and the error."""
    read = []
    with pytest.raises(UserError) as caught:
        read.extend(open_texts(path).windows(2))
    return read, caught.value


@pytest.mark.parametrize("name", NAMES)
def test_windows_of_every_format(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [["id", "text"], *([str(i), t] for i, t in enumerate(TEXTS))])
    windows = list(open_texts(path).windows(4))
    assert [len(window) for window in windows] == [4, 4, 2]
    assert [text for window in windows for text in window.texts] == TEXTS
    assert [window.end for window in windows] == [4, 8, 10]
    assert all(window.text_pairs is None for window in windows)
    shares = [window.share_read for window in windows]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1


def test_pairs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [["text_a", "text_b"], ["a", "b"], ["c", "d"]])
    texts = open_texts(path)
    texts.refuse_other_inputs(["text", "text_pair"])
    texts.refuse_other_inputs(["question", "context"])
    with pytest.raises(UserError, match="reads single texts"):
        texts.refuse_other_inputs(["text"])
    (window,) = texts.windows(9)
    assert (window.texts, window.text_pairs) == (["a", "c"], ["b", "d"])


def test_questions_and_contexts_are_columns_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [["context", "question"], ["c", "q"], ["d", "r"]])
    (window,) = open_texts(path).windows(9)
    assert (window.texts, window.text_pairs) == (["q", "r"], ["c", "d"])
    single = open_texts(write(tmp_path / "b.csv", [["text"], ["a"]]))
    with pytest.raises(UserError, match="reads questions with their contexts") as caught:
        single.refuse_other_inputs(["question", "context"])
    assert "b.csv" in caught.value.found and "'text'" in caught.value.found


@pytest.mark.parametrize("tags", [True, False])
@pytest.mark.parametrize("ending", ["conll", "conll.gz"])
def test_sentences_are_rows_with_their_tags_or_without(
    tmp_path: Path, tags: bool, ending: str
) -> None:
    tokens = "-DOCSTART- O\n\nAnn B-per\nmet O\n\n去 O\n中 B-loc\n国 I-loc\n\n\nhi O"
    content = tokens if tags else "\n".join(line.split(" ")[0] for line in tokens.split("\n"))
    path = tmp_path / f"a.{ending}"
    path.write_bytes(gzip.compress(content.encode()) if ending.endswith("gz") else content.encode())
    texts = open_texts(path)
    texts.refuse_other_inputs(["text"])
    first, second = texts.windows(2)
    assert (first.texts, second.texts) == (["Ann met", "去中国"], ["hi"])
    assert first.text_pairs is None and second.end == 3 and second.share_read == 1.0
    again = open_texts(path)
    again.skip(first.end, first.rows_sha256)
    assert [window.rows_sha256 for window in again.windows(2)] == [second.rows_sha256]


def test_a_broken_sentence_comes_after_the_windows_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Ann\tO\n\nBob\tO\n\nZoe\tO\tB-per\n")
    read, error = refused(path)
    assert [window.texts for window in read] == [["Ann", "Bob"]] and "line 5" in error.found
    path.write_text("\n\n")
    with pytest.raises(UserError, match="no sentences"):
        list(open_texts(path).windows(2))


@pytest.mark.parametrize("ending", ["json", "json.gz"])
def test_questions_are_rows_with_their_answers_or_without(tmp_path: Path, ending: str) -> None:
    paragraphs = [
        {"context": "Ann met Bob.", "qas": [{"question": "Who?"}, {"question": "Whom? 😀"}]},
        {"context": "去中国", "qas": [{"question": " ", "answers": []}]},
    ]
    content = json.dumps({"data": [{"paragraphs": paragraphs}]}).encode()
    path = tmp_path / f"a.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    texts = open_texts(path, answer_empty=True)
    texts.refuse_other_inputs(["question", "context"])
    first, second = texts.windows(2)
    assert (first.texts, first.text_pairs) == (["Who?", "Whom? 😀"], ["Ann met Bob."] * 2)
    assert (second.texts, second.text_pairs, second.share_read) == ([" "], ["去中国"], 1.0)
    assert 0 < first.share_read < 1
    with pytest.raises(UserError, match="a row has no text\n.*row 3"):
        list(open_texts(path).windows(9))
    # A file of pairs, from which one column may be taken.
    with pytest.raises(UserError, match="reads single texts"):
        texts.refuse_other_inputs(["text"])
    contexts = TextStream(path, Columns("context"), False)
    contexts.refuse_other_inputs(["text"])
    assert [text for window in contexts.windows(9) for text in window.texts][1:] == [
        *("Ann met Bob.", "去中国")
    ]


@pytest.mark.parametrize(
    "content,wrong",
    [
        ("", "empty"),
        ("{", "not JSON"),
        ('{"data": []}', "holds no question"),
        ('{"data": [{"paragraphs": [{"context": 1, "qas": []}]}]}', "not the shape of SQuAD"),
    ],
)
def test_files_that_are_not_squads(tmp_path: Path, content: str, wrong: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=wrong):
        open_texts(tmp_path / "a.json")


def test_a_label_column_is_passed_over_whatever_it_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", [["label", "text", "label"], ["", "a", "x"]])
    assert [window.texts for window in open_texts(path).windows(9)] == [["a"]]


def test_long_texts_make_short_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW_CHARACTERS", 30)
    path = write(tmp_path / "a.tsv", [["text"], *([text] for text in TEXTS)])
    assert [len(window) for window in open_texts(path).windows(4)] == [2] * 5


def test_a_second_reading_goes_on_where_the_first_was(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [["text"], *([text] for text in TEXTS)])
    for first, *rest in (list(open_texts(path).windows(3)), list(open_texts(path).windows(10))):
        again = open_texts(path)
        again.skip(first.end, first.rows_sha256)
        found = [(window.texts, window.rows_sha256) for window in again.windows(3)]
        assert found == [(window.texts, window.rows_sha256) for window in rest]


@pytest.mark.parametrize("change", [("0", "x"), ("2", "x"), ("1 😀\n", "1 😀\nmore\n")])
def test_rows_that_are_not_those_read_before(tmp_path: Path, change: tuple[str, str]) -> None:
    path = write(tmp_path / "a.tsv", [["text"], *([text] for text in TEXTS)])
    first = next(open_texts(path).windows(3))
    path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(UserError, match="not the one that was begun with"):
        open_texts(path).skip(first.end, first.rows_sha256)
    path.write_text("text\n" + TEXTS[0], encoding="utf-8")
    with pytest.raises(UserError, match="not the one that was begun with"):
        open_texts(path).skip(first.end, first.rows_sha256)


def test_rows_that_come_later_may_change(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", [["text"], *([text] for text in TEXTS)])
    first = next(open_texts(path).windows(3))
    path.write_text(path.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    again = open_texts(path)
    again.skip(first.end, first.rows_sha256)
    assert [text for window in again.windows(4) for text in window.texts] == [*TEXTS[3:], "more"]


@pytest.mark.parametrize("blank", ["", "  "])
def test_rows_without_text_are_told_by_number(tmp_path: Path, blank: str) -> None:
    rows = [["id", "text"], ["1", "a"], ["2", "b"], ["3", "c"], ["4", blank], ["5", "d"]]
    for name in ("a.tsv", "a.jsonl", "a.parquet"):
        path = write(tmp_path / name, rows)
        read, error = refused(path)
        assert [window.texts for window in read] == [["a", "b"]]
        assert error.wrong == "a row has no text" and "row 4" in error.found
        taken = [text for w in open_texts(path, answer_empty=True).windows(9) for text in w.texts]
        assert taken == ["a", "b", "c", blank, "d"]


def test_a_missing_name_in_a_json_line_is_a_missing_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n\n{"text": null}\n{"id": 1}\n{"text": "b"}\n')
    read, error = refused(path)
    assert read == [] and "row 2" in error.found
    with pytest.raises(UserError, match="2 rows have no text\n.*row 2, 3"):
        list(open_texts(path).windows(9))


def test_a_broken_row_comes_after_the_windows_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"text\na\nb\na\tb\nc\n")
    read, error = refused(path)
    assert [window.texts for window in read] == [["a", "b"]]
    assert error.wrong == "a row is not as wide as the header" and "line 4: 2 f" in error.found


@pytest.mark.parametrize(
    "row,wrong,found",
    [
        (b"\xff\n", "the data file is not valid UTF-8", "line 4: byte 0xff"),
        (b"a\0\n", "the data file holds NUL characters", "line 4"),
    ],
)
def test_a_file_that_is_no_text_is_refused_before_the_first_window(
    tmp_path: Path, row: bytes, wrong: str, found: str
) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"text\na\nb\n" + row + b"c\n")
    read, error = refused(path)
    assert read == [] and error.wrong == wrong and found in error.found


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    good = b"".join(b'{"text": "%d"}\n' % number for number in range(5000))
    (tmp_path / "a.jsonl").write_bytes(good + b"{\n")
    opened = open_rows(tmp_path / "a.jsonl", look_ahead=10)
    assert [next(opened.rows) for _ in range(20)] == [[str(number)] for number in range(20)]
    assert 0 < opened.share_read() < 0.5
    with pytest.raises(UserError, match="line 5001"):
        list(opened.rows)
    with pytest.raises(UserError, match="line 5001"):
        open_rows(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_bytes(good + b'{"late": 1}\n')
    assert open_rows(tmp_path / "b.jsonl", look_ahead=10).header == ["text"]
    assert open_rows(tmp_path / "b.jsonl").header == ["text", "late"]

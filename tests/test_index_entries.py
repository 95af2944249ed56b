"""The tables of an index: what is read of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfpipe.config import IndexConfig
from tfpipe.config.settings import build
from tfpipe.errors import UserError
from tfpipe.retrieval.entries import Entries, read_entries
from tfpipe.retrieval.questions import read_questions


def read(path: Path, content: str, **settings: object) -> Entries:
    path.write_text(content, encoding="utf-8")
    return read_entries(IndexConfig(data=str(path), to="models/faq", **settings))


def test_columns_by_name(tmp_path: Path) -> None:
    table = "id\tquestion\tanswer\tsource\turl\na\t Where? \tHere.\tfaq\thttp://x\nb\t谁\t我\t\t\n"
    entries = read(tmp_path / "faq.tsv", table)
    assert (entries.ids, entries.texts) == (["a", "b"], ["Where?", "谁"])
    assert entries.answers == ["Here.", "我"]
    assert [json.loads(one) for one in entries.payloads or ()] == [
        {"source": "faq", "url": "http://x"},
        {"source": "", "url": ""},
    ]
    assert entries.columns == {"id": "id", "text": "question", "answer": "answer"}


def test_texts_alone(tmp_path: Path) -> None:
    entries = read(tmp_path / "a.jsonl", '{"text": "one"}\n{"text": "two"}\n')
    assert (entries.ids, entries.answers) == (["1", "2"], ["one", "two"])
    assert entries.payloads is None and len(entries) == 2


def test_values_of_a_payload_keep_their_types(tmp_path: Path) -> None:
    rows = [{"id": 7, "text": "one", "answer": "A", "n": 1.5, "tags": ["x"], "none": None}]
    entries = read(tmp_path / "a.json", json.dumps(rows))
    assert entries.ids == ["7"]
    assert json.loads((entries.payloads or ())[0]) == {"n": 1.5, "tags": ["x"], "none": None}


def test_columns_that_are_named(tmp_path: Path) -> None:
    table = "key,title,reply\nx,one,A\ny,two,B\n"
    entries = read(tmp_path / "a.csv", table, id="key", text="title", answer="reply")
    assert (entries.ids, entries.answers, entries.payloads) == (["x", "y"], ["A", "B"], None)
    with pytest.raises(UserError) as refused:
        read(tmp_path / "a.csv", table, text="titel")
    assert "the column of --text is missing" in str(refused.value)
    assert "did you mean 'title'?" in refused.value.fix


@pytest.mark.parametrize(
    ("content", "wrong", "found"),
    [
        ("id\ttext\tanswer\n", "no rows", "faq.tsv"),
        ("id\ttext\tanswer\na\tone\tA\nb\ttwo\t \n", "entries have no answer", "1 row, line 3"),
        ("id\ttext\tanswer\na\t\tA\nb\ttwo\tB\n", "entries have no text", "line 2"),
        ("id\ttext\tanswer\n\tone\tA\nb\ttwo\tB\n", "entries have no id", "line 2"),
        (
            "id\ttext\tanswer\na\tone\tA\nb\ttwo\tB\na\tthree\tC\na\tfour\tC\n",
            "entries have the same id",
            "'a' in line 2 and in line 4, and 1 more",
        ),
        (
            "id\ttext\tanswer\na\tone\tA\nb\tone \tB\n",
            "entries have the same text",
            "'one' in line 2 and in line 3",
        ),
        ("id\tanswer\na\tone\n", "the table has no column of texts", "id, answer"),
    ],
)
def test_entries_that_are_refused(tmp_path: Path, content: str, wrong: str, found: str) -> None:
    with pytest.raises(UserError) as refused:
        read(tmp_path / "faq.tsv", content)
    assert wrong in refused.value.wrong and found in refused.value.found and refused.value.fix


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        read(tmp_path / "faq.tsv", "id\ttext\tanswer\na\tone\t\na\tone\tB\n")
    for part in ("have no answer", "have the same id", "have the same text"):
        assert part in str(refused.value)


def questions(path: Path, rows: list[tuple[str, str]], header: str = "question\tid") -> Path:
    path.write_text("\n".join([header, *map("\t".join, rows)]) + "\n", encoding="utf-8")
    return path


def test_questions(tmp_path: Path) -> None:
    entries = Entries(["a", "b"], ["A", "B"], ["A", "B"], None, {}, ())
    rows = [("q", "b")] * 20 + [("other", "")] * 5
    found = read_questions(str(questions(tmp_path / "q.tsv", rows)), entries)
    assert found.gold.tolist() == [1] * 20 + [-1] * 5
    assert found.texts[-1] == "other" and found.answered.sum() == 20


def test_questions_that_are_refused(tmp_path: Path) -> None:
    entries = Entries(["abc", "b"], ["A", "B"], ["A", "B"], None, {}, ())
    enough = [("q", "b")] * 20

    def refused(rows: list[tuple[str, str]], header: str = "question\tid") -> str:
        with pytest.raises(UserError) as error:
            read_questions(str(questions(tmp_path / "q.tsv", rows, header)), entries)
        return str(error.value)

    assert "give at least 20" in refused(enough[1:])
    few = refused([*enough, ("other", "")])
    assert "1 in " in few and "give at least 5 that no entry answers" in few
    unknown = refused([*enough, ("q", "abd"), ("q", "zzz")])
    assert "questions of --tune name entries that the table lacks, as 'abd'" in unknown
    assert "2 rows, line 22, line 23" in unknown and "did you mean 'abc'?" in unknown
    assert "questions of --tune are empty" in refused([*enough, ("", "b")])
    assert "the questions of --tune have no ids" in refused(enough, "question\tlabel")


def test_settings_that_exclude_each_other() -> None:
    given = {"run_or_export": "runs/a", "data": "a.tsv", "to": "models/faq"}

    def refused(**settings: object) -> str:
        with pytest.raises(UserError) as error:
            build(IndexConfig, given | settings)
        return str(error.value)

    assert "exclude each other" in refused(dense_only=True, lexical_only=True)
    assert "--weight has no effect with --dense-only" in refused(dense_only=True, weight=0.5)
    assert "--require needs labelled questions" in refused(require="hybrid.mrr_at_10>0.5")
    assert "--not-worse-than needs labelled questions" in refused(not_worse_than="models/a/1")
    assert "--require is invalid" in refused(require="much", tune="q.tsv")

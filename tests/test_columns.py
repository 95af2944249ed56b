"""Columns found by their names in several languages, pairs of them, and those that are not read."""

from __future__ import annotations

import csv
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tfpipe.data.columns import find_columns
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples
from tfpipe.data.rows import Rows
from tfpipe.data.streaming import TextStream
from tfpipe.errors import UserError
from tfpipe.tasks import TASKS

ROWS = 12


def find(header: str, task: str | None = None, asked: Columns | None = None) -> Columns:
    spec, opened = TASKS[task] if task else None, Rows(header.split(","), iter(()), lambda: 0.0)
    return find_columns(opened, Path("a.csv"), asked or Columns(), False, spec)


@pytest.mark.parametrize(
    "pair",
    [
        *("text_a,text_b", "Text A,Text B", "sentence1,sentence2", "sentence_a,sentence-b"),
        *("sent1,sent2", "text1,text2", "TEXT_1,TEXT_2", "question1,question2", "s1,s2", "q1,q2"),
        *("question,sentence", "question,context", "question,answer", "Question,Answer"),
        *("query,title", "query,passage", "query,document", "query,doc", "query,answer"),
        *("premise,hypothesis", "anchor,positive", "问题,答案", "句子1,句子2", "文本a,文本b"),
        *("text,text_pair",),
    ],
)
def test_known_pairs_are_found_in_any_order(pair: str) -> None:
    first, second = pair.split(",")
    for header in (f"id,{pair},label", f"label,{second},{first}", f"label,title2,{pair}"):
        assert find(header) == Columns(first, second, "label")
        assert find(header, "classify") == Columns(first, second, "label")
    # One of them alone, or named, is no pair; nor is any for a tagger.
    assert find(f"{first},label").text_pair is None
    assert find(f"{pair},label", "tag").text_pair is None
    assert find(f"{pair},label", asked=Columns(second)).text == second


@pytest.mark.parametrize(
    ("header", "task", "found"),
    [
        ("text,title,label", None, ("text", None, "label")),
        ("title,content,label", None, ("content", None, "label")),
        ("title,topic", None, ("title", None, "topic")),
        ("question,label", None, ("question", None, "label")),
        ("text,question,answer,label", "classify", ("text", None, "label")),
        ("id,title,context,question,answers", "qa", ("question", "context", "answers")),
        ("question,answer,context", "qa", ("question", "context", "answer")),
        ("question,passage,answer", "qa", ("question", "passage", "answer")),
        ("text,entities", "tag", ("text", None, "entities")),
        ("text,label,entities", "tag", ("text", None, "label")),
        (
            "id,qid1,qid2,question1,question2,is_duplicate",
            None,
            ("question1", "question2", "is_duplicate"),
        ),
        ("Quality,#1 ID,#2 ID,#1 String,#2 String", None, ("#1 String", "#2 String", "Quality")),
        ("index,sentence1,sentence2,score", "regress", ("sentence1", "sentence2", "score")),
        ("文本,标签", None, ("文本", None, "标签")),
        ("编号,内容,类别", None, ("内容", None, "类别")),
        ("评论,情感", None, ("评论", None, "情感")),
        ("标题,分类", None, ("标题", None, "分类")),
        ("问题,意图", None, ("问题", None, "意图")),
        ("message,intent", None, ("message", None, "intent")),
        ("Review,Sentiment", None, ("Review", None, "Sentiment")),
        ("label_desc,label,sentence", None, ("sentence", None, "label")),
        ("gold_label,sentence1,sentence2", None, ("sentence1", "sentence2", "gold_label")),
        (",text,label", None, ("text", None, "label")),
        ("Unnamed: 0,text,y", None, ("text", None, "y")),
        (
            "annotation_id,annotator,created_at,id,lead_time,mood,text,updated_at",
            None,
            ("text", None, "mood"),
        ),
    ],
)
def test_columns_of_other_names(header: str, task: str | None, found: Sequence[str | None]) -> None:
    assert [*find(header, task).names.values()] == [*found]


def test_an_index_without_a_name_is_no_column_to_offer() -> None:
    with pytest.raises(UserError) as caught:
        find(",Unnamed: 0,words,x", asked=Columns("a"))
    assert "found: columns 'words', 'x'" in str(caught.value)


def table(path: Path, columns: dict[str, list[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def numbered(template: str) -> list[str]:
    return [template.format(i=i, word="abcdefghijklm"[i] * 4) for i in range(ROWS)]


TEXTS = {"text": numbered("the {word} came late"), "label": ["x", "y"] * (ROWS // 2)}


@pytest.mark.parametrize(
    ("name", "values", "noted"),
    [
        ("body", numbered("a longer text about {word}, and more"), True),
        ("abstract", numbered("so {word} it is"), True),
        ("备注", numbered("客户说{word}快递太慢了，要求退款"), True),
        ("message_id", numbered("{word}-{word}-{word}-{word}-0000"), False),
        ("pairID", numbered("a {word} b {word} c {word}"), False),
        ("key", [hashlib.sha256(str(i).encode()).hexdigest() for i in range(ROWS)], False),
        ("page", numbered("https://example.org/{word}/{i}/page.html"), False),
        ("when", numbered("2026-11-{i:02} 10:30:{i:02} +00:00"), False),
        ("sentence1_parse", numbered("(ROOT (S (NP (DT the) ({word}))))"), False),
        ("tree", numbered("(ROOT (S (NP (DT the) ({word}))))"), False),
        ("extra", numbered('{{"a": "long {word} text"}}'), False),
        ("score", numbered("{i}.00000000000000001"), False),
        ("country", ["the united kingdom of {i}"] * ROWS, False),
        ("flag", numbered("{word}"), False),
        ("text_clean", numbered("The {word} came late!"), False),
        ("notes2", [*numbered("a longer text about {word}")[:2], *[""] * (ROWS - 2)], False),
    ],
)
def test_a_column_that_looks_like_text_is_noted(
    tmp_path: Path, name: str, values: list[str], noted: bool
) -> None:
    path = table(tmp_path / "a.csv", {name: values, **TEXTS})
    expected = [
        f"column {name!r} of {path} looks like text and is not read; to read it as the second text,"
        f" give --text-pair {shlex.quote(name)}"
    ]
    found = [*read_examples(path, Columns()).decisions], TextStream(path, Columns(), True).decisions
    assert found == ((expected if noted else []), (expected if noted else []))
    assert not read_examples(path, Columns("text", name)).decisions
    for task, notes in (("classify", noted), ("tag", False)):
        rules = TASKS[task].rules
        assert bool(read_examples(path, Columns(), rules=rules).decisions) == notes


def test_a_third_text_beside_a_pair_is_noted(tmp_path: Path) -> None:
    others = {"premise": numbered("one {word} here"), "hypothesis": numbered("two {word} there")}
    path = table(tmp_path / "a.csv", {**others, "explanation": numbered("as {word} is {word}")})
    (note,) = read_examples(path, Columns(), labelled=False).decisions
    assert note == (
        f"column 'explanation' of {path} looks like text and is not read; to read other columns,"
        " give --text and --text-pair"
    )

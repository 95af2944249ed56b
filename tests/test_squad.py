"""SQuAD files: what they become, and every way in which they can be wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tfpipe.data.squad import GoldAnswer, dump_answers, has_answers, load_answers, read_squad
from tfpipe.errors import UserError

CONTEXT = "Zoë paid 5 € at 😀 Café 北京."


def ask(question: str = "Where?", id: str = "q1", **entry: Any) -> dict:
    return {"question": question, "id": id, "answers": [], **entry}


def answer(text: str, start: int | None = None) -> dict:
    return {"text": text, "answer_start": CONTEXT.index(text) if start is None else start}


def write(path: Path, *qas: dict, context: str = CONTEXT) -> Path:
    content = {"version": "1.1", "data": [{"paragraphs": [{"context": context, "qas": [*qas]}]}]}
    return write_text(path, json.dumps(content))


def write_text(path: Path, text: str) -> Path:
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def refused(path: Path, labelled: bool = True) -> str:
    with pytest.raises(UserError) as caught:
        read_squad(path, labelled)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_examples(tmp_path: Path, name: str) -> None:
    both = [answer("Café 北京"), answer("北京")]
    path = write(
        tmp_path / name,
        ask("Where?", "q1", answers=both),
        ask("Who?", "q2", is_impossible=True, plausible_answers=[answer("Zoë")]),
        ask("What was paid?", "q3", answers=[answer("5 €")], is_impossible=False),
    )
    examples = read_squad(path)
    assert examples.texts == ["Where?", "Who?", "What was paid?"]
    assert examples.text_pairs == [CONTEXT] * 3
    assert examples.labels == ['[[18, "Café 北京"], [23, "北京"]]', "[]", '[[9, "5 €"]]']
    assert examples.columns.text_pair == "context"
    # No copy of the context for each question.
    assert examples.text_pairs[0] is examples.text_pairs[2]


def test_labels_there_and_back() -> None:
    answers = [GoldAnswer(3, 'a "quoted" one\n'), GoldAnswer(0, "😀")]
    assert load_answers(dump_answers(answers)) == answers
    assert load_answers("[]") == []


@pytest.mark.parametrize(
    "label", ["", "Paris", "{}", "[1]", '[["a", 1]]', "[[true, 'a']]", "[[1]]"]
)
def test_what_is_no_label(label: str) -> None:
    with pytest.raises(ValueError):
        load_answers(label)


def test_without_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", {"question": "Where?", "id": "q1"})
    assert read_squad(path, labelled=False).labels is None
    assert "not marked as impossible" in refused(path)


def test_misplaced_answers(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        ask(id="good", answers=[answer("Zoë")]),
        ask(id="shifted", answers=[answer("paid", 5)]),
        ask(id="absent", answers=[answer("London", 0)]),
        ask(id="beyond", answers=[answer("paid", 400)]),
        ask(id="before", answers=[answer("京.", -2)]),
        ask(id="empty", answers=[answer("", 3)]),
    )
    message = refused(path)
    assert message.startswith("5 answers are not in their context")
    assert "shifted: 'paid' at 5, where 'aid ' is (it is at 4)" in message
    assert "absent: 'London' at 0, where 'Zoë pa' is" in message
    assert "good" not in message and "and 2 more" in message


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        ask(" ", "q1", answers=[answer("Zoë")]),
        ask("Where?", "q1", answers=[answer("paid", 0)]),
        ask("Who?", "q2", answers=[answer("Zoë")], is_impossible=True),
        ask("Why?", "q3"),
    )
    message = refused(path)
    for part in (
        "a question is empty",
        "an id occurs more than once",
        "an answer is not in its context",
        "has an answer and is marked as impossible",
        "has no answer and is not marked",
    ):
        assert part in message


def test_empty_context(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", ask(is_impossible=True), context="\n")
    assert "a question's context is empty" in refused(path)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "the file is a list, not an object"),
        ("{}", "the file.data is nothing, not a list"),
        ('{"data": []}', "holds no question"),
        ('{"data": [{"paragraphs": {}}]}', "data[0].paragraphs is an object, not a list"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "paragraphs[0].context is nothing"),
        (
            '{"data": [{"paragraphs": [{"context": "a", "qas": [1]}]}]}',
            "qas[0] is an integer, not an object",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "a", "qas": [{"question": 1}]}]}]}',
            "qas[0].question is an integer, not a string",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "a", "qas": [{"question": "b",'
            ' "answers": [{"text": "a", "answer_start": true}]}]}]}]}',
            "answers[0].answer_start is true or false, not an integer",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "\\ud83d", "qas": []}]}]}',
            "holds invalid text",
        ),
    ],
)
def test_another_shape(tmp_path: Path, content: str, part: str) -> None:
    message = refused(write_text(tmp_path / "a.json", content))
    assert part in message and "a.json" in message


def test_missing_and_binary_files(tmp_path: Path) -> None:
    assert "is missing" in refused(tmp_path / "a.json")
    (tmp_path / "b.json").write_bytes(b'{"data": "\xff"}')
    assert "not valid UTF-8" in refused(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("name", "dev", "several"), [("squad_v1", 2527, 0), ("cmrc2018", 325, 300)]
)
def test_real_files(shared_data: Path, name: str, dev: int, several: int) -> None:
    examples = read_squad(shared_data / name / "dev.json")
    assert len(examples) == dev
    assert examples.labels is not None
    answers = [load_answers(label) for label in examples.labels]
    assert all(answers) and sum(len(a) > 1 for a in answers) >= several


@pytest.mark.parametrize(
    ("entry", "read"),
    [
        ({"answers": [answer("", -1)]}, True),
        ({"answers": [answer("", -1), answer(" ", -1)]}, True),
        ({"answers": [answer("", -1)], "is_impossible": True}, True),
        ({"answers": [answer("", -1)], "is_impossible": False}, False),
        ({"answers": [answer("", 0)]}, False),
        ({"answers": [answer("paid", -1)]}, False),
        ({"answers": [answer("", -1), answer("Zoë")]}, False),
    ],
)
def test_no_answer_by_its_place(entry: dict, read: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", ask(id="good", answers=[answer("Zoë")]), ask(**entry))
    if read:
        examples = read_squad(path)
        assert examples.labels == ['[[0, "Zoë"]]', "[]"] and has_answers(path)
        assert [*examples.decisions] == [
            f"{path}: questions read as without an answer, for theirs starts at -1 and has no text:"
            " 1"
        ]
        assert not read_squad(path, labelled=False).decisions
    else:
        assert "a question without an answer has `answers: []`, and is_impossible true" in refused(
            path
        )

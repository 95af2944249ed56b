"""Labels that are lists or tables, as annotation tools and data hubs write them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.read_examples import read_examples
from tfpipe.data.splits import read_for, read_splits
from tfpipe.data.streaming import TextStream
from tfpipe.doctoring.task_of_labels import find_task
from tfpipe.errors import UserError
from tfpipe.tasks import TASKS

Rows = Sequence[dict[str, Any]]


def write(path: Path, rows: Rows) -> str:
    """Write rows as JSON lines, parquet, or a table with lists as JSON or as Python prints them."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist([*rows]), path)
    else:
        form = json.dumps if path.stem == "json" else str
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(rows[0])
            for row in rows:
                cells = row.values()
                writer.writerow([c if isinstance(c, str) else form(c) for c in cells])
    return str(path)


def read(path: str, task: str) -> Examples:
    return read_for(path, Columns(), TASKS[task].rules)


TEXT = "Ann Lee moved to Rome"
ENTITIES = '[[0, 7, "person"], [17, 21, "place"]]'
PLACES = [(17, 21, "place"), (0, 7, "person")]
ANSWER = {"question": "Who moved?", "context": TEXT, "title": "t"}
TOKENS = TEXT.split()
TAGS = ["B-person", "I-person", "O", "O", "B-place"]
OF = "the color is red"
# By task: the columns of two rows, and their labels as a table has them.
FORMS: dict[str, tuple[str, Rows, list[str]]] = {
    "doccano-classes": (
        "classify",
        [{"id": 1, "text": "a", "label": ["good"]}, {"id": 2, "text": "b", "label": ["bad"]}],
        ["good", "bad"],
    ),
    "label-studio": (
        "classify",
        [
            {"text": "a", "sentiment": {"choices": ["good"]}},
            {"text": "b", "sentiment": {"choices": ["bad"]}},
        ],
        ["good", "bad"],
    ),
    "numbers": (
        "regress",
        [{"text": "a", "label": [3.5]}, {"text": "b", "label": [1.25]}],
        ["3.5", "1.25"],
    ),
    "several": (
        "multilabel",
        [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": ["z"]}],
        ["x|y", "z"],
    ),
    "none": (
        "multilabel",
        [{"text": "a", "labels": ["x"]}, {"text": "b", "labels": []}],
        ["x", ""],
    ),
    "several-choices": (
        "multilabel",
        [
            {"text": "a", "label": {"choices": ["x", "y"]}},
            {"text": "b", "label": {"choices": ["y"]}},
        ],
        ["x|y", "y"],
    ),
    "doccano-entities": (
        "tag",
        [
            {
                "text": TEXT,
                "entities": [
                    {"id": 1, "start_offset": start, "end_offset": end, "label": kind}
                    for start, end, kind in PLACES
                ],
                "relations": [],
            }
        ],
        [ENTITIES],
    ),
    "prodigy-spans": (
        "tag",
        [
            {
                "text": TEXT,
                "spans": [{"start": s, "end": e, "label": kind} for s, e, kind in PLACES],
                "answer": "accept",
            }
        ],
        [ENTITIES],
    ),
    "label-studio-spans": (
        "tag",
        [
            {
                "text": TEXT,
                "label": [
                    {"start": s, "end": e, "text": TEXT[s:e], "labels": [kind]}
                    for s, e, kind in PLACES
                ],
            }
        ],
        [ENTITIES],
    ),
    "tokens": ("tag", [{"id": "0", "tokens": TOKENS, "ner_tags": TAGS}], [ENTITIES]),
    "tokens-tags": ("tag", [{"words": TOKENS, "tags": TAGS}], [ENTITIES]),
    "squad": (
        "qa",
        [ANSWER | {"answers": {"text": ["Ann Lee", "Ann"], "answer_start": [0, 0]}}],
        ['[[0, "Ann Lee"], [0, "Ann"]]'],
    ),
    "squad-list": (
        "qa",
        [ANSWER | {"answers": [{"text": "Rome", "answer_start": 17}]}],
        ['[[17, "Rome"]]'],
    ),
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "json.csv", "python.csv"])
@pytest.mark.parametrize("form", FORMS)
def test_lists_and_tables_are_labels(form: str, name: str, tmp_path: Path) -> None:
    task, rows, labels = FORMS[form]
    path = write(tmp_path / name, rows)
    found = read(path, task)
    assert found.labels == labels and not found.decisions
    texts = [row.get("question", row.get("text", TEXT)) for row in rows]
    assert found.texts == texts
    assert found.text_pairs == ([TEXT] if task == "qa" else None)
    (window,) = TextStream(Path(path), Columns(), False).windows(9)
    assert (window.texts, window.text_pairs) == (texts, found.text_pairs)
    # The doctor finds the task, and reads the same for it.
    examples = read_examples(path, Columns(), labelled=False)
    assert find_task(Path(path), examples)[0] == (task if task != "regress" else "classify")


def test_entities_as_lists_in_any_order(tmp_path: Path) -> None:
    rows = [{"text": TEXT, "label": [[*span] for span in PLACES]}, {"text": "no", "label": []}]
    for name in ("a.jsonl", "json.csv", "python.csv"):
        assert read(write(tmp_path / name, rows), "tag").labels == [ENTITIES, "[]"]


@pytest.mark.parametrize(
    ("task", "label", "wrong", "fix"),
    [
        ("classify", ["a", "b"], "a row has several labels, in 2 of 3 rows", "--task multilabel"),
        ("classify", {"choices": ["a", "b"]}, "a row has several labels", "--task multilabel"),
        ("classify", [[0, 1, "x"]], "a label is a list or table", "--task tag"),
        ("classify", {"a": 1}, "a label is a list or table", 'write one name, or ["name"]'),
        ("classify", [], "2 of 3 rows have no label", "fill in the labels"),
        ("multilabel", ["a|b"], "a label holds '|'", "rename"),
        ("multilabel", {"a": ["b"]}, "a label is a list or table", "write"),
        ("multilabel", ["a", "a"], "a row has a label twice", "write them"),
        ("regress", ["a"], "a label is not a number", "write them"),
        ("regress", [1, 2], "a label is not a number, in 2 of 3 rows", "write them"),
        ("tag", ["a"], "an entity is not [start, end, type]", "write [[0, 6"),
        ("tag", {"a": 1}, "a label is not a list of entities", "write [[0, 6"),
        ("tag", [{"start": 0, "end": 1}], "an entity is not [start", "write [[0, 6"),
        ("qa", {"text": ["a"], "answer_start": []}, "a label is not a list of answers", "write"),
    ],
)
def test_what_is_no_label_is_told_with_its_rows(
    task: str, label: Any, wrong: str, fix: str, tmp_path: Path
) -> None:
    good = {"tag": [], "qa": [], "regress": 1}.get(task, "a")
    texts = {"question": "a", "context": "b"} if task == "qa" else {"text": "a"}
    rows = [texts | {"label": value} for value in (good, label, label)]
    with pytest.raises(UserError) as caught:
        read(write(tmp_path / "a.jsonl", rows), task)
    assert wrong in caught.value.wrong and fix in caught.value.fix
    assert "line 2 " in caught.value.found and "line 3 " in caught.value.found


@pytest.mark.parametrize(
    ("tokens", "tags", "wrong"),
    [
        (["a", "b"], [0, 1], "tags are numbers, and the file does not say what they are called"),
        (["a", "b"], ["0", "1"], "tags are numbers, and the file does not say"),
        (["a", "b"], ["O", "B"], "a tag is not of BIO, IOB1 or BIOES"),
        (["a", "b", "c"], ["B-x", "O", "I-x"], "a tag sequence breaks BIO"),
    ],
)
def test_tags_that_cannot_be_read(
    tokens: list[str], tags: list[Any], wrong: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", [{"tokens": tokens, "tags": tags}])
    with pytest.raises(UserError) as caught:
        read(path, "tag")
    assert wrong in caught.value.wrong and "row 1: " in caught.value.found


def test_numbers_of_tags_have_the_names_that_a_parquet_file_carries(tmp_path: Path) -> None:
    names = ["O", "B-person", "I-person", "B-place"]
    rows = [{"tokens": TOKENS, "ner_tags": [1, 2, 0, 0, 3]}]
    tags = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}
    features = {"tokens": {"feature": {"dtype": "string"}}, "ner_tags": tags}
    carried = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.Table.from_pylist(rows).replace_schema_metadata(carried)
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert read(str(tmp_path / "a.parquet"), "tag").labels == [ENTITIES]
    # Numbers without a name, or a file with other notes of its own.
    for broken in ({}, {"huggingface": "{"}, {"huggingface": '{"info": {"features": 1}}'}):
        pyarrow.parquet.write_table(table.replace_schema_metadata(broken), tmp_path / "b.parquet")
        with pytest.raises(UserError, match="tags are numbers"):
            read(str(tmp_path / "b.parquet"), "tag")


def test_chinese_tokens_are_joined_without_spaces(tmp_path: Path) -> None:
    rows = [{"tokens": [*"陈小满去北京"], "ner_tags": ["B-p", "I-p", "I-p", "O", "B-l", "I-l"]}]
    found = read(write(tmp_path / "a.jsonl", rows), "tag")
    assert (found.texts, found.labels) == (["陈小满去北京"], ['[[0, 3, "p"], [4, 6, "l"]]'])
    assert found.columns == Columns("tokens", None, "ner_tags")


@pytest.mark.parametrize("form", ["table", "list", "rows"])
def test_no_answer_by_its_place(form: str, tmp_path: Path) -> None:
    none: dict[str, Any] = {
        "table": {"text": [""], "answer_start": [-1]},
        "list": [{"text": " ", "answer_start": -1}],
        "rows": [[-1, ""]],
    }
    good = {"text": ["red"], "answer_start": [13]}
    rows = [{"question": "q", "context": OF, "answers": a} for a in (good, none[form], none[form])]
    path = write(tmp_path / "a.jsonl", rows)
    found = read(path, "qa")
    assert found.labels == ['[[13, "red"]]', "[]", "[]"]
    assert [*found.decisions] == [
        f"{path}: questions read as without an answer, for theirs starts at -1 and has no text: 2"
    ]


# ---- rows that annotators did not accept ------------------------------------------------------


def test_rows_rejected_in_prodigy_are_left_out(tmp_path: Path) -> None:
    answers = ["accept", "reject", "accept", "ignore", "reject"]
    rows = [{"text": f"t{i}", "label": "xy"[i % 2], "answer": a} for i, a in enumerate(answers)]
    for name in ("a.jsonl", "a.csv"):
        path = write(tmp_path / name, rows)
        found = read(path, "classify")
        assert (found.texts, found.labels) == (["t0", "t2"], ["x", "x"])
        assert [*found.decisions] == [
            f"3 rows of {path} are rejected or ignored in Prodigy, and left out"
        ]
        # All rows are answered.
        (window,) = TextStream(Path(path), Columns(), False).windows(9)
        assert len(window.texts) == 5
    choices = [{"text": "a", "options": [], "accept": ["x"], "answer": "accept"}]
    choices += [{"text": "b", "options": [], "accept": [], "answer": "reject"}]
    found = read(write(tmp_path / "b.jsonl", choices), "classify")
    assert (found.labels, found.columns.label) == (["x"], "accept")
    with pytest.raises(UserError, match="no row of the data file is left"):
        read(write(tmp_path / "c.jsonl", rows[1:2]), "classify")


def test_answers_of_other_words_are_not_prodigys(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": a, "label": "x"} for a in ("accept", "reject it", "no")]
    found = read(write(tmp_path / "a.jsonl", rows), "classify")
    assert found.text_pairs == ["accept", "reject it", "no"] and not found.decisions
    rows = [{"text": "q", "answer": a} for a in ("accept", "reject")]
    found = read_for(
        write(tmp_path / "b.jsonl", rows), Columns(label="answer"), TASKS["classify"].rules
    )
    assert found.labels == ["accept", "reject"]


def test_pairs_of_snli_without_gold_are_left_out(tmp_path: Path) -> None:
    labels = ["entailment", "-", "neutral", "-"]
    rows = [{"gold_label": x, "sentence1": "a", "sentence2": "b"} for x in labels]
    path = write(tmp_path / "a.jsonl", rows)
    found = read(path, "classify")
    assert found.labels == ["entailment", "neutral"] and found.text_pairs == ["b", "b"]
    assert [*(found.lines or ())] == [1, 3]
    assert [*found.decisions] == [
        f"2 rows of {path} are without a gold label ('-', as annotators did not agree), and left"
        " out"
    ]


@pytest.mark.parametrize("mark", ["-", "--", "?", "N/A", "n/a", "null", "NULL", "none", "无"])
def test_labels_that_may_stand_for_none_are_noted(mark: str, tmp_path: Path) -> None:
    labels = ["a", "b", mark, "a", "b", mark] * 3
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]
    path = write(tmp_path / "a.jsonl", rows)
    expected = [
        f"the label {mark!r} (6 rows: 3, 6, 9, ...) of {path} may stand for no label: leave these"
        " rows out if it does"
    ]
    found = read(path, "classify")
    assert [*found.decisions] == expected and found.labels == labels
    parts = read_splits(path, "0.2", None, Columns(), 1, TASKS["classify"].rules)
    assert [*parts.decisions] == expected


def test_signs_are_labels(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": label} for label in ("+", "-")]
    assert not read(write(tmp_path / "a.jsonl", rows), "classify").decisions

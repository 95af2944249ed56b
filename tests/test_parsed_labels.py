"""Labels are parsed once, by reading, and stay with the rows they belong to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import KINDS, tiny_config
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.labels import find_unknown, parsed_labels
from tfpipe.data.read_examples import read_examples
from tfpipe.data.spans import Span
from tfpipe.data.splits import read_for, read_splits
from tfpipe.data.squad import GoldAnswer
from tfpipe.run_folder import as_json_lines
from tfpipe.tasks import TASKS
from tfpipe.tasks.qa import labels as qa_labels
from tfpipe.tasks.tag import labels as tag_labels
from tfpipe.train import train


def as_table(task: str, folder: Path, rows: int) -> Path:
    """A .jsonl with the rows of the task's sample file, each text different."""
    kind, path = KINDS[task], folder / "rows.jsonl"
    file = kind.write(folder / kind.file, rows=rows)
    examples = read_examples(file, Columns(), optional_label=True)
    path.write_text(as_json_lines(examples), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "task, module, parser",
    [
        pytest.param("tag", tag_labels, "parse_spans", marks=pytest.mark.slow),
        ("qa", qa_labels, "load_answers"),
    ],
)
def test_a_training_parses_each_label_once(
    task: str, module: Any, parser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = as_table(task, tmp_path, rows=48)
    labels = read_examples(path, Columns()).labels
    parsed = Counter[str]()
    parse = getattr(module, parser)

    def counting(label: str, *rest: Any) -> Any:
        parsed[label] += 1
        return parse(label, *rest)

    monkeypatch.setattr(module, parser, counting)
    run = train(tiny_config(tmp_path, train=str(path), task=task, epochs=1, test=None))
    assert (run.folder / "report.html").is_file()
    assert len(labels or ()) == 48 and parsed == Counter(labels)


@pytest.mark.parametrize("task", TASKS)
def test_parsed_labels_stay_with_their_rows(task: str, tmp_path: Path) -> None:
    rules = TASKS[task].rules
    path = str(KINDS[task].write(tmp_path / KINDS[task].file, rows=80))
    whole = read_for(path, Columns(), rules)
    value_of = dict(zip(whole.texts, whole.parsed or (), strict=True)) if task != "qa" else {}
    parts = read_splits(path, "0.2", None, Columns(), 1, rules)
    assert len(parts.train) + len(parts.dev) == 80
    for part in (parts.train, parts.dev):
        again = rules.parse_labels(part)
        assert part.parsed == again and len(again) == len(part)
        assert not value_of or part.parsed == [value_of[text] for text in part.texts]
        assert part.take([2, 0]).parsed == [again[2], again[0]]


def test_values_of_each_task() -> None:
    def parse(task: str, *labels: str) -> list[Any]:
        examples = Examples(["ann in rome"] * len(labels), None, labels, "a.tsv", Columns())
        return list(parsed_labels(examples, TASKS[task].rules))

    assert parse("classify", "a|b", "c") == ["a|b", "c"]
    assert parse("multilabel", "a|b", "") == [("a", "b"), ()]
    assert parse("regress", "3.50", "1e3") == [3.5, 1000.0]
    assert parse("tag", '[[0, 3, "person"]]', "[]") == [(Span(0, 3, "person"),), ()]
    assert parse("qa", '[[7, "rome"]]', "[]") == [(GoldAnswer(7, "rome"),), ()]


@pytest.mark.parametrize("task", TASKS)
def test_the_class_of_a_task_has_its_rules(task: str) -> None:
    spec = TASKS[task]
    assert issubclass(spec.task_class, spec.rules) and spec.rules.name == task


def test_rows_of_names_that_train_does_not_have() -> None:
    def unknown(task: str, known: list[str], *labels: str) -> dict[str, list[int]]:
        examples = Examples(["ann in rome"] * len(labels), None, labels, "a.tsv", Columns())
        return find_unknown(examples, known, TASKS[task].rules)

    assert unknown("classify", ["a"], "c", "a", "b", "c") == {"b": [2], "c": [0, 3]}
    assert unknown("multilabel", ["a"], "a|c", "", "c|b") == {"b": [2], "c": [0, 2]}
    assert unknown("tag", ["per"], '[[0, 3, "per"], [7, 11, "loc"]]', "[]") == {"loc": [0]}
    assert unknown("regress", [], "1") == unknown("qa", [], '[[7, "rome"]]') == {}

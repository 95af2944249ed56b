"""What changes between two models' answers, and the words and the table that tell it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfpipe.comparing.changes import (
    LabelChange,
    count_kinds,
    find_changes,
    label_changes,
    write_changes,
)
from tfpipe.comparing.result import Comparison
from tfpipe.comparing.table import render_table
from tfpipe.errors import UserError
from tfpipe.stats.bootstrap import Difference
from tfpipe.stats.mcnemar import Agreement
from tfpipe.tasks.paired import Pair, Side


def pair(
    a: str, b: str, quality_a: list[float], quality_b: list[float], gold: str, graded: bool = False
) -> Pair:
    """Answers of one letter each."""

    def side(answers: str, quality: list[float], by_label: list[dict] | None = None) -> Side:
        right = np.array([said == g for said, g in zip(answers, gold, strict=True)])
        scores = [0.5] * len(answers)
        return Side(lambda _: {}, list(answers), scores, np.array(quality), right, by_label or [])

    sides = side(a, quality_a), side(b, quality_b)
    sizes = np.ones(len(gold), int)
    return Pair(sizes, list(gold), *sides, Agreement(0, 0, 0, 0), "quality", graded)


def test_changes(tmp_path: Path) -> None:
    texts = ["t1", "tab\there", "line\nbreak", "t4"]
    both = pair("xyzx", "xxyz", [0.9, 0.5, 0.1, 0.2], [0.8, 0.1, 0.6, 0.3], "xyyy")
    changes = find_changes(texts, both)
    assert [(change.row, change.kind) for change in changes] == [
        *((3, "wrong to right"), (2, "right to wrong"), (4, "wrong otherwise"))
    ]
    assert count_kinds(changes) == {"wrong to right": 1, "right to wrong": 1, "wrong otherwise": 1}
    write_changes(tmp_path / "c.tsv", changes)
    lines = (tmp_path / "c.tsv").read_text().splitlines()
    assert lines[1].split("\t")[:5] == ["wrong to right", "3", "line break", "y", "z"]
    assert len(lines) == 4 and {line.count("\t") for line in lines} == {9}
    with pytest.raises(UserError, match="cannot be written"):
        write_changes(tmp_path / "none" / "c.tsv", changes)


def test_wrong_answers_that_get_nearer_or_further_off() -> None:
    qualities = [-1.0, -2.0, -1.0, 0.0], [-0.5, -3.0, -1.0, 0.0]
    changes = find_changes(["t"] * 4, pair("abcd", "efgd", *qualities, "0000", graded=True))
    assert {change.a: change.kind for change in changes} == {
        "a": "wrong, but nearer",
        "b": "wrong, and further off",
        "c": "wrong otherwise",
    }


def test_answers_may_differ_and_both_be_right() -> None:
    both = pair("ab", "bb", [1.0, 1.0], [1.0, 1.0], "ab")
    both = replace(both, b=replace(both.b, right=np.array([True, True])))
    assert count_kinds(find_changes(["t", "u"], both)) == {"both right": 1}


def test_label_changes() -> None:
    def rows(f1: dict[str, float], support: int = 3) -> list[dict]:
        return [
            {"label": name, "recall": 0.5, "f1": value, "support": support * (name != "never")}
            for name, value in f1.items()
        ]

    a = rows({"x": 0.5, "y": 0.4, "never": 0.0, "only a": 0.9})
    b = rows({"never": 0.0, "y": 0.9, "x": 0.4})
    both = pair("x", "x", [0.0], [0.0], "x")
    both = replace(both, a=replace(both.a, by_label=a), b=replace(both.b, by_label=b))
    y, x = label_changes(both)
    assert (y.label, y.support, y.f1_a, y.f1_b, y.recall_a) == ("y", 3, 0.4, 0.9, 0.5)
    assert (x.label, x.f1_a, x.f1_b) == ("x", 0.5, 0.4)


def comparison(low: float, high: float, only_a: int, only_b: int, **values: object) -> Comparison:
    difference = Difference("accuracy", 0.5, 0.5 + (low + high) / 2, low, high, 0.01, 99, "max")
    changes = find_changes(["\x1b[31mt\n"], pair("y", "x", [0.1], [0.9], "x"))
    settings: dict = {"notes": [], "labels": [], "changes": changes} | values
    counts = Agreement(50, only_a, only_b, 10)
    return Comparison("a", "b", "d", 100, 0.95, [difference], counts, **settings)


@pytest.mark.parametrize(
    "found, better, sentence",
    [
        (
            comparison(0.008, 0.034, 2, 20),
            "B",
            "B is better: accuracy +0.021 from A to B, 95 % interval +0.008 to +0.034",
        ),
        (
            comparison(-0.034, -0.008, 20, 2),
            "A",
            "A is better: accuracy -0.021 from A to B, 95 % interval -0.034 to -0.008",
        ),
        (comparison(-0.01, 0.03, 2, 4), None, "100 texts do not show which is better"),
        # Four texts to none: the interval leaves out zero, the exact test has p = 0.125.
        (comparison(0.01, 0.08, 0, 4), None, "but p = 0.12 in the exact test"),
        (
            comparison(0.008, 0.034, 2, 20, trained_on={"A": 0, "B": 18}),
            None,
            "but B was trained on them",
        ),
        (comparison(0.008, 0.034, 2, 20, trained_on={"A": 30, "B": None}), "B", "B is better"),
        (comparison(0.008, 0.034, 2, 20, trained_on={"A": 0, "B": 17}), "B", "B is better"),
        (comparison(0, 0, 0, 0, changes=[]), None, "A and B give the same answers to all 100"),
        # How many are answered better is not what a correlation asks: few of them matter alone.
        (comparison(0.01, 0.08, 30, 20, graded=True), "B", "B is better"),
        (comparison(0.01, 0.08, 0, 4, graded=True), None, "but p = 0.12 in the exact test"),
    ],
)
def test_the_verdict(found: Comparison, better: str | None, sentence: str) -> None:
    assert found.better == better
    assert sentence in found.verdict
    reported = found.as_json(10)
    assert reported["better"] == better and json.loads(json.dumps(reported)) == reported


def test_the_table_steers_no_terminal_and_keeps_its_columns() -> None:
    names = ["退款查询", "a" * 90, "x\x1b[31m"]
    labels = [LabelChange(name, 3, 0.5, 0.6, 0.5, 0.6) for name in names]
    reported = comparison(0.008, 0.034, 2, 20, labels=labels, notes=["n"])
    lines = list(render_table(reported, 10))
    assert all(line.isprintable() for line in lines)
    assert "Note: n." in lines
    assert max(map(len, lines)) < 130
    header = next(line for line in lines if line.startswith("  metric"))
    (row,) = (line for line in lines if line.startswith("  accuracy"))
    assert header.split()[-1] == "p" and row.split()[-1] == "0.010"
    assert "    gold x; A y; B x" in lines
    assert not any("change most" in line for line in render_table(comparison(0, 1, 2, 3), 0))
    graded = list(render_table(comparison(0, 1, 2, 3, graded=True), 0))
    assert "3 answered better by B, 2 by A, 60 alike; exact sign test: p = 1" in graded


def test_json_has_no_nan() -> None:
    unknown = Difference("pearson", float("nan"), 0.5, float("nan"), float("nan"), 1.0, 9, "max")
    reported = replace(comparison(0, 1, 2, 3), differences=[unknown]).as_json(3)
    assert reported["figures"]["pearson"]["a"] is None and reported["better"] is None
    json.dumps(reported, allow_nan=False)

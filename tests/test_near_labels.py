"""Labels that are probably one, and those that look so and are two."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfpipe.data import near_labels
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.near_labels import LabelNotes, find_near_labels, fold
from tfpipe.tasks import TASKS


def rows_of(**counts: int) -> list[str]:
    return [label for label, count in counts.items() for _ in range(count)]


def pairs(labels: Sequence[str]) -> list[tuple[str, str, bool]]:
    """The rare label, the frequent one, and whether a typing error is what they differ in."""
    return [(p.rare.label, p.frequent.label, p.typo) for p in find_near_labels(labels)]


@pytest.mark.parametrize(
    "other",
    [
        *("Credit Card", "CREDIT CARD", "credit  card", "credit\u00a0card", "credit\u3000card"),
        *("ｃｒｅｄｉｔ card", "cre\u200bdit card", "credit\tcard"),
    ],
)
def test_labels_that_differ_in_case_width_or_spaces(other: str) -> None:
    assert pairs(["credit card", "credit card", other]) == [(other, "credit card", False)]


def test_equal_after_folding() -> None:
    assert fold("Straße") == fold("STRASSE") and fold("é") == fold("e\u0301")
    assert fold("ﾊﾞｽ") == fold("バス") and fold("①") == fold("１") == "1"
    assert fold("card") != fold("cart")


@pytest.mark.parametrize("typo", ["refnud", "refun", "refundd", "rafund", "Refnud", "erfund"])
def test_one_edit_from_a_label_ten_times_as_frequent(typo: str) -> None:
    labels = rows_of(refund=20) + [typo] * 2
    assert pairs(labels) == [(typo, "refund", True)]
    assert pairs(labels + [typo]) == []


@pytest.mark.parametrize(
    ("frequent", "rare"),
    [
        *(
            ("A1", "A2"),
            ("class_10", "class_11"),
            ("class_1", "class_11"),
            ("class_12", "class_21"),
        ),
        *(("1", "2"), ("10", "100"), ("3.5", "3.6"), ("2024", "2025"), ("第一季度", "第二季度")),
        *(("bad", "bed"), ("cat", "cats"), ("type_a", "type_b"), ("plan x", "plan y")),
        *(("typeA", "typeB"), ("put in", "put on"), ("refund", "refudn x"), ("card", "dirt")),
    ],
)
def test_what_is_no_typing_error(frequent: str, rare: str) -> None:
    assert pairs([frequent] * 50 + [rare]) == []


def test_words_apart_are_one_edit_from_words_together() -> None:
    assert pairs(["credit_card"] * 10 + ["creditcard"]) == [("creditcard", "credit_card", True)]
    assert pairs(["credit_card"] * 10 + ["credit card"]) == [("credit card", "credit_card", True)]


def test_each_label_with_its_count_and_first_rows() -> None:
    labels = ["good", "Good", "good", "bad"] * 4 + ["good"] * 40 + ["GOOD", "goood"]
    spelling, other, typo = find_near_labels(labels)
    assert (spelling.rare.label, spelling.rare.count, spelling.rare.rows) == ("Good", 4, [2, 6, 10])
    assert (other.rare.label, other.rare.count, other.rare.rows) == ("GOOD", 1, [57])
    assert str(spelling) == (
        "the labels 'good' (48 rows: 1, 3, 5, ...) and 'Good' (4 rows: 2, 6, 10, ...) differ in"
        " case, width or spaces alone: write them alike if they are one label"
    )
    assert str(typo) == (
        "the label 'goood' (1 row: 58) is one edit from 'good' (48 rows: 1, 3, 5, ...): correct it"
        " if it is a typing error"
    )


def parsed(task: str, *labels: str) -> Sequence[Any]:
    examples = Examples(["a b c"] * len(labels), None, labels, "a.tsv", Columns())
    return TASKS[task].rules.parse_labels(examples)


def test_the_names_in_labels_are_compared() -> None:
    several = parsed("multilabel", "card|Refund", "card|refund", "card|refund", "")
    (pair,) = find_near_labels(several, TASKS["multilabel"].rules.names_in)
    assert (pair.rare.label, pair.frequent.label) == ("Refund", "refund")
    assert (pair.rare.rows, pair.frequent.rows) == ([1], [2, 3])
    entities = ['[[0, 1, "PER"]]', "[]", '[[0, 1, "per"], [2, 3, "per"]]', '[[0, 1, "per"]]']
    tagged = parsed("tag", *entities)
    (pair,) = find_near_labels(tagged, TASKS["tag"].rules.names_in)
    assert (pair.rare.label, pair.frequent.count, pair.frequent.rows) == ("PER", 2, [3, 4])
    assert find_near_labels([1.0, 1.0, 2.0], TASKS["regress"].rules.names_in) == []


def test_notes_count_what_they_leave_out() -> None:
    labels = [f"name {letter * 4}" for letter in "abcdefghijkl"]
    near = find_near_labels([*labels, *map(str.upper, labels)])
    reported = list(LabelNotes({"a.csv": 1, "b.csv": 1200}, near))
    assert reported[:2] == [
        "1 label of a.csv had blanks around it; they were removed",
        "1,200 labels of b.csv had blanks around them; they were removed",
    ]
    assert len(reported) == 2 + 10 + 1 and reported[-1] == "2 more pairs of labels are nearly equal"
    assert list(LabelNotes()) == []


def distance(one: str, other: str) -> int:
    """Optimal string alignment: Levenshtein's, and neighbours that are exchanged."""
    table = [[i + j for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i, a in enumerate(one, start=1):
        for j, b in enumerate(other, start=1):
            above, left, both = table[i - 1][j], table[i][j - 1], table[i - 1][j - 1]
            table[i][j] = min(above + 1, left + 1, both + (a != b))
            if i > 1 and j > 1 and one[i - 2 : i] == b + other[j - 2]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


@given(st.text("ab", min_size=4, max_size=7), st.text("ab", min_size=4, max_size=7))
def test_one_edit_is_what_the_table_of_distances_says(one: str, other: str) -> None:
    expected = [(other, one, True)] if distance(one, other) == 1 else []
    assert pairs([one] * 10 + [other]) == expected


def test_a_thousand_labels_cost_little() -> None:
    words = [f"{a}{b}{c} request" for a in "kmnprstvwz" for b in "aeiouyäöüß" for c in "bdfghjklmn"]
    labels = [word for n, word in enumerate(words) for _ in range(1 if n % 2 else 20)]
    began = time.process_time()
    assert len(find_near_labels(labels)) > 100
    assert time.process_time() - began < 2
    assert len(words) == 1000 and near_labels.LONGEST < 100
    find_near_labels([f"{'long text ' * 50}{n}" for n in range(5000)])
    assert time.process_time() - began < 4

"""Answers held against answers: what counts as different, and what nothing may hide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfpipe.exporting.answer_parity import (
    EXACT,
    NARROW,
    NARROW_EDGES,
    TOLERANCE,
    Parity,
    compare_answers,
    compare_batches,
)
from tfpipe.exporting.clean_process import Answers

NAN = float("nan")


def classified(labels: list[str], scores: list[float]) -> Answers:
    return {"label": np.array(labels, np.str_), "score": np.array(scores, np.float32)}


def tagged(*rows: list[tuple[str, int, float]], width: int = 0) -> Answers:
    """Entities with where they begin and their scores, filled up as the served graph does."""
    shape = len(rows), max([width, *map(len, rows)])
    filled: list[list[Any]] = [[*row, *[("", -1, -1.0)] * (shape[1] - len(row))] for row in rows]
    columns = [[[entity[i] for entity in row] for row in filled] for i in range(3)]
    return {
        name: np.array(column, kind).reshape(shape)
        for name, kind, column in zip(
            ("entity", "start", "score"), (np.str_, "i4", "f4"), columns, strict=True
        )
    }


ANN, BOB, ROME = ("ann", 0, 0.9), ("bob", 4, 0.8), ("rome", 8, 0.7)


# ---- tables of different widths -------------------------------------------------------------


def test_empty_columns_are_no_difference() -> None:
    narrow, wide = tagged([ANN], [], [BOB, ROME]), tagged([ANN], [], [BOB, ROME], width=5)
    for pair in ((narrow, wide), (wide, narrow), (wide, wide)):
        assert compare_answers(*pair) == Parity(3, 0, 0.0)
    assert compare_answers(tagged([], []), tagged([], [], width=3)) == Parity(2, 0, 0.0)


def test_entities_too_many_too_few_and_elsewhere() -> None:
    expected = tagged([ANN, BOB], [ROME], [])
    fewer, more = tagged([ANN], [ROME], []), tagged([ANN, BOB, ROME], [ROME], [])
    for pair in ((fewer, expected), (expected, fewer), (more, expected), (expected, more)):
        assert compare_answers(*pair) == Parity(3, 1, 0.0)
    moved = tagged([ANN, ("bob", 5, 0.8)], [ROME], [BOB])
    assert compare_answers(moved, expected).other_labels == 2
    assert not compare_answers(moved, expected).holds


def test_a_score_is_compared_where_the_entity_is_the_same() -> None:
    expected = tagged([ANN, BOB], [ROME])
    other = tagged([ANN, ("rob", 4, 0.1)], [ROME])
    assert compare_answers(other, expected) == Parity(2, 1, 0.0)
    elsewhere = tagged([ANN, ("bob", 5, 0.1)], [ROME])
    assert compare_answers(elsewhere, expected) == Parity(2, 1, 0.0)
    unsure = tagged([("ann", 0, 0.6), ("rob", 4, 0.1)], [ROME])
    found = compare_answers(unsure, expected)
    assert found.other_labels == 1 and found.largest_difference == pytest.approx(0.3)
    within = tagged([ANN, BOB], [("rome", 8, 0.7 + 0.02)])
    assert not compare_answers(within, expected).holds
    assert compare_answers(within, expected).within(NARROW)


def test_a_label_s_score_but_every_column_of_scores() -> None:
    here = classified(["a", "b"], [0.9, 0.6]) | {
        "scores": np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    }
    flipped = classified(["a", "a"], [0.9, 0.9]) | {"scores": here["scores"]}
    assert compare_answers(flipped, here) == Parity(2, 1, 0.0)
    far = flipped | {"scores": np.array([[0.9, 0.1], [0.9, 0.1]], np.float32)}
    assert compare_answers(far, here).largest_difference == pytest.approx(0.5)


# ---- what nothing may hide ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ann", "rob"])
@pytest.mark.parametrize("expected_too", [False, True])
def test_what_is_no_number_is_seen_whatever_it_is_of(name: str, expected_too: bool) -> None:
    expected = tagged([("ann", 0, NAN if expected_too else 0.9)], [ROME, BOB])
    found = compare_answers(tagged([(name, 0, NAN)], [ROME, BOB]), expected)
    assert np.isnan(found.largest_difference)
    assert not any(found.within(bounds) for bounds in (EXACT, NARROW, NARROW_EDGES))
    # A difference before or after it does not stand for it.
    for row in range(3):
        scores = np.array([0.1, 0.2, 0.3], np.float32)
        scores[row] = NAN
        found = compare_answers({"score": scores}, {"score": np.array([0.9, 0.2, 0.4], np.float32)})
        assert np.isnan(found.largest_difference) and not found.within(NARROW_EDGES)


def test_an_endless_score_is_no_score() -> None:
    here = classified(["a"], [0.5])
    found = compare_answers(classified(["a"], [float("inf")]), here)
    assert not any(found.within(bounds) for bounds in (EXACT, NARROW, NARROW_EDGES))


def test_other_outputs_are_no_answer() -> None:
    expected = tagged([ANN, BOB], [])
    for wrong in (
        {name: values for name, values in expected.items() if name != "start"},
        expected | {"more": np.zeros(2, np.float32)},
        expected | {"start": np.zeros(2, np.int32)},
        tagged([ANN, BOB]),
        {},
    ):
        with pytest.raises(RuntimeError, match="gives outputs of shape"):
            compare_answers(wrong, expected)
    with pytest.raises(RuntimeError, match="gives outputs of shape"):
        compare_answers(expected, {name: expected[name] for name in ("entity", "start")})


def test_batches_add_up() -> None:
    one, other = tagged([ANN], [BOB]), tagged([ROME])
    near = tagged([("rome", 8, 0.7 + 2 * TOLERANCE)])
    found = compare_batches([one, near], [one, other])
    assert (found.texts, found.other_labels) == (3, 0)
    assert found.largest_difference == pytest.approx(2 * TOLERANCE, rel=0.05)
    assert compare_batches([one, tagged([ANN])], [one, other]).other_labels == 1
    with pytest.raises(ValueError):
        compare_batches([one], [one, other])


@pytest.mark.parametrize("position", [0, 1, 2])
def test_what_is_no_number_is_seen_in_every_batch(position: int) -> None:
    batches = [classified(["a"], [0.5]) for _ in range(3)]
    broken = list(batches)
    broken[position] = classified(["a"], [NAN])
    found = compare_batches(broken, batches)
    assert not found.holds and not found.within(NARROW_EDGES)


def test_bounds_are_shares_of_the_texts() -> None:
    assert Parity(1000, 1, 0.0).within(NARROW) and not Parity(999, 1, 0.0).within(NARROW)
    assert not Parity(10**6, 1, 0.0).within(EXACT) and Parity(3, 3, 0.05).within(NARROW_EDGES)
    assert Parity(0, 0, 0.0).holds and not Parity(1, 0, NARROW.difference * 1.01).within(NARROW)

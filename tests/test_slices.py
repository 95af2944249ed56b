"""A figure over parts of dev: every text in one slice, and weak slices reported."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfpipe.data.examples import Columns, Examples
from tfpipe.report.slices import slices_by_length, slices_by_script, slices_by_source


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=120))
def test_every_text_is_in_one_slice(rows: list[tuple[int, bool]]) -> None:
    lengths, right = (np.array(column) for column in zip(*rows, strict=True))
    found = slices_by_length(right.astype(float), lengths, "accuracy")
    if found is None:
        # Too few lengths to cut between.
        assert len(np.unique(lengths)) <= 2
        return
    assert 2 <= len(found.rows) <= 5
    assert found.overall == pytest.approx(right.mean())
    end = 0
    for row in found.rows:
        low, high = (int(part) for part in (row.name.split("–") * 2)[:2])
        assert end < low <= high
        inside = (lengths >= low) & (lengths <= high)
        assert row.count == inside.sum()
        assert row.value == pytest.approx(right[inside].mean())
        end = high
    assert sum(row.count for row in found.rows) == len(rows)


def test_long_texts_that_go_wrong_are_weak() -> None:
    lengths = np.arange(500)
    right = np.where(lengths < 400, 1.0, (lengths % 2).astype(float))
    found = slices_by_length(right, lengths, "accuracy")
    assert found is not None
    assert [found.is_weak(row) for row in found.rows] == [False] * 4 + [True]
    assert [row.count for row in found.rows] == [100] * 5
    errors = slices_by_length(1 - right, lengths, "mae", rising=False)
    assert errors is not None
    assert [errors.is_weak(row) for row in errors.rows] == [False] * 4 + [True]


def test_sources() -> None:
    sources = ["mail"] * 6 + ["chat"] * 10 + ["desk"] * 2
    right = np.array([1, 1, 1, 0, 0, 0] + [1] * 10 + [0, 1], float)
    found = slices_by_source(right, sources, "accuracy")
    assert found is not None
    assert [(row.name, row.count, row.value) for row in found.rows] == [
        ("chat", 10, 1.0),
        ("mail", 6, 0.5),
        ("desk", 2, 0.5),
    ]
    assert found.rows[2].interval is None and found.rows[1].interval is not None
    assert slices_by_source(right, ["mail"] * 18, "accuracy") is None
    assert slices_by_source(right, [], "accuracy") is None
    many = slices_by_source(np.ones(60), [f"s{i % 30}" for i in range(60)], "accuracy")
    assert many is not None and len(many.rows) == 20


def test_one_length_has_no_slices() -> None:
    assert slices_by_length(np.ones(10), np.full(10, 7), "accuracy") is None
    five = slices_by_length(np.ones(500), np.repeat([5, 9, 14, 20, 90], 100), "accuracy")
    assert five is not None and [row.name for row in five.rows] == ["5", "9", "14", "20", "90"]


def test_scripts() -> None:
    texts = ["where is it"] * 6 + ["我的卡在哪里"] * 10 + ["где карта", "123"]
    right = np.array([1, 1, 1, 0, 0, 0] + [0] * 9 + [1] + [1, 0], float)
    examples = Examples(texts, None, None, "a.tsv", Columns())
    found = slices_by_script(right, examples, "accuracy")
    assert found is not None and found.kind == "script" and found.overall == 5 / 18
    assert [(row.name, row.count, row.value) for row in found.rows] == [
        ("han", 10, 0.1),
        ("latin", 6, 0.5),
        ("cyrillic", 1, 1.0),
        ("none", 1, 0.0),
    ]
    assert slices_by_script(right[:6], examples.take(range(6)), "accuracy") is None
    # Of a pair both texts count.
    pairs = Examples(["a"] * 2, ["我的卡", "b"], None, "a.tsv", Columns())
    found = slices_by_script(np.array([3.0, 1.0]), pairs, "mae", rising=False)
    assert found is not None and not found.rising
    assert [(row.name, row.count, row.value) for row in found.rows] == [
        ("han", 1, 3.0),
        ("latin", 1, 1.0),
    ]

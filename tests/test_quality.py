"""What stops training, and what the data report says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.labels import refuse_untrainable
from tfpipe.data.quality import (
    DataReport,
    long_words,
    report_data,
)
from tfpipe.errors import UserError, UserErrors

COLUMNS = Columns("text", None, "label")


def examples_of(texts: Sequence[str], labels: Sequence[str]) -> Examples:
    return Examples(list(texts), None, list(labels), "train.csv", COLUMNS)


def report(
    train: Examples, dev: Examples, lengths: Sequence[int] | None = None, max_length: int = 128
) -> DataReport:
    return report_data(train, dev, np.array(lengths or [5] * len(train)), max_length)


def refused(train: Examples) -> UserError:
    with pytest.raises(UserError) as caught:
        refuse_untrainable(train)
    return caught.value


# ---- what stops training --------------------------------------------------------------------


def test_good_data_passes() -> None:
    refuse_untrainable(examples_of(["a", "b", "c", "d"], ["x", "x", "y", "y"]))


def test_a_single_label() -> None:
    error = refused(examples_of(["a", "b"], ["x", "x"]))
    assert "only one label" in error.wrong
    assert "'x' in all 2 rows of train.csv" in error.found
    assert not isinstance(refused(examples_of(["a"], ["x"])), UserErrors)


@pytest.mark.parametrize("word", ["x" * 10_000, "абв" * 3000, "1" * 10_000, "é" * 1000])
def test_a_word_of_ten_kilobytes(word: str) -> None:
    (error,) = long_words(examples_of(["a", f"see {word}."], ["x", "x"]))
    assert error.wrong == "a text holds a word that is far too long to be one"
    assert error.found.startswith("train.csv: row 2 'see ")
    assert error.found.endswith(f"({len(word):,} characters without a space)")


@pytest.mark.parametrize(
    "text",
    [
        "我的银行卡在哪里" * 1000,
        "𠀀𠀁" * 2000,
        "word " * 2000,
        "_" * 10_000,
        "-=" * 5000,
        "a" * 999,
        "😀" * 3000,
    ],
    ids=["chinese", "extension B", "words", "line", "rule", "999", "emoji"],
)
def test_long_texts_of_short_words_are_fine(text: str) -> None:
    assert not long_words(examples_of([text] * 4, ["x", "x", "y", "y"]))


def test_a_long_word_in_the_second_text_of_a_pair() -> None:
    train = Examples(["a"] * 4, ["b"] * 3 + ["y" * 5000], ["x", "x", "y", "y"], "p.csv", COLUMNS)
    assert "row 4" in long_words(train)[0].found


# ---- the report -----------------------------------------------------------------------------


def test_repeats_contradictions_and_leaks_are_counted() -> None:
    train = examples_of(
        ["a b", "a b", "A B", "c", "c", "c", "d", "e"], ["x", "x", "x", "x", "y", "y", "z", "z"]
    )
    dev = examples_of(["a b", "a, b!", "C", "f", "d"], ["x", "x", "y", "z", "z"])
    data = report(train, dev)
    facts = dict(data.facts)
    assert facts["train"] == "8 rows of train.csv, columns text, label"
    assert facts["dev"] == "5 rows of train.csv"
    assert facts["duplicates in train"] == "3"
    assert facts["contradictions in train"] == "1"
    assert facts["dev texts also in train"] == "2 exactly, 4 after normalising"
    assert facts["labels"] == "3; most rows in train: x 4, y 2, z 2"
    assert "fewest rows in train" not in facts
    assert data.labels == [("x", 4, 2), ("y", 2, 1), ("z", 2, 2)]
    assert any("'c': 'x', 'y'" in warning for warning in data.warnings)
    assert any("4 dev texts are in train too (2 exactly)" in w for w in data.warnings)


def test_clean_data_has_no_warnings() -> None:
    data = report(
        examples_of(["a", "b", "c"], ["x", "y", "y"]), examples_of(["d", "e"], ["x", "y"])
    )
    assert list(data.warnings) == []


def test_empty_texts_and_unseen_labels_are_noted() -> None:
    train = examples_of(["", " ", "b", "c"], ["x", "y", "y", "x"])
    warnings = report(train, examples_of([""], ["x"])).warnings
    assert "2 texts of train are empty" in warnings
    assert "1 texts of dev are empty" in warnings
    assert "dev has no example of 'y'" in warnings
    pairs = Examples(["a", "b"], ["", "c"], ["x", "x"], "p.csv", COLUMNS)
    assert "1 texts of train are empty" in report(pairs, examples_of(["z"], ["x"])).warnings


def test_lengths_truncation_and_the_proposal() -> None:
    train = examples_of([str(i) for i in range(1000)], ["x"] * 1000)
    data = report(train, train, range(1, 1001), max_length=900)
    facts = dict(data.facts)
    assert facts["tokens a text"] == "50 %: 501, 90 %: 901, 95 %: 951, 99 %: 991, 100 %: 1,000"
    assert facts["truncated"] == "10.0% of train at --max-length 900"
    # A proposal is a multiple of 8, and no more than BERT's positions.
    assert facts["proposed --max-length"].startswith("512 ")
    assert not any("--max-length" in warning for warning in data.warnings)

    data = report(train, train, [20] * 980 + [61] * 20, max_length=32)
    assert dict(data.facts)["proposed --max-length"].startswith("64 ")
    assert any("2.0% of the train texts" in w and "--max-length 64" in w for w in data.warnings)

    data = report(train, train, [4] * 1000, max_length=32)
    assert dict(data.facts)["proposed --max-length"].startswith("8 ")

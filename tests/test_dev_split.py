"""The dev cut: stratified, seeded, equal texts on one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tfpipe.data.dev_split import example_keys, normalize, split_off_dev
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.folds import cut_folds
from tfpipe.data.labels import OneLabel
from tfpipe.data.read_examples import read_examples
from tfpipe.errors import UserError


def examples_of(texts: Sequence[str], labels: Sequence[str]) -> Examples:
    return Examples(list(texts), None, list(labels), "train.csv", Columns("text", None, "label"))


def random_examples(rows: int = 600, seed: int = 0) -> Examples:
    """Skewed labels; many texts repeated, some in other case, some under another label."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, rows // 2, rows)
    labels = [f"label {int(n**0.5) if random.random() < 0.97 else 0}" for n in numbers % 80]
    texts = [f"Text {n}!" if random.random() < 0.5 else f"text {n}" for n in numbers]
    return examples_of(texts, labels)


# ---- normalising ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text,expected",
    [
        ("Hello,  World!", "hello world"),
        ("snake_case-word", "snake case word"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ！", "full width"),
        ("STRASSE Straße", "strasse strasse"),
        ("cafe\u0301", "café"),
        ("我的卡，在哪里？", "我的卡 在哪里"),
        ("¥5 + $6", "5 6"),
        ("nice 😀", "nice 😀"),
        ("?!", ""),
        ("", ""),
    ],
)
def test_normalize(text: str, expected: str) -> None:
    assert normalize(text) == expected
    assert normalize(expected) == expected


def test_texts_that_differ_in_marks_or_pictures_stay_different() -> None:
    for one, other in (("की", "का"), ("ที่", "ทุ"), ("great 😀", "great 😡"), ("一", "二")):
        assert normalize(one) != normalize(other)


def test_texts_of_punctuation_alone_are_told_apart() -> None:
    keys = example_keys(examples_of(["?!", "...", "?!", ""], ["a"] * 4))
    assert len(set(keys)) == 3
    pairs = Examples(["A", "a!", "a b"], ["b c", "B C", "c"], None, "f", Columns())
    first, second, third = example_keys(pairs)
    assert first == second != third


# ---- the cut --------------------------------------------------------------------------------


def texts_of_parts(examples: Examples, share: float, seed: int) -> tuple[list[str], list[str]]:
    train, dev = split_off_dev(examples, share, seed)
    return list(train.texts), list(dev.texts)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("data_seed", range(3))
def test_a_cut_is_whole_and_fair(share: float, data_seed: int) -> None:
    examples = random_examples(seed=data_seed)
    train, dev = split_off_dev(examples, share, seed=1)
    assert train.labels is not None and dev.labels is not None and examples.labels is not None

    rows = Counter(zip(examples.texts, examples.labels, strict=True))
    assert rows == Counter(zip(train.texts, train.labels, strict=True)) + Counter(
        zip(dev.texts, dev.labels, strict=True)
    )
    assert not set(example_keys(train)) & set(example_keys(dev))
    assert set(train.labels) == set(dev.labels) == set(examples.labels)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_every_label_gives_its_share_within_one_group(share: float) -> None:
    random = np.random.default_rng(0)
    labels = [f"label {n}" for n in random.integers(0, 7, 500)]
    texts = [f"{label} text {random.integers(0, 40)}" for label in labels]
    examples = examples_of(texts, labels)
    _, dev = split_off_dev(examples, share, seed=3)
    in_file, in_dev = Counter(labels), Counter(dev.labels)
    largest = max(Counter(texts).values())
    for label, rows in in_file.items():
        assert 0 <= in_dev[label] - round(share * rows) < largest, label


def test_without_repeats_the_shares_are_exact() -> None:
    labels = ["a"] * 200 + ["b"] * 50 + ["c"] * 2
    examples = examples_of([f"text {i}" for i in range(252)], labels)
    _, dev = split_off_dev(examples, 0.1, seed=1)
    assert Counter(dev.labels) == {"a": 20, "b": 5, "c": 1}


def test_the_order_of_the_file_is_kept() -> None:
    examples = examples_of([f"{i:03d}" for i in range(200)], ["a", "b"] * 100)
    for part in split_off_dev(examples, 0.3, seed=5):
        assert list(part.texts) == sorted(part.texts)


def test_equal_seeds_give_equal_cuts_and_others_do_not() -> None:
    examples = random_examples()
    first = texts_of_parts(examples, 0.2, 7)
    assert first == texts_of_parts(examples, 0.2, 7)
    assert first != texts_of_parts(examples, 0.2, 8)


@pytest.mark.parametrize("seed", range(20))
def test_a_label_that_only_contradicts_others_stays_in_train(seed: int) -> None:
    texts = [f"text {i}" for i in range(10)] + ["text 0", "text 1"]
    train, dev = split_off_dev(examples_of(texts, ["a"] * 8 + ["b"] * 2 + ["rare"] * 2), 0.4, seed)
    assert "rare" in set(train.labels or ())
    assert "rare" in set(dev.labels or ())


def test_every_label_with_one_text_is_told_at_once() -> None:
    texts = ["one", "One!", "two", "three", "four", "four"]
    with pytest.raises(UserError) as caught:
        split_off_dev(examples_of(texts, ["x", "x", "a", "a", "y", "y"]), 0.1, seed=1)
    assert "'x', 'y'" in caught.value.found
    assert "--dev" in caught.value.fix


def test_real_data_is_cut_alike(shared_data: Path) -> None:
    examples = read_examples(shared_data / "banking77" / "train.tsv", Columns())
    train, dev = split_off_dev(examples, 0.1, seed=1)
    in_file, in_dev = Counter(examples.labels), Counter(dev.labels)
    assert len(train) + len(dev) == len(examples)
    assert all(abs(in_dev[label] - 0.1 * rows) <= 2.5 for label, rows in in_file.items())


@pytest.mark.parametrize(("count", "seed"), [(2, 1), (3, 1), (5, 2), (10, 3)])
def test_folds_have_every_label_in_equal_shares(count: int, seed: int) -> None:
    labels = ["a"] * 120 + ["b"] * 57 + ["rare"] * 3
    # Every tenth text is there twice, written in another way.
    texts = [f"text {row - row % 10 * (row % 10 == 1)}" for row in range(180)]
    texts = [text.upper() if row % 10 == 1 else text for row, text in enumerate(texts)]
    fold_of = cut_folds(examples_of(texts, labels), count, seed, OneLabel)
    by_text: dict[str, set[int]] = {}
    for text, fold in zip(texts, fold_of.tolist(), strict=True):
        by_text.setdefault(normalize(text), set()).add(fold)
    assert all(len(folds) == 1 for folds in by_text.values())
    for label, rows in Counter(labels).items():
        inside = Counter(
            fold for fold, one in zip(fold_of.tolist(), labels, strict=True) if one == label
        )
        most, least = max(inside.values()), min(inside[fold] for fold in range(count))
        assert most - least <= 2, (label, rows, inside)
    again = cut_folds(examples_of(texts, labels), count, seed, OneLabel)
    assert (again == fold_of).all()


def test_too_few_texts_for_folds() -> None:
    with pytest.raises(UserError, match="fewer different texts than folds"):
        cut_folds(examples_of(["x", "y", "X"], ["a"] * 3), 3, 1, OneLabel)
    with pytest.raises(UserError, match="too few different texts for folds") as caught:
        cut_folds(examples_of(list("abcdefgh"), [*"aaaaaa", "b", "b"]), 2, 1, OneLabel)
    assert "'b'" in caught.value.found

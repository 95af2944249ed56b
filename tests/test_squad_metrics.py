"""Exact match and F1 against cases worked out by hand from the official scripts' definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfpipe.tasks.qa.squad_metrics import (
    find_threshold,
    match_chinese,
    match_english,
    normalize_english,
    overlap_chinese,
    overlap_words,
    score_answers,
    split_mixed,
    written_in_chinese,
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat, a hat & an  owl!", "cat hat owl"),
        ("Theatre anthem banana", "theatre anthem banana"),
        ("U.S.", "us"),
        # Punctuation goes first, so that an article can come to be.
        ("a-n apple", "apple"),
        ("the-cat", "thecat"),
        ("“quoted”", "“quoted”"),
        ("\ta\nb\u00a0c ", "b c"),
        ("the", ""),
    ],
)
def test_normalize(text: str, normal: str) -> None:
    assert normalize_english(text) == normal


@pytest.mark.parametrize(
    ("predicted", "gold", "f1"),
    [
        ("the Broncos", "Denver Broncos", 2 * 1 * 0.5 / 1.5),
        ("Denver Broncos", "denver broncos.", 1.0),
        ("cat cat dog", "cat dog dog", 2 / 3),
        ("fish", "dog", 0.0),
        ("", "", 1.0),
        ("", "dog", 0.0),
        ("dog", "", 0.0),
        # Of which nothing is left counts as empty.
        ("the", "", 1.0),
    ],
)
def test_overlap_of_words(predicted: str, gold: str, f1: float) -> None:
    assert overlap_words(predicted, gold) == pytest.approx(f1)


def test_the_best_of_several_golds_counts() -> None:
    exact, f1 = score_answers(
        ["in 1999", "Nikola", "", "Paris", ""],
        [["1999", "In 1999."], ["Nikola Tesla", "Tesla"], [], [], ["the", "Rome"]],
        chinese=False,
    )
    assert exact.tolist() == [1, 0, 1, 0, 0]
    assert f1.tolist() == pytest.approx([1, 2 / 3, 1, 0, 0])


def test_an_answer_of_which_nothing_is_left_is_none() -> None:
    exact, f1 = score_answers(["", "a"], [["the"], ["$"]], chinese=False)
    assert exact.tolist() == [1, 1] and f1.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1998年，在北京", ["1998", "年", "在", "北", "京"]),
        ("iPhone 4S手机", ["iphone", "4s", "手", "机"]),
        # Dropped signs join what they stood between, as in the script.
        ("A-B：C", ["abc"]),
        ("3.5万（元）", ["3.5", "万", "元"]),
        ("「」", []),
        ("100%", ["100", "%"]),
    ],
)
def test_units_of_mixed_text(text: str, units: list[str]) -> None:
    assert split_mixed(text) == units


@pytest.mark.parametrize(
    ("predicted", "gold", "f1"),
    [
        ("北京大学", "北京大学", 1.0),
        # Shared without a gap: 北京, not 北京 and 学.
        ("北京大学", "北京中学", 0.5),
        ("为教宗遮阳", "遮阳", 2 * 2 / 7),
        ("甲", "乙", 0.0),
        ("", "乙", 0.0),
        ("", "", 1.0),
        ("乙", "", 0.0),
        ("《红楼梦》", "红楼梦", 1.0),
    ],
)
def test_overlap_of_characters(predicted: str, gold: str, f1: float) -> None:
    assert overlap_chinese(predicted, gold) == pytest.approx(f1)


def test_chinese_match() -> None:
    assert match_chinese("《红楼梦》", "红楼梦 ") == 1
    assert match_chinese("ABC公司", "abc公司") == 1
    assert match_chinese("红楼", "红楼梦") == 0
    # The English articles are letters here.
    assert match_chinese("a", "the") == 0 and match_english("a", "the") == 1


@given(st.text("ab中国", max_size=7), st.text("ab中国", max_size=7))
def test_longest_shared_stretch_by_search(one: str, other: str) -> None:
    ours, theirs = split_mixed(one), split_mixed(other)
    stretches = [ours[i:j] for i in range(len(ours)) for j in range(i + 1, len(ours) + 1)]
    inside = [s for s in stretches if any(theirs[k : k + len(s)] == s for k in range(len(theirs)))]
    shared = max(map(len, inside), default=0)
    expected = 2 * shared / (len(ours) + len(theirs)) if shared else 0.0
    if other:
        assert overlap_chinese(one, other) == pytest.approx(expected)


def test_language_by_share_of_characters() -> None:
    assert written_in_chinese(["1998年，在北京", "OK"])
    assert not written_in_chinese(["Beijing (北京)", "1998"])
    assert not written_in_chinese([]) and not written_in_chinese(["", " "])


@given(
    st.lists(
        st.tuples(st.integers(-3, 3), st.sampled_from([0.0, 0.5, 1.0]), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_no_threshold_is_better(questions: list[tuple[int, float, bool]]) -> None:
    margins = np.array([margin for margin, _, _ in questions], float)
    f1 = np.array([f1 for _, f1, _ in questions])
    answerable = np.array([answer for _, _, answer in questions])

    def total(threshold: float) -> float:
        silent = margins > threshold
        return float(np.where(answerable, np.where(silent, 0, f1), silent).sum())

    found = find_threshold(margins, f1, answerable)
    assert total(found) == pytest.approx(max(total(t + 0.5) for t in range(-5, 5)))

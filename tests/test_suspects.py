"""Suspected wrong labels: what is found of labels that were made wrong, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from tfpipe.tasks.classify.label_errors import find_suspects

NAMES = ["a", "b", "c"]


def find(scores: list[list[float]], gold: list[int], most: int = 20) -> list[tuple[str, str, str]]:
    texts = [str(row) for row in range(len(gold))]
    found = find_suspects(texts, NAMES, np.array(gold), np.array(scores), most)
    assert found.examined == len(gold) and found.count >= len(found.rows)
    return [(one.text, one.gold, one.proposed) for one in found.rows]


def test_by_hand() -> None:
    scores = [[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.2, 0.6, 0.2]]
    # The mean of a over its own is 0.8, of b (0.8 + 0.05 + 0.6) / 3.
    assert find(scores, [0, 0, 1, 1, 1]) == [("3", "b", "a")]
    (row,) = find_suspects([*"01234"], NAMES, np.array([0, 0, 1, 1, 1]), np.array(scores), 9).rows
    assert (row.score, row.gold_score) == (0.9, 0.05)
    assert find(scores, [0, 0, 1, 0, 1]) == []


def test_a_threshold_of_the_label_s_own_is_to_be_reached() -> None:
    sure, unsure = [0.98, 0.01, 0.01], [0.6, 0.4, 0.0]
    # The model prefers a, but less than it is used to be sure of a.
    assert find([sure, sure, unsure, [0.1, 0.8, 0.1]], [0, 0, 1, 1]) == []
    assert find([unsure, unsure, unsure, [0.1, 0.8, 0.1]], [0, 0, 1, 1]) == [("2", "b", "a")]


def test_a_model_unsure_of_all_labels_suspects_nothing() -> None:
    # The threshold of c is 0.4, and reached by a text of b that no label is probable of.
    scores = [[0.6, 0.2, 0.2], [0.6, 0.2, 0.2], [0.3, 0.3, 0.4], [0.25, 0.3, 0.45]]
    assert find(scores, [0, 0, 2, 1]) == []


def test_nothing_counts_as_a_label_without_texts() -> None:
    assert find([[0.0, 0.1, 0.9], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1]], [0, 0, 1]) == []
    assert find_suspects([], ["a"], np.zeros(0, int), np.zeros((0, 1)), 9).count == 0


def test_a_model_at_the_baseline_suspects_nothing() -> None:
    random = np.random.default_rng(1)
    gold = random.integers(3, size=48)
    # Its answers have nothing to do with the texts; or are always the same.
    for scores in (softmax(random.normal(size=(48, 3)), axis=1), np.tile([0.5, 0.3, 0.2], (48, 1))):
        found = find_suspects([""] * 48, NAMES, gold, scores, 20)
        assert (found.count, found.examined, found.method) == (0, 48, "below_baseline")
    better = softmax(4 * np.eye(3)[gold] + random.normal(size=(48, 3)), axis=1)
    assert find_suspects([""] * 48, NAMES, gold, better, 20).method == "confident_learning"


@pytest.mark.parametrize("seed", range(3))
def test_planted_wrong_labels_are_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    true = random.integers(3, size=1000)
    scores = softmax(6 * np.eye(3)[true] + 1.5 * random.normal(size=(1000, 3)), axis=1)
    planted = set(random.choice(1000, 50, replace=False).tolist())
    gold = np.array([(one + 1) % 3 if row in planted else one for row, one in enumerate(true)])
    texts = [str(row) for row in range(1000)]
    found = find_suspects(texts, NAMES, gold, scores, 50)
    hits = [row for row in found.rows if int(row.text) in planted]
    assert len(hits) >= 40
    assert all(row.proposed == NAMES[true[int(row.text)]] for row in hits)
    margins = [row.score - row.gold_score for row in found.rows]
    assert margins == sorted(margins, reverse=True) and min(margins) > 0
    clean = find_suspects(texts, NAMES, true, scores, 1000)
    assert clean.count < 10
    fewer = find_suspects(texts, NAMES, gold, scores, 3)
    assert list(fewer.rows) == list(found.rows)[:3] and fewer.count == found.count

"""A threshold a label: the best on dev, moved as far as it can be trusted."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit
from sklearn.metrics import f1_score, precision_recall_curve

from tfpipe.tasks.calibration import thresholds
from tfpipe.tasks.calibration.thresholds import best_thresholds, tune_thresholds


def draw(rows: int, labels: int, seed: int, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose labels are rare and common, and off by a constant of their own."""
    world = np.random.default_rng(7)
    base, off = world.uniform(-4.5, -1.0, labels), world.normal(0, shift, labels)
    random = np.random.default_rng(seed)
    odds = base + 2.5 * random.normal(size=(rows, labels))
    gold = random.random((rows, labels)) < expit(odds)
    return expit(odds + off).astype(np.float32), gold


def f1(scores: np.ndarray, gold: np.ndarray, threshold: np.ndarray, average: str) -> float:
    return f1_score(gold, scores >= threshold, average=average, zero_division=0)


shapes = st.tuples(st.integers(1, 25), st.integers(1, 4))
few_scores = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])


@settings(max_examples=200, deadline=None)
@given(st.data(), shapes)
def test_no_threshold_is_better(data: st.DataObject, shape: tuple[int, int]) -> None:
    elements = few_scores if data.draw(st.booleans()) else st.floats(0, 1, width=32)
    scores = data.draw(arrays(np.float32, shape, elements=elements))
    gold = data.draw(arrays(bool, shape))
    found = best_thresholds(scores, gold)
    assert found.dtype == np.float32 and ((found >= 0) & (found <= 1)).all()
    for column in range(shape[1]):
        score, right = scores[:, column], gold[:, column]
        if not right.any():
            assert found[column] == 0.5
            continue
        reached = f1_score(right, score >= found[column])
        every = [f1_score(right, score >= value) for value in np.unique(score)]
        assert reached == pytest.approx(max(every), abs=1e-12)
        # No score that does as well, nor 0.5 itself, lies nearer to 0.5.
        if f1_score(right, score >= 0.5) == pytest.approx(reached) and (score < 0.5).any():
            assert (score >= found[column]).sum() == (score >= 0.5).sum()


def test_it_agrees_with_the_curve_of_scikit_learn() -> None:
    scores, gold = draw(400, 12, seed=0)
    reached = f1_score(gold, scores >= best_thresholds(scores, gold), average=None)
    for column in range(12):
        precision, recall, _ = precision_recall_curve(gold[:, column], scores[:, column])
        harmonic = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        assert reached[column] == pytest.approx(harmonic.max())


def test_ties_go_to_the_nearest_to_a_half() -> None:
    def best(scores: list[float], gold: list[int]) -> float:
        found = best_thresholds(np.array([scores]).T, np.array([gold], bool).T)
        return float(found[0])

    assert best([0.9, 0.1], [1, 0]) == 0.5
    assert best([0.9, 0.7], [1, 0]) == pytest.approx(0.8)
    assert best([0.2, 0.1], [1, 0]) == pytest.approx(0.15)
    # One right of one and two right of four: two thirds both.
    assert best([0.95, 0.9, 0.8, 0.5, 0.4], [1, 0, 0, 1, 0]) == pytest.approx(0.5)
    assert best([0.3, 0.2], [0, 0]) == 0.5


def test_neighbours_without_anything_between_them_are_told_apart() -> None:
    low = np.float32(0.25)
    scores = np.array([[np.nextafter(low, np.float32(1))], [low]], np.float32)
    found = best_thresholds(scores, np.array([[True], [False]]))
    assert (scores >= found).ravel().tolist() == [True, False]


def test_rare_labels_lean_on_the_others() -> None:
    scores, gold = draw(4000, 6, seed=1)
    gold[:, 0] = False
    gold[np.argsort(-scores[:, 1])[40:], 1] = False
    gold[np.flatnonzero(gold[:, 1])[5:], 1] = False
    own, found = best_thresholds(scores, gold), tune_thresholds(scores, gold)
    shared = best_thresholds(scores.reshape(-1, 1), gold.reshape(-1, 1))[0]
    assert found[0] == pytest.approx(shared, rel=1e-5)
    assert gold[:, 1].sum() == 5
    half_way = expit((logit(float(own[1])) + logit(float(shared))) / 2)
    assert found[1] == pytest.approx(half_way, rel=1e-4)
    common = int(gold.sum(axis=0).argmax())
    assert found[common] == pytest.approx(own[common], rel=0.02)
    assert tune_thresholds(scores, np.zeros_like(gold)).tolist() == [0.5] * 6


def test_new_texts_gain() -> None:
    """More than from 0.5, from a shared threshold, or from each label's own optimum."""
    new, new_gold = draw(20_000, 30, seed=100)
    gains = []
    for seed in range(8):
        scores, gold = draw(150, 30, seed)
        shared = best_thresholds(scores.reshape(-1, 1), gold.reshape(-1, 1))
        rules = [np.full(30, 0.5), np.repeat(shared, 30), best_thresholds(scores, gold)]
        tuned = f1(new, new_gold, tune_thresholds(scores, gold), "micro")
        gains.append([tuned - f1(new, new_gold, rule, "micro") for rule in rules])
    half, one_for_all, own = np.mean(gains, axis=0)
    assert half > 0.02 and one_for_all > 0.01 and own > 0.0


def test_a_thousand_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, gold = draw(1000, 1000, seed=3)
    before = time.perf_counter()
    found = tune_thresholds(scores, gold)
    assert time.perf_counter() - before < 20
    monkeypatch.setattr(thresholds, "SCORES_AT_ONCE", 7_500)
    assert np.array_equal(tune_thresholds(scores, gold), found)
    alone = best_thresholds(scores[:, 17:18], gold[:, 17:18])
    assert alone[0] == best_thresholds(scores, gold)[17]


def test_no_texts() -> None:
    assert tune_thresholds(np.zeros((0, 3)), np.zeros((0, 3), bool)).tolist() == [0.5] * 3

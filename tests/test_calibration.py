"""Temperature, calibration errors, reliability tables."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import binom, binomtest
from sklearn.metrics import log_loss

from tfpipe.stats.cross_fitting import folds
from tfpipe.stats.proportions import clopper_pearson_upper, wilson_interval
from tfpipe.tasks.calibration.temperature import (
    cross_fitted_scores,
    fit_temperature,
    reliability,
)


def draw(rows: int, labels: int, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `temperature` times too sharp, and gold labels drawn from the true ones."""
    random = np.random.default_rng(seed)
    true = random.normal(size=(rows, labels)) * 3
    chances = softmax(true, axis=1).cumsum(axis=1)
    gold = (chances > random.random((rows, 1))).argmax(axis=1)
    return (true * temperature).astype(np.float32), gold


def cost(logits: np.ndarray, gold: np.ndarray, temperature: float) -> float:
    rows = np.arange(len(gold))
    return float(-log_softmax(logits.astype(float) / temperature, axis=1)[rows, gold].mean())


@pytest.mark.parametrize("labels", [2, 7, 40])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_known_temperature_is_found(labels: int, temperature: float) -> None:
    found = fit_temperature(*draw(20_000, labels, temperature, seed=labels))
    assert found.reason is None
    assert found.value == pytest.approx(temperature, rel=0.05)


def test_it_is_the_minimum() -> None:
    logits, gold = draw(300, 5, 2.0, seed=3)
    best = minimize_scalar(
        lambda log: cost(logits, gold, math.exp(log)),
        bounds=(-2, 2),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert fit_temperature(logits, gold).value == pytest.approx(math.exp(best.x), rel=1e-5)


def test_new_texts_gain() -> None:
    temperature = fit_temperature(*draw(200, 5, 2.5, seed=0)).value
    logits, gold = draw(20_000, 5, 2.5, seed=1)
    assert cost(logits, gold, temperature) < cost(logits, gold, 1.0) - 0.05


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-50, 50))
def test_neither_order_nor_a_shift_matters(seed: int, shift: float) -> None:
    logits, gold = draw(200, 4, 1.7, seed)
    order = np.random.default_rng(seed).permutation(len(gold))
    value = fit_temperature(logits, gold).value
    moved = fit_temperature(logits[order].astype(float) + shift, gold[order]).value
    assert moved == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("wrong", [0, 1, 9])
def test_it_stays_where_few_answers_are_wrong(wrong: int) -> None:
    logits = np.eye(3, dtype=np.float32)[np.arange(300) % 3] * 5
    gold = np.arange(300) % 3
    gold[:wrong] = (gold[:wrong] + 1) % 3
    found = fit_temperature(logits, gold)
    assert found.value == 1.0 and found.reason is not None
    assert found.reason.startswith(f"{wrong} wrong answers")


def test_ten_wrong_answers_are_enough() -> None:
    logits = np.eye(3, dtype=np.float32)[np.arange(300) % 3] * 5
    gold = np.arange(300) % 3
    gold[:10] = (gold[:10] + 1) % 3
    found = fit_temperature(logits, gold)
    # 290 of 300 right: e^(5/T) / (e^(5/T) + 2) = 29 / 30.
    assert found.value == pytest.approx(5 / math.log(58)) and found.reason is None


def test_it_stays_where_the_best_runs_away() -> None:
    logits = np.eye(2)[np.zeros(40, int)]
    always_wrong = fit_temperature(logits, np.ones(40, int))
    assert always_wrong.value == 1.0 and "above" in str(always_wrong.reason)
    # Ten ties that argmax counts as wrong, and nothing that holds sharper scores back.
    gold = np.zeros(40, int)
    tied = np.concatenate([np.zeros((10, 2)), logits])
    separated = fit_temperature(tied, np.concatenate([np.ones(10, int), gold]))
    assert separated.value == 1.0 and "below" in str(separated.reason)
    broken = fit_temperature(np.full((40, 2), np.nan), gold)
    assert broken.value == 1.0 and "finite" in str(broken.reason)
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)).value == 1.0


def test_every_row_is_looked_at_once_after_a_fit_on_others() -> None:
    for rows in (1, 3, 5, 103):
        seen = []
        for fit, look in folds(rows):
            assert not set(fit) & set(look) and len(fit) + len(look) == rows
            seen += look.tolist()
        assert sorted(seen) == list(range(rows))
    strata = np.arange(100) < 10
    assert [int(strata[look].sum()) for _, look in folds(100, strata)] == [2] * 5


def test_cross_fitted_scores_know_nothing_of_their_own_rows() -> None:
    logits, gold = draw(1000, 4, 2.0, seed=5)
    scores = cross_fitted_scores(logits, gold)
    _, look = next(iter(folds(len(gold))))
    other = gold.copy()
    other[look] = (other[look] + 1) % 4
    assert np.array_equal(cross_fitted_scores(logits, other)[look], scores[look])
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)
    plain = softmax(logits.astype(float), axis=1)
    assert log_loss(gold, scores) < log_loss(gold, plain) - 0.05
    right = scores.argmax(axis=1) == gold
    assert reliability(scores.max(axis=1), right).error < 0.04
    assert reliability(plain.max(axis=1), right).error > 0.08


def test_a_table_by_hand() -> None:
    confidence = np.array([0.05, 0.1, 0.55, 0.6, 1.0])
    right = np.array([False, True, True, True, False])
    table = reliability(confidence, right, bins=10)
    # An edge belongs to the bin below it.
    assert table.counts.tolist() == [2, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert table.accuracy[[0, 5, 9]].tolist() == [0.5, 1.0, 0.0]
    assert table.confidence[[0, 5, 9]] == pytest.approx([0.075, 0.575, 1.0])
    assert np.isnan(table.accuracy[1]) and np.isnan(table.low[1])
    assert table.low[5] < table.high[5] == 1.0
    assert table.error == pytest.approx((2 * 0.425 + 2 * 0.425 + 1.0) / 5)
    assert math.isnan(reliability(np.zeros(0), np.zeros(0, bool)).error)


answers = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.9, 1.0]) | st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=80,
)


@settings(max_examples=80, deadline=None)
@given(answers, st.integers(1, 20), st.randoms())
def test_tables_hold_their_promises(
    rows: list[tuple[float, bool]], bins: int, random: Random
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    confidence, right = (np.array(column) for column in zip(*rows, strict=True))
    table = reliability(confidence, right, bins)
    assert table.counts.sum() == len(rows) and len(table.counts) <= bins
    assert (np.diff(table.edges) > 0).all()
    filled = table.counts > 0
    assert (table.confidence[filled] <= table.edges[1:][filled] + 1e-12).all()
    assert (table.confidence[filled] >= table.edges[:-1][filled] - 1e-12).all()
    assert (table.low[filled] <= table.accuracy[filled] + 1e-12).all()
    assert (table.high[filled] >= table.accuracy[filled] - 1e-12).all()
    # Binning only hides distance: no table sees less than the difference of the means.
    assert table.error >= abs(confidence.mean() - right.mean()) - 1e-12
    confidence, right = (np.array(column) for column in zip(*shuffled, strict=True))
    again = reliability(confidence, right, bins)
    assert np.array_equal(again.counts, table.counts)
    assert again.error == pytest.approx(table.error)


def test_bounds_of_shares() -> None:
    assert wilson_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert all(math.isnan(end) for end in wilson_interval(0, 0))
    hits, trials = np.array([0, 3, 50, 10, 0]), np.array([20, 40, 100, 10, 0])
    bounds = clopper_pearson_upper(hits, trials, 0.05)
    for h, n, bound in zip(hits[:3], trials[:3], bounds[:3], strict=True):
        # At the bound, so few wrong ones or fewer come with a chance of 5 %.
        assert binom.cdf(h, n, bound) == pytest.approx(0.05)
        assert bound == pytest.approx(
            binomtest(int(h), int(n), alternative="less").proportion_ci(0.95, "exact").high
        )
    assert bounds[3:].tolist() == [1.0, 1.0]

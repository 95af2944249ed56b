"""Bootstrap intervals: against scikit-learn and scipy draw by draw, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import confusion_matrix, f1_score

from tfpipe.stats import bootstrap as bootstrapping
from tfpipe.stats.bootstrap import (
    CONFIDENCE,
    Interval,
    bootstrap,
    percentile_interval,
    resample_weights,
)
from tfpipe.stats.metric_intervals import (
    class_intervals,
    count_intervals,
    interval_of_mean,
    label_set_intervals,
    regression_intervals,
)


@pytest.fixture
def labelled():
    random = np.random.default_rng(3)
    gold = random.integers(6, size=240)
    predicted = np.where(random.random(240) < 0.3, random.integers(6, size=240), gold)
    return gold, predicted


def draws_of(statistic, *columns, draws=150):
    """The percentile interval by drawing rows one draw at a time."""
    random = np.random.default_rng(0)
    rows = (random.integers(len(columns[0]), size=len(columns[0])) for _ in range(draws))
    values = np.array([statistic(*(column[one] for column in columns)) for one in rows])
    return Interval(*percentile_interval(values, CONFIDENCE))


def assert_near(found: Interval, expected: Interval, share: float = 0.2) -> None:
    width = expected.high - expected.low
    assert abs(found.low - expected.low) < share * width
    assert abs(found.high - expected.high) < share * width


def test_class_figures_agree_with_drawing_rows_for_scikit_learn(labelled):
    gold, predicted = labelled
    found, each = class_intervals(confusion_matrix(gold, predicted, labels=range(6)))
    assert_near(found["accuracy"], draws_of(lambda g, p: (g == p).mean(), gold, predicted))
    for average in ("macro", "weighted"):

        def f1(g, p, average=average):
            return f1_score(g, p, average=average, zero_division=0)

        assert_near(found[f"{average}_f1"], draws_of(f1, gold, predicted))
    third = draws_of(lambda g, p: f1_score(g == 2, p == 2), gold, predicted)
    assert each[2] is not None
    assert_near(each[2], third)


def test_a_label_without_texts_has_no_interval_and_none_breaks_nothing():
    found, each = class_intervals(np.array([[5, 0, 0], [1, 4, 0], [0, 0, 0]]))
    assert each[2] is None and each[0] is not None
    assert 0 < found["macro_f1"].low <= found["macro_f1"].high <= 1
    assert class_intervals(np.zeros((2, 2), int)) == ({}, [None, None])


def test_correlations_agree_with_drawing_rows_for_scipy_with_ties():
    random = np.random.default_rng(5)
    gold = random.integers(6, size=150).astype(float)
    predicted = gold + random.normal(scale=2, size=150)
    found = regression_intervals(gold, predicted)
    rank = draws_of(lambda x, y: spearmanr(x, y).statistic, gold, predicted)
    assert_near(found["spearman"], rank)
    assert_near(found["pearson"], draws_of(lambda x, y: np.corrcoef(x, y)[0, 1], gold, predicted))
    assert_near(found["mae"], draws_of(lambda x, y: np.abs(x - y).mean(), gold, predicted))
    assert "pearson" not in regression_intervals(np.ones(9), np.arange(9))


def test_label_sets_agree_with_drawing_rows_for_scikit_learn():
    random = np.random.default_rng(6)
    gold = random.random((200, 5)) < 0.3
    active = gold ^ (random.random((200, 5)) < 0.1)
    found = label_set_intervals(gold, active)
    micro = draws_of(lambda g, a: f1_score(g, a, average="micro"), gold, active)
    assert_near(found["micro_f1"], micro)
    exact = draws_of(lambda g, a: (g == a).all(axis=1).mean(), gold, active)
    assert_near(found["exact_match"], exact)


def test_counted_things_have_precision_recall_and_f1():
    random = np.random.default_rng(7)
    wanted = random.integers(4, size=300)
    right = random.binomial(wanted, 0.6)
    given = right + random.integers(2, size=300)
    found = count_intervals(right, given, wanted)
    expected = draws_of(lambda r, w: r.sum() / w.sum(), right, wanted)
    assert_near(found["recall"], expected)
    nothing = count_intervals(*np.zeros((3, 9), int))
    assert nothing["f1"] == Interval(0.0, 0.0)


@pytest.mark.parametrize("values", [np.arange(40) % 2, np.linspace(0, 1, 40)])
def test_mean_is_seeded_and_covers(values):
    interval = interval_of_mean(values)
    assert interval == interval_of_mean(values)
    error = values.std() / np.sqrt(len(values))
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.4 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.4 * error)
    with pytest.raises(ValueError):
        interval_of_mean(values[:0])


def test_interval_holds_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(8)
    held = 0
    for _ in range(200):
        interval = interval_of_mean(random.random(120) < 0.7)
        held += interval.low <= 0.7 <= interval.high
    assert 0.88 <= held / 200 <= 0.99


def test_every_draw_has_as_many_examples():
    for counts in (None, np.array([4, 1, 7])):
        weights = np.concatenate(list(resample_weights(3, counts, replicates=50)))
        assert weights.shape == (50, 3)
        assert (weights.sum(axis=1) == (3 if counts is None else 12)).all()
    assert list(resample_weights(0)) == []


def test_many_examples_are_drawn_less_often_and_the_number_is_told(monkeypatch):
    monkeypatch.setattr(bootstrapping, "MOST_DRAWS", 60_000)
    found = bootstrap(lambda weights: {"mean": weights.mean(axis=1)}, 300)
    assert found["mean"].replicates == 200

"""Precision, recall and F1 of labels, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from tfpipe.stats.label_scores import LabelScores
from tfpipe.stats.proportions import clopper_pearson_upper, wilson_interval


@pytest.mark.parametrize("seed", range(20))
def test_scores_of_single_labels_equal_those_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = int(random.integers(1, 9))
    # Some labels are never gold, some never predicted.
    gold, predicted = random.integers(0, random.integers(1, labels + 1, 2)[:, None], (2, 40))
    scores = LabelScores.of_confusion(confusion_matrix(gold, predicted, labels=range(labels)))
    for average, found in (("macro", scores.macro_f1), ("weighted", scores.weighted_f1)):
        assert found == f1_score(gold, predicted, average=average, zero_division=0)
    assert scores.micro_f1 == f1_score(gold, predicted, average="micro")
    columns = precision_recall_fscore_support(
        gold, predicted, labels=range(labels), zero_division=0
    )
    names = [f"label {column}" for column in range(labels)]
    for row, name, *expected in zip(scores.rows(names), names, *columns, strict=True):
        assert list(row.values()) == [name, *expected]


def test_scores_of_nothing_are_0() -> None:
    nothing = LabelScores.of_confusion(np.zeros((3, 3), int))
    assert nothing.macro_f1 == nothing.weighted_f1 == nothing.micro_f1 == 0
    assert nothing.f1.tolist() == [0, 0, 0]


def test_limits_of_proportions_equal_those_of_scipy() -> None:
    from scipy.stats import beta, binomtest

    for hits, trials in [(0, 1), (1, 1), (3, 7), (50, 61), (999, 1000)]:
        for confidence in (0.9, 0.95):
            ends = binomtest(hits, trials).proportion_ci(confidence, "wilson")
            found = wilson_interval(hits, trials, confidence)
            np.testing.assert_allclose(found, [ends.low, ends.high], rtol=1e-13)
        exact = 1.0 if hits == trials else beta.ppf(0.95, hits + 1, trials - hits)
        np.testing.assert_allclose(clopper_pearson_upper(hits, trials, 0.05), exact, rtol=1e-12)

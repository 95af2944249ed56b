"""A number a text: what is read, learnt, counted and served."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import pearsonr, spearmanr

from tests.support.labelled import examples_of, labelled_of
from tfpipe.config import TrainConfig, build
from tfpipe.data.dev_split import split_off_dev
from tfpipe.errors import UserError
from tfpipe.exporting.answer_parity import compare_answers
from tfpipe.exporting.baseline import paired_test
from tfpipe.tasks import TASKS
from tfpipe.tasks.regress.task import Regress


@pytest.mark.parametrize("label", ["high", "1,5", "inf", "nan", "1_000", "3.5 kg", "٣x", "0x10"])
def test_what_is_no_number_is_told_with_its_row(label: str) -> None:
    with pytest.raises(UserError) as caught:
        Regress.check(examples_of("1", "2.5", label, "x"), to_learn=False)
    assert caught.value.wrong == "a label is not a number"
    assert caught.value.found == f"train.csv, rows 3, 4: {label!r}"


def test_numbers_must_differ() -> None:
    Regress.check(examples_of("1", "1.0", "-1e-3", " 2 "), to_learn=True)
    Regress.check(examples_of("1", "1.0"), to_learn=False)
    with pytest.raises(UserError, match="all labels are the same number"):
        Regress.check(examples_of("1", "1.0", "1e0"), to_learn=True)


def test_a_dev_cut_is_a_share_of_the_rows() -> None:
    train, dev = split_off_dev(examples_of(*map(str, range(200))), 0.1, 1, Regress)
    assert (len(train), len(dev)) == (180, 20)


def test_targets_are_standardised_and_values_are_not() -> None:
    task = Regress.from_labels([1900, 2000, 2100])
    assert task.mean == 2000 and task.deviation == pytest.approx(np.std([1900, 2000, 2100]))
    gold = task.gold(examples_of("2000", "2100"))
    np.testing.assert_array_equal(gold, np.float32([2000, 2100]))
    logits = tf.constant([[0.0], [0.0]])
    np.testing.assert_allclose(task.loss(logits, {"value": gold}), [0.0, 1.5], rtol=1e-6)
    np.testing.assert_allclose(task.decode(tf.constant([[0.5]]))["value"], [2040.8248])
    again = TASKS["regress"].task_class.restore(["value"], task.head.settings)
    np.testing.assert_array_equal(again.decode(logits)["value"], [2000, 2000])
    assert again.unit == task.deviation


def test_figures_are_those_of_scipy() -> None:
    random = np.random.default_rng(0)
    gold = np.round(random.normal(size=60), 1)
    task = Regress.from_labels(gold.tolist())
    logits = (gold[:, None] + random.normal(0, 0.5, (60, 1))).astype(np.float32)
    examples = examples_of(*map(str, gold))
    evaluation = task.evaluate(labelled_of(task, *examples.labels or ()), logits)
    figures, value = evaluation.metrics, evaluation.value
    assert figures["pearson"] == pytest.approx(pearsonr(gold, value)[0])
    # In float32 as the gold is, so that ties are ties.
    assert figures["spearman"] == pytest.approx(spearmanr(np.float32(gold), value)[0])
    assert figures["mae"] == pytest.approx(np.abs(gold - value).mean(), rel=1e-5)
    assert figures["rmse"] == pytest.approx(np.sqrt(((gold - value) ** 2).mean()), rel=1e-5)
    assert figures["loss"] == pytest.approx(figures["rmse"] ** 2 / task.deviation**2, rel=1e-5)
    assert task.judge(examples, evaluation.outputs).metrics == pytest.approx(figures, rel=1e-5)
    worst = evaluation.mistakes(5)
    assert [m.score for m in worst] == sorted(evaluation.error, reverse=True)[:5]
    same = task.evaluate(
        labelled_of(task, *examples.labels or ()), np.zeros((60, 1), np.float32)
    ).metrics
    assert np.isnan(same["pearson"]) and np.isnan(same["spearman"]) and same["mae"] > 0


def test_differences_are_measured_in_deviations() -> None:
    value = np.array([2000.0, 2010.0], np.float32)
    here, near, far = ({"value": v} for v in (value, np.nextafter(value, 0), value + 0.1))
    assert compare_answers(near, here, unit=1.0).holds
    assert compare_answers(far, here, unit=10.0).largest_difference == pytest.approx(0.01, rel=0.01)
    assert not compare_answers({"value": value + np.nan}, here, unit=10.0).holds
    with pytest.raises(RuntimeError, match="outputs of shape"):
        compare_answers({"score": value}, here)


def test_a_rival_is_nearer_or_not() -> None:
    task, examples = Regress(), examples_of(*["5"] * 8)
    near, far = ({"value": np.full(8, v, np.float32)} for v in (5.5, 3.0))
    duel = paired_test("m/1", "dev", task.costs(examples, far), task.costs(examples, near))
    assert (duel.only_old, duel.only_new) == (8, 0) and duel.new_is_worse
    with pytest.raises(ValueError, match="no value"):
        task.costs(examples, {"label": np.array(["x"] * 8)})


@pytest.mark.parametrize(
    "task,settings",
    [
        ("regress", {"loss": "focal"}),
        ("regress", {"label_smoothing": 0.1}),
        ("regress", {"r_drop": 1.0}),
        ("regress", {"class_weights": "balanced"}),
        ("multilabel", {"class_weights": "balanced"}),
    ],
)
def test_settings_that_mean_nothing_to_a_task_are_refused(task: str, settings: dict) -> None:
    with pytest.raises(UserError, match=f"--task {task} has no --"):
        build(TrainConfig, {"task": task, **settings})
    build(TrainConfig, {"task": "classify", **settings})


def test_the_best_epoch_goes_by_the_task() -> None:
    assert TrainConfig(task="regress").best_metric == "pearson"
    assert TrainConfig(task="multilabel").best_metric == "micro_f1"

"""Several labels a text: what is read, learnt, counted and decided."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from tests.support.labelled import examples_of, labelled_of
from tfpipe.data.dev_split import split_off_dev
from tfpipe.errors import UserError, UserErrors
from tfpipe.tasks import TASKS
from tfpipe.tasks.calibration.thresholds import CLEAR, keep_clear
from tfpipe.tasks.losses import LossSettings, binary_focal
from tfpipe.tasks.multilabel.task import Multilabel

# ---- what is read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label,wrong",
    [
        ("a||b", "a label between bars is empty"),
        ("|a", "a label between bars is empty"),
        ("a|b|", "a label between bars is empty"),
        ("a| |b", "a label between bars is empty"),
        ("a|b|a", "a row has a label twice"),
        ("a| a", "a row has a label twice"),
    ],
)
def test_labels_that_cannot_be_are_told_with_their_rows(label: str, wrong: str) -> None:
    with pytest.raises(UserError) as caught:
        Multilabel.check(examples_of("a", "b|c", Multilabel.strip_label(label)), to_learn=False)
    first = caught.value.errors[0] if isinstance(caught.value, UserErrors) else caught.value
    assert first.wrong.startswith(wrong)
    assert first.found.startswith("train.csv, rows 3: ")


def test_there_must_be_something_to_learn() -> None:
    Multilabel.check(examples_of("a", "", "a|b"), to_learn=True)
    for labels, found in ((("a", "a|b"), "'a' in every row"), (("", ""), "no label in any row")):
        with pytest.raises(UserError, match=found):
            Multilabel.check(examples_of(*labels), to_learn=True)
        Multilabel.check(examples_of(*labels), to_learn=False)


def test_gold_has_a_column_a_label() -> None:
    task = Multilabel.from_labels([("b", "a"), (), ("c",)])
    assert task.label_names == ["a", "b", "c"]
    gold = task.gold(examples_of("c|a", "", "b"))
    assert gold.dtype == np.float32
    np.testing.assert_array_equal(gold, [[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    with pytest.raises(UserError, match="not trained on") as caught:
        task.gold(examples_of("a|d", "e"))
    assert caught.value.found == (
        "'d', 'e'; known are 'a', 'b', 'c'; rows: row 1 'text 0'; row 2 'text 1'"
    )


def test_a_dev_cut_has_every_label_that_two_texts_have() -> None:
    chance = np.random.default_rng(3)
    shares = {"often": 0.5, "half": 0.2, "seldom": 0.03}
    rows = ["|".join(n for n, p in shares.items() if chance.random() < p) for _ in range(400)]
    rows += ["once|often"]
    train, dev = split_off_dev(examples_of(*rows), 0.1, 1, Multilabel)
    assert len(train) + len(dev) == 401 and 30 <= len(dev) <= 60
    inside = [
        {name for names in part.labels or [] for name in names.split("|") if name}
        for part in (train, dev)
    ]
    assert inside[0] == {*shares, "once"} and inside[1] == {*shares}
    assert any(not label for label in dev.labels or [])


# ---- what is learnt -------------------------------------------------------------------------


def test_losses_are_those_of_keras() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(6, 4)).astype(np.float32)
    gold = (random.random((6, 4)) < 0.4).astype(np.float32)
    task = Multilabel(list("abcd"))
    import tf_keras

    for smoothing in (0.0, 0.2):
        theirs = tf_keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=smoothing, reduction="none"
        )(gold, logits)
        settings = LossSettings(label_smoothing=smoothing)
        ours = task.training_loss(logits, {"active": tf.constant(gold)}, settings)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    focal = tf_keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=2.0, reduction="none")(
        gold, logits
    )
    np.testing.assert_allclose(binary_focal(logits, gold, 2.0), focal, rtol=1e-4)
    np.testing.assert_allclose(
        binary_focal(logits, gold, 0.0), task.loss(logits, {"active": tf.constant(gold)}), rtol=1e-6
    )


def test_divergence_is_that_of_bernoulli_choices() -> None:
    one, other = np.array([[0.3, -2.0]]), np.array([[1.0, 0.5]])
    p, q = 1 / (1 + np.exp(-one)), 1 / (1 + np.exp(-other))

    def kl(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))

    expected = 0.5 * (kl(p, q) + kl(q, p)).mean(axis=1)
    found = Multilabel(["a", "b"]).divergence(tf.constant(one), tf.constant(other), {})
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# ---- what is counted and decided ------------------------------------------------------------


def test_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    names = list("abcde")
    task = Multilabel(names, [0.3, 0.5, 0.7, 0.5, 0.9])
    gold = random.random((50, 5)) < [0.5, 0.3, 0.2, 0.1, 0.0]
    labels = ["|".join(n for n, here in zip(names, row, strict=True) if here) for row in gold]
    logits = random.normal(size=(50, 5)).astype(np.float32)
    evaluation = task.evaluate(labelled_of(task, *labels), logits)
    active = 1 / (1 + np.exp(-logits)) >= np.array([0.3, 0.5, 0.7, 0.5, 0.9])
    np.testing.assert_array_equal(evaluation.active, active)
    figures, occur = evaluation.metrics, (gold | active).any(axis=0)
    assert figures["micro_f1"] == pytest.approx(f1_score(gold, active, average="micro"))
    macro = f1_score(gold[:, occur], active[:, occur], average="macro", zero_division=0)
    assert figures["macro_f1"] == pytest.approx(macro)
    assert figures["exact_match"] == pytest.approx((gold == active).all(axis=1).mean())
    judged = task.judge(examples_of(*labels), evaluation.outputs)
    assert judged.metrics == pytest.approx(figures)
    np.testing.assert_array_equal(
        task.costs(examples_of(*labels), evaluation.outputs), (gold != active).sum(axis=1)
    )
    rows = list(evaluation.rows())
    assert [row[1] for row in rows] == labels and len(rows) == 50
    worst = evaluation.mistakes(3)
    assert len(worst) == 3 and worst[0].score >= worst[2].score > 0.5 - 0.4


def test_one_label_is_one_column() -> None:
    task = Multilabel(["only"])
    logits = np.array([[2.0], [-2.0], [2.0]], np.float32)
    figures = task.evaluate(labelled_of(task, "only", "only", ""), logits).metrics
    assert figures["micro_f1"] == figures["macro_f1"] == pytest.approx(0.5)


def test_thresholds_go_into_the_folder_and_back() -> None:
    task = Multilabel(["a", "b"], [0.25, 0.75])
    again = TASKS["multilabel"].task_class.restore(task.label_names, task.head.settings)
    logits = tf.constant([[-0.5, 0.5], [-2.0, 2.0]])
    np.testing.assert_array_equal(again.decode(logits)["active"], [[True, False], [False, True]])
    fresh = TASKS["multilabel"].task_class.restore(["a", "b"], {})
    np.testing.assert_array_equal(fresh.decode(logits)["active"], [[False, True], [False, True]])


def test_tuning_finds_labels_that_are_never_sure() -> None:
    random = np.random.default_rng(2)
    gold = (random.random((200, 2)) < 0.3).astype(np.float32)
    # Right order, but no score of the first label reaches one half.
    logits = (4 * gold - 2 + random.normal(0, 0.3, gold.shape) - [3, 0]).astype(np.float32)
    task = Multilabel(["a", "b"])
    labels = ["|".join(n for n, here in zip("ab", row, strict=True) if here) for row in gold]
    labelled = labelled_of(task, *labels)
    tuned = task.tuned_on(labelled, logits)
    assert not task.decode(tf.constant(logits))["active"].numpy()[:, 0].any()
    active = tuned.decode(tf.constant(logits))["active"].numpy()
    assert f1_score(gold, active, average="micro") > 0.95
    scores = tuned.decode(tf.constant(logits))["scores"].numpy()
    assert np.abs(scores - tuned.thresholds).min() > CLEAR / 2
    assert task.tuned_on(labelled, np.full_like(logits, np.nan)) is task


def test_thresholds_keep_clear_of_scores() -> None:
    scores = np.array([[0.2, 0.5], [0.4, 0.5 + 1e-7], [0.6, 0.9]], np.float32)
    moved = keep_clear(np.array([0.4, 0.5], np.float32), scores)
    assert np.abs(scores - moved).min() > CLEAR / 2
    np.testing.assert_allclose(moved, [0.4, 0.5], atol=3 * CLEAR)
    dense = np.linspace(0, 1, 200_001, dtype=np.float32)[:, None]
    assert keep_clear(np.array([0.5], np.float32), dense) == 0.5

"""One label a text: calibrated scores, answers held back, and what a folder keeps of both."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from tests.support.exports import exported
from tests.support.labelled import examples_of, labelled_of
from tests.support.runs import finished_run
from tfpipe.config import TrainConfig
from tfpipe.errors import UserError
from tfpipe.exporting.clean_process import batches_of, join, run_in_clean_process
from tfpipe.exporting.info import read_info
from tfpipe.tasks.calibration.abstention_target import (
    ABSTAIN,
    AbstentionTarget,
    read_abstention_target,
)
from tfpipe.tasks.calibration.selective import threshold_for_scope
from tfpipe.tasks.calibration.temperature import reliability
from tfpipe.tasks.calibration.thresholds import CLEAR
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.losses import LossSettings

NAMES = ["a", "b", "oos"]


def logits_of(*scores: list[float]) -> np.ndarray:
    return np.log(np.array(scores, np.float32))


def decoded(task: Classify, logits: np.ndarray) -> list[str]:
    return [name.decode() for name in task.decode(tf.constant(logits))["label"].numpy()]


def restored(task: Classify) -> Classify:
    """The task as a folder's config.json has it."""
    settings = json.loads(json.dumps(task.head.settings, allow_nan=False))
    return Classify.restore(task.label_names, settings)


def draw(rows: int, seed: int, temperature: float = 1.0) -> tuple[list[str], np.ndarray]:
    """Gold labels, and logits that are so many times too sharp."""
    random = np.random.default_rng(seed)
    true = 3 * random.normal(size=(rows, 3))
    chances = softmax(true, axis=1).cumsum(axis=1)
    gold = (chances > random.random((rows, 1))).argmax(axis=1)
    return [NAMES[i] for i in gold], (temperature * true).astype(np.float32)


# ---- the temperature ------------------------------------------------------------------------


def test_scores_are_those_of_divided_logits() -> None:
    labels, logits = draw(50, seed=1)
    plain, warm = Classify(NAMES), Classify(NAMES, temperature=2.5)
    gold = warm.gold(examples_of(*labels))
    found = {name: values.numpy() for name, values in warm.decode(tf.constant(logits)).items()}
    np.testing.assert_allclose(found["scores"], softmax(logits / 2.5, axis=1), rtol=1e-5)
    np.testing.assert_array_equal(found["score"], found["scores"].max(axis=1))
    assert decoded(warm, logits) == decoded(plain, logits)

    expected = -log_softmax(logits.astype(float) / 2.5, axis=1)[np.arange(50), gold]
    np.testing.assert_allclose(warm.loss(tf.constant(logits), {"label": gold}), expected, rtol=1e-4)
    evaluation = warm.evaluate(labelled_of(warm, *labels), logits)
    assert evaluation.metrics["loss"] == pytest.approx(expected.mean(), rel=1e-5)
    np.testing.assert_array_equal(evaluation.scores, found["scores"])
    judged = warm.judge(examples_of(*labels), evaluation.outputs)
    assert judged.metrics == pytest.approx(evaluation.metrics, rel=1e-5)
    # What is learnt is learnt before there is a temperature.
    for settings in (LossSettings(), LossSettings(2.0), LossSettings(label_smoothing=0.1)):
        ours, theirs = (
            task.training_loss(tf.constant(logits), {"label": gold}, settings)
            for task in (warm, plain)
        )
        np.testing.assert_array_equal(ours, theirs)


def test_a_temperature_is_fitted_on_dev() -> None:
    labels, logits = draw(2000, seed=2, temperature=3.0)
    task = Classify(NAMES)
    labelled = labelled_of(task, *labels)
    tuned = task.tuned_on(labelled, logits)
    assert task == Classify(NAMES) and tuned.abstain_below is None
    before, after = task.evaluate(labelled, logits), tuned.evaluate(labelled, logits)
    assert after.metrics["loss"] < before.metrics["loss"] - 0.1
    assert after.metrics["accuracy"] == before.metrics["accuracy"]
    errors = [reliability(e.score, e.gold == e.predicted).error for e in (before, after)]
    assert errors[0] > 0.1 and errors[1] < 0.03
    assert tuned.choices == [f"scores are those of logits divided by {tuned.temperature:.3f}"]


def test_it_stays_1_where_dev_cannot_tell() -> None:
    task = Classify(NAMES)
    sure = 9 * np.eye(3, dtype=np.float32)[[0, 1, 2] * 4]
    assert task.tuned_on(labelled_of(task, *NAMES * 4), sure) == task
    assert "divided by 1.000" in task.choices[0]


def test_what_was_chosen_comes_back_from_the_folder() -> None:
    for task in (
        Classify(NAMES),
        Classify(NAMES, "windows", 1.7),
        Classify(NAMES, temperature=0.3, abstain_below=0.25),
        Classify(NAMES, temperature=1 / 3, abstain_below=0.1 + 0.2, out_of_scope="oos"),
    ):
        assert restored(task) == task
    # A folder of before: it keeps nothing of the task.
    assert Classify.restore(NAMES, {}) == Classify(NAMES)


# ---- answers that are held back -------------------------------------------------------------

TASK = Classify(NAMES, temperature=2.0, abstain_below=0.5, out_of_scope="oos")
# Scores 0.8, 0.46, 0.6 and 0.9 once they are divided.
LOGITS = 2 * logits_of([0.8, 0.1, 0.1], [0.46, 0.44, 0.1], [0.1, 0.3, 0.6], [0.05, 0.9, 0.05])


def test_low_scores_and_the_outside_label_are_no_answer() -> None:
    for task in (TASK, restored(TASK)):
        answer = task.decode(tf.constant(LOGITS))
        assert decoded(task, LOGITS) == ["a", ABSTAIN, ABSTAIN, "b"]
        # What was held back, and how sure it was, is reported all the same.
        np.testing.assert_allclose(answer["score"], [0.8, 0.46, 0.6, 0.9], rtol=1e-5)
        np.testing.assert_array_equal(tf.argmax(answer["scores"], axis=1), [0, 0, 2, 1])
    assert decoded(dataclasses.replace(TASK, out_of_scope=None), LOGITS)[1:3] == [ABSTAIN, "oos"]
    # Where no threshold was chosen it is a label like any other.
    never = dataclasses.replace(TASK, abstain_below=None)
    assert decoded(never, LOGITS) == decoded(restored(never), LOGITS) == ["a", "a", "oos", "b"]


def test_training_and_serving_hold_back_the_same() -> None:
    labels, logits = draw(400, seed=3)
    score = softmax(logits, axis=1).max(axis=1)
    # At a score itself, too.
    for threshold in (0.0, 0.7, float(score[5]), 1.0):
        task = Classify(NAMES, abstain_below=threshold, out_of_scope="oos")
        evaluation = task.evaluate(labelled_of(task, *labels), logits)
        assert evaluation.labels.tolist() == decoded(task, logits)
        assert evaluation.outputs["label"] is evaluation.labels
        assert [row[2] for row in evaluation.rows()] == evaluation.labels.tolist()
        assert [row[1] for row in evaluation.rows()] == labels
        given = evaluation.labels != ABSTAIN
        assert evaluation.metrics["coverage"] == pytest.approx(given.mean())


def test_figures_of_held_back_answers() -> None:
    labelled = labelled_of(TASK, "a", "a", "b", "oos")
    evaluation = TASK.evaluate(labelled, LOGITS)
    assert {name: evaluation.metrics[name] for name in list(evaluation.metrics)[5:]} == {
        "coverage": 1 / 2,
        "selective_accuracy": 1 / 2,
        "in_scope_accuracy": pytest.approx(1 / 3),
        "out_of_scope_recall": 0.0,
    }
    # By label as if nothing were held back.
    assert evaluation.metrics["accuracy"] == 0.5
    judged = TASK.judge(labelled.examples, evaluation.outputs)
    assert judged.metrics == pytest.approx(evaluation.metrics, rel=1e-5)

    outside = TASK.evaluate(labelled_of(TASK, "a", "oos", "oos", "b"), LOGITS).metrics
    assert (outside["in_scope_accuracy"], outside["out_of_scope_recall"]) == (1.0, 1.0)
    plain = dataclasses.replace(TASK, out_of_scope=None).evaluate(labelled, LOGITS).metrics
    assert set(plain) - set(outside) == set() and "out_of_scope_recall" not in plain
    assert plain["coverage"] == 3 / 4
    never = dataclasses.replace(TASK, abstain_below=None).evaluate(labelled, LOGITS).metrics
    assert "coverage" not in never and never["accuracy"] == 0.5


def test_costs_of_answers_held_back() -> None:
    examples = examples_of("a", "a", "a", "oos", "oos", "oos")
    answers = {"label": np.array(["a", "b", ABSTAIN, ABSTAIN, "oos", "a"])}
    assert TASK.costs(examples, answers).tolist() == [0, 1, 1, 0, 0, 1]
    # A task that knows of no text outside sees none that is rightly held back.
    assert Classify(NAMES).costs(examples, answers).tolist() == [0, 1, 1, 1, 0, 1]
    with pytest.raises(ValueError, match="gives value and no label"):
        TASK.costs(examples, {"value": np.zeros(6)})


def test_a_threshold_is_chosen_on_calibrated_scores() -> None:
    labels, logits = draw(1000, seed=4, temperature=3.0)
    task = Classify(NAMES, out_of_scope="oos", abstention_target=AbstentionTarget("oos"))
    labelled = labelled_of(task, *labels)
    tuned = task.tuned_on(labelled, logits)
    assert tuned.temperature > 2 and tuned.no_threshold_reason is None
    evaluation = tuned.evaluate(labelled, logits)
    best = threshold_for_scope(evaluation.answered)
    assert tuned.abstain_below == pytest.approx(best, abs=3 * CLEAR)
    figures = evaluation.metrics
    open_minded = dataclasses.replace(tuned, abstain_below=0.0).evaluate(labelled, logits).metrics
    assert figures["out_of_scope_recall"] > open_minded["out_of_scope_recall"]
    assert figures["coverage"] < open_minded["coverage"] < 1.0
    reported = f"answers with a score below {tuned.abstain_below:.3f} are held back"
    assert tuned.choices[1:] == [reported]
    again = restored(tuned)
    assert again.evaluate(labelled, logits).metrics == figures

    risky = dataclasses.replace(
        task, out_of_scope=None, abstention_target=AbstentionTarget(None, 0.05)
    )
    tuned = risky.tuned_on(labelled, logits)
    assert tuned.evaluate(labelled, logits).metrics["selective_accuracy"] > 0.95
    assert tuned.evaluate(labelled, logits).metrics["accuracy"] < 0.95


@pytest.mark.parametrize(
    "target,labels,reason",
    [
        (
            AbstentionTarget("oos"),
            ["a", "b"] * 20 + ["oos"] * 4,
            "too few texts to choose a threshold",
        ),
        (
            AbstentionTarget(None, 0.01),
            ["a", "b"] * 20,
            "no threshold keeps wrong answers to 1.00%",
        ),
    ],
)
def test_without_a_threshold_the_training_is_not_lost(
    target: AbstentionTarget, labels: list[str], reason: str
) -> None:
    task = Classify(NAMES, out_of_scope=target.outside, abstention_target=target)
    logits = 3 * np.eye(3, dtype=np.float32)[task.gold(examples_of(*labels))]
    tuned = task.tuned_on(labelled_of(task, *labels), logits)
    assert tuned.abstain_below is None and tuned.no_threshold_reason is not None
    assert reason in tuned.no_threshold_reason and "to do: " in tuned.no_threshold_reason
    assert tuned.choices[1] == f"no answer is held back: {tuned.no_threshold_reason}"
    assert set(tuned.head.settings) == {"task", "long_text", "temperature"}
    assert decoded(restored(tuned), logits) == labels


def test_a_model_that_answers_nothing_chooses_nothing() -> None:
    for target in (AbstentionTarget("oos"), AbstentionTarget(None, 0.05)):
        task = Classify(NAMES, out_of_scope=target.outside, abstention_target=target)
        logits = np.full((60, 3), np.nan, np.float32)
        tuned = task.tuned_on(labelled_of(task, *NAMES * 20), logits)
        assert (tuned.temperature, tuned.abstain_below) == (1.0, None)
        assert "not finite numbers" in str(tuned.no_threshold_reason)


# ---- what the user asks for -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text,expected",
    [
        (None, None),
        ("auto", AbstentionTarget("oos")),
        ("b", AbstentionTarget("b")),
        ("0.1", AbstentionTarget(None, 0.1)),
        ("1e-3", AbstentionTarget(None, 0.001)),
    ],
)
def test_what_is_wished_for(text: str | None, expected: AbstentionTarget | None) -> None:
    assert read_abstention_target(text, NAMES) == expected


def test_a_wish_goes_by_the_labels_that_there_are() -> None:
    assert read_abstention_target("auto", ["a", "b"]) == AbstentionTarget(None, 0.05)
    assert read_abstention_target("auto", ["a", "Out of Scope"]) == AbstentionTarget("Out of Scope")
    assert read_abstention_target("auto", ["天气", "域外"]) == AbstentionTarget("域外")
    # A label before a word or a number of ours.
    assert read_abstention_target("auto", ["auto", "oos"]) == AbstentionTarget("auto")
    assert read_abstention_target("0.5", ["0.5", "1"]) == AbstentionTarget("0.5")
    # Only an answer that can be held back needs a name of its own.
    assert read_abstention_target(None, ["a", ABSTAIN]) is None


@pytest.mark.parametrize(
    "text,names,wrong,fix",
    [
        ("ooss", NAMES, "--abstain names no label", "did you mean 'oos'? name the label"),
        ("none of these", NAMES, "--abstain names no label", "name the label"),
        ("0", NAMES, "the share of wrong answers that --abstain allows is none", "give a number"),
        ("1", NAMES, "the share of wrong answers that --abstain allows is none", "give a number"),
        ("1.5", NAMES, "the share of wrong answers that --abstain allows is none", "give a number"),
        ("-0.1", NAMES, "the share of wrong answers that --abstain allows is none", "give"),
        ("nan", NAMES, "the share of wrong answers that --abstain allows is none", "give"),
        ("auto", ["a", ABSTAIN], "a label is called as an answer that is held back", "rename"),
    ],
)
def test_a_wish_that_cannot_be_read(text: str, names: list[str], wrong: str, fix: str) -> None:
    with pytest.raises(UserError) as caught:
        read_abstention_target(text, names)
    assert caught.value.wrong.startswith(wrong)
    assert caught.value.found in (text, repr(text), repr(ABSTAIN))
    assert caught.value.fix.startswith(fix)


def test_the_configuration_becomes_the_task() -> None:
    labels = ["b", "oos", "a", "b"]
    assert Classify.from_labels(labels) == Classify(NAMES)
    assert Classify.from_labels(labels, TrainConfig()) == Classify(NAMES)
    wished = Classify.from_labels(labels, TrainConfig(abstain="auto", long_text="head_tail"))
    assert wished == Classify(
        NAMES, "head_tail", out_of_scope="oos", abstention_target=AbstentionTarget("oos")
    )
    risky = Classify.from_labels(labels, TrainConfig(abstain="0.02"))
    assert (risky.out_of_scope, risky.abstention_target) == (None, AbstentionTarget(None, 0.02))
    with pytest.raises(UserError, match="did you mean 'oos'"):
        Classify.from_labels(labels, TrainConfig(abstain="oss"))


# ---- from a file to a fresh process ---------------------------------------------------------


def test_held_back_from_training_to_the_export() -> None:
    run, folder = finished_run("abstain"), Path(exported("abstain").folder)
    dev, metrics = run.read_dev(), run.metrics["dev"]
    log = (run.folder.parent / "log.txt").read_text(encoding="utf-8")
    assert "answers with a score below" in log
    assert metrics["out_of_scope_recall"] > 0.5 and metrics["in_scope_accuracy"] > 0.5
    lines = (run.folder / "predictions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    predicted = [line.split("\t")[2] for line in lines]

    info = read_info(folder)
    assert info is not None and info["labels"] == ["card", "oos", "refund"]
    task = Classify.restore(info["labels"], info["settings"])
    assert task.out_of_scope == "oos" and task.abstain_below is not None
    answers = join(run_in_clean_process(folder, batches_of(dev, task)).answered())
    assert answers["label"].tolist() == predicted
    assert ABSTAIN in predicted and {*predicted} <= {"card", "refund", ABSTAIN}
    judged = task.judge(dev, answers)
    assert judged.metrics == pytest.approx(metrics, rel=1e-4)

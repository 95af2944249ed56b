"""The report room: pictures, TensorBoard events and the HTML page, hostile texts included."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.plugin_util import markdown_to_safe_html

from tests.support.evaluations import NAMES, make_evaluation
from tests.support.pages import Page, read_events, resident_kilobytes
from tfpipe.report.confusion_png import (
    confusion_figure,
    picture_names,
)
from tfpipe.report.fonts import can_draw
from tfpipe.report.images import pixels, svg
from tfpipe.report.tensorboard_events import TensorBoardCallback, mistakes_table
from tfpipe.tasks.classify.confusion import worst_pairs
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation as Evaluation
from tfpipe.training.callbacks import StepMetrics


def draw(evaluation: Evaluation) -> Any:
    return confusion_figure(evaluation.confusion, evaluation.label_names)


@pytest.mark.parametrize("labels", [2, 3, 41, 150])
def test_the_picture_grows_with_labels(labels):
    evaluation = make_evaluation(labels, 300, NAMES[:2])
    height, width, _ = pixels(draw(evaluation)).shape
    assert min(height, width) >= (15 * labels if labels > 40 else 300)
    assert max(height, width) < 4_000


def test_one_wrong_text_in_a_hundred_is_seen():
    gold = np.repeat([0, 1], 100)
    predicted = gold.copy()
    predicted[0] = 1
    evaluation = Evaluation([""] * 200, ["no", "yes"], gold, np.eye(2)[predicted], 0.0)
    red, green, blue = np.moveaxis(pixels(draw(evaluation)).astype(int), -1, 0)
    orange = (red > green + 40) & (red > blue + 40)
    # Its cell is 80 pixels wide and high; the colour key below is a fifth of that.
    assert orange.sum() > 5_000


def test_pixels_are_those_of_a_png():
    figure, file = draw(make_evaluation(3, 60)), io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    picture = matplotlib.image.imread(file)[..., :3]
    np.testing.assert_array_equal(pixels(figure), np.rint(picture * 255).astype(np.uint8))


def test_label_limit_keeps_the_labels_with_errors():
    gold = np.repeat(np.arange(30), 3)
    predicted = gold.copy()
    predicted[3 * 17] = 22
    evaluation = Evaluation(
        [str(n) for n in range(90)],
        [f"label_{n}" for n in range(30)],
        gold,
        np.eye(30, dtype=np.float32)[predicted],
        0.1,
    )
    words = svg(confusion_figure(evaluation.confusion, evaluation.label_names, 4))
    assert ">label_17<" in words and ">label_22<" in words and ">label_29<" not in words
    assert "the 4 of 30 labels" in words


def test_names_without_a_font_become_numbers_and_nothing_warns():
    strange = "\U0010fffd secret"
    assert not can_draw(strange) and can_draw("plain")
    assert picture_names(["plain", strange]) == ["plain", "#1"]
    evaluation = make_evaluation(3, 30, ["plain", strange, "退款"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels(draw(evaluation))


def test_worst_pairs_are_ordered_by_count_then_share():
    gold = np.array([0] * 10 + [1] * 4 + [2] * 4)
    predicted = np.array([1, 1, 2, 2, 2] + [0] * 5 + [1, 1, 2, 2] + [2] * 4)
    evaluation = Evaluation([""] * 18, ["a", "b", "c"], gold, np.eye(3)[predicted], 0.0)
    pairs = [
        (p.gold, p.predicted, p.count, p.support) for p in worst_pairs(evaluation.confusion)[:5]
    ]
    assert pairs == [(0, 2, 3, 10), (1, 2, 2, 4), (0, 1, 2, 10)]


def test_board_writes_tidy_tags(tmp_path):
    folder = tmp_path / "logs"
    evaluation = make_evaluation(45, 200, NAMES)
    first = StepMetrics(1, 2, 1, 1.5, 3e-5, 0.5, examples=32, tokens=448, places=512, seconds=0.25)
    with TensorBoardCallback(folder) as board:
        assert not folder.exists()
        for step in (1, 2):
            board.on_step(replace(first, step=step, loss=1.5 / step))
        board.on_epoch({"step": 2}, evaluation)
    events = read_events(folder)
    assert set(events.Tags()["tensors"]) == {
        *("train/loss", "train/learning_rate", "train/gradient_norm", "train/padding_share"),
        *("train/examples_per_second", "train/tokens_per_second", "train/data_wait_share"),
        *("dev/accuracy", "dev/macro_f1", "dev/weighted_f1", "dev/loss"),
        *("dev/confusion_matrix", "dev/reliability", "dev/mistakes"),
        # Of the names that this machine has no font for.
        *(() if all(map(can_draw, NAMES)) else ("dev/label_numbers",)),
    }
    losses = [
        (e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors("train/loss")
    ]
    assert losses == [(1, 1.5), (2, 0.75)]
    rate = events.Tensors("train/tokens_per_second")[0].tensor_proto
    assert float(tf.make_ndarray(rate)) == 448 / 0.25
    (accuracy,) = events.Tensors("dev/accuracy")
    assert accuracy.step == 2
    assert float(tf.make_ndarray(accuracy.tensor_proto)) == pytest.approx(
        evaluation.metrics["accuracy"]
    )
    width, height, picture = tf.make_ndarray(events.Tensors("dev/confusion_matrix")[0].tensor_proto)
    assert tf.io.decode_png(picture).shape == (int(height), int(width), 3)


def test_curves_of_thousands_of_steps_take_no_memory(tmp_path):
    random = np.random.default_rng(0)
    first = StepMetrics(
        1, 9000, 1, 1.5, 3e-5, 0.5, examples=32, tokens=448, places=512, seconds=0.25
    )

    def take_steps(begin: int, end: int) -> int:
        for step in range(begin, end):
            loss, norm, seconds = random.random(3).tolist()
            board.on_step(replace(first, step=step, loss=loss, gradient_norm=norm, seconds=seconds))
        return resident_kilobytes()

    with TensorBoardCallback(tmp_path / "logs") as board:
        before = take_steps(0, 500)
        assert take_steps(500, 3000) - before < 2000


def test_board_without_values_leaves_nothing(tmp_path):
    with TensorBoardCallback(tmp_path / "logs"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_hostile_texts_stay_in_their_cells_of_the_text_panel():
    evaluation = make_evaluation(6, 120, NAMES)
    table = mistakes_table(evaluation.mistakes_section().rows)
    assert max(map(len, table.splitlines())) < 3_000
    page = Page(markdown_to_safe_html(table))
    assert page.count("table") == 1
    assert page.count("tr") == 21 and page.count("td") == 4 * 20
    assert {tag for tag, _ in page.tags} <= {"table", "thead", "tbody", "tr", "th", "td", "br"}
    assert "<script>alert(1)</script>" in page.text
    assert "[link](http://evil.example)" in page.text
    assert mistakes_table([]) == "No mistakes."

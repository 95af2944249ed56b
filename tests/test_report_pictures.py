"""What TensorBoard shows of each task: at most two pictures, which no name can break."""

from __future__ import annotations

import gc
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import font_manager

from tests.support.evaluations import (
    NAMES,
    make_answers,
    make_entities,
    make_evaluation,
    make_label_sets,
    make_values,
)
from tests.support.pages import read_events, resident_kilobytes
from tfpipe.report import fonts
from tfpipe.report.bars import MOST_BARS, Bar, bars_figure
from tfpipe.report.images import pixels, svg
from tfpipe.report.pictures import draw_pictures
from tfpipe.report.tensorboard_events import TensorBoardCallback
from tfpipe.tasks.task import TaskEvaluation

EVALUATIONS = {
    "classify": (lambda: make_evaluation(6, 90, NAMES), ["confusion_matrix", "reliability"]),
    "multilabel": (make_label_sets, ["label_f1", "reliability"]),
    "regress": (make_values, ["scatter"]),
    "tag": (make_entities, ["type_f1", "reliability"]),
    "qa": (lambda: make_answers(80), ["length_f1", "reliability"]),
}


@pytest.mark.parametrize("task", EVALUATIONS)
def test_each_task_has_its_pictures(task: str, tmp_path: Path) -> None:
    make, names = EVALUATIONS[task]
    evaluation: TaskEvaluation = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [picture.name for picture in draw_pictures(evaluation)] == names
        with TensorBoardCallback(tmp_path) as board:
            board.on_epoch({"step": 3}, evaluation)
    events = read_events(tmp_path)
    tags = events.Tags()["tensors"]
    assert {f"dev/{name}" for name in names} | {"dev/mistakes"} <= set(tags)
    for name in names:
        width, height, picture = tf.make_ndarray(events.Tensors(f"dev/{name}")[0].tensor_proto)
        shown = tf.io.decode_png(picture).numpy()
        assert shown.shape == (int(height), int(width), 3) and shown.std() > 5


def test_removed_fonts_are_not_used_and_new_ones_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manager = font_manager.fontManager
    plain = next(font for font in manager.ttflist if font.name == "DejaVu Sans")
    removed = replace(plain, fname=str(tmp_path / "gone.ttf"), name=fonts.CHINESE_FONTS[0])
    monkeypatch.setattr(manager, "ttflist", [removed])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [plain.fname])
    monkeypatch.setattr(fonts, "CHINESE_SAMPLE", "ab")
    fonts.font_families.cache_clear()
    # As if it had characters of Chinese.
    assert fonts.font_families() == ["sans-serif", "DejaVu Sans"]
    fonts.font_families.cache_clear()


def test_names_that_no_font_can_draw_are_listed_beside_the_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    strange = "\U0010fffd"
    evaluation = make_evaluation(3, 30, ["plain", strange, "last"])
    with caplog.at_level("INFO", "tfpipe"), TensorBoardCallback(tmp_path) as board:
        board.on_epoch({"step": 1}, evaluation)
        board.on_epoch({"step": 2}, evaluation)
    text = read_events(tmp_path).Tensors("dev/label_numbers")[0].tensor_proto.string_val[0].decode()
    assert "| &#35;1 | \U0010fffd |" in text and "plain" not in text
    (advice,) = [record.getMessage() for record in caplog.records]
    assert "of 1 label names" in advice and "fonts-noto-cjk" in advice


def test_bars_are_as_long_as_their_values() -> None:
    figure = bars_figure([Bar("a", 1.0, "9"), Bar("cost $x$", 0.5, "7"), Bar("c", 0.0, "1")], "F1")
    red, green, blue = np.moveaxis(pixels(figure).astype(int), -1, 0)
    rows = ((blue > red + 60) & (blue > green + 30)).sum(axis=1)
    lengths = sorted(set(rows[rows > 50].tolist()))
    assert len(lengths) == 2 and abs(lengths[1] - 2 * lengths[0]) <= 4
    assert "$x$" in svg(figure)
    many = svg(bars_figure([Bar(f"n{n}", 0.5, "") for n in range(99)], "F1 by label"))
    assert f">n{MOST_BARS - 1}<" in many and f">n{MOST_BARS}<" not in many
    assert "the first 60 of 99" in many
    assert len(pixels(bars_figure([], "F1")))


@pytest.mark.slow
def test_many_epochs_take_no_memory(tmp_path: Path) -> None:
    evaluation = make_evaluation(2, 60)
    with TensorBoardCallback(tmp_path) as board:
        for epoch in range(2):
            board.on_epoch({"step": epoch}, evaluation)
        gc.collect()
        before = resident_kilobytes()
        for epoch in range(2, 10):
            board.on_epoch({"step": epoch}, evaluation)
        # A picture that stays takes two megabytes.
        assert resident_kilobytes() - before < 16_000

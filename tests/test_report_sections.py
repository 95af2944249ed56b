"""What the report finds out by itself: suspects, slices, overlaps, lengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfpipe.data.examples import Columns, Examples
from tfpipe.report.data_section import describe_data
from tfpipe.report.slices import read_sources, slices_by_length, slices_by_source
from tfpipe.tasks.calibration.temperature import reliability
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation
from tfpipe.tasks.classify.label_errors import find_suspects

COLUMNS = Columns("text", None, "label")


def examples(texts: list[str], labels: list[str], path: str = "file.tsv") -> Examples:
    return Examples(texts, None, labels, path, COLUMNS)


def test_swapped_labels_are_suspected_and_doubtful_texts_are_not():
    random = np.random.default_rng(4)
    gold = random.integers(3, size=300)
    scores = np.full((300, 3), 0.1)
    scores[np.arange(300), gold] = 0.8
    swapped = np.array([5, 50, 150])
    scores[9] = (0.34, 0.33, 0.33)
    given = gold.copy()
    given[swapped] = (gold[swapped] + 1) % 3
    found = find_suspects([str(n) for n in range(300)], ["a", "b", "c"], given, scores, 2)
    assert found.count == 3 and found.examined == 300
    assert len(found.rows) == 2 and {row.text for row in found.rows} < {"5", "50", "150"}
    row = found.rows[0]
    assert row.score == 0.8 and row.gold_score == 0.1 and row.gold != row.proposed


def test_a_label_that_dev_has_no_text_of_is_never_proposed():
    scores = np.array([[0.1, 0.2, 0.7], [0.9, 0.05, 0.05], [0.2, 0.7, 0.1]])
    found = find_suspects(["x", "y", "z"], ["a", "b", "c"], np.array([0, 0, 1]), scores, 9)
    assert all(row.proposed != "c" for row in found.rows)
    assert find_suspects([], ["a"], np.zeros(0, int), np.zeros((0, 1)), 9).count == 0


def test_weak_slices_are_those_whose_interval_is_below_the_whole():
    lengths = np.repeat([5, 9, 14, 20, 90], 100)
    values = np.ones(500)
    values[400:460] = 0
    slices = slices_by_length(values, lengths, "accuracy")
    assert [row.name for row in slices.rows] == ["5", "9", "14", "20", "90"]
    assert [slices.is_weak(row) for row in slices.rows] == [False] * 4 + [True]
    assert sum(row.count for row in slices.rows) == 500
    falling = slices_by_length(1 - values, lengths, "mae", rising=False)
    assert [falling.is_weak(row) for row in falling.rows] == [False] * 4 + [True]
    assert slices_by_length(values, np.full(500, 7), "accuracy") is None


def test_sources_come_from_the_files_column(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("text\tlabel\tsource\none\ta\tapp\ntwo\tb\tmail\nthree\ta\tapp\n", "utf-8")
    part = examples(["three", "two"], ["a", "b"])
    assert read_sources(part, str(path)) == ["app", "mail"]
    plain = tmp_path / "plain.tsv"
    plain.write_text("text\tlabel\none\ta\n", "utf-8")
    assert read_sources(part, str(plain)) == read_sources(part, str(tmp_path / "gone.tsv")) == []
    slices = slices_by_source(np.array([1.0, 0, 1]), ["app", "mail", "app"], "accuracy")
    assert [(row.name, row.count, row.value) for row in slices.rows] == [
        *(("app", 2, 1.0), ("mail", 1, 0.0))
    ]
    assert slices_by_source(np.ones(3), [], "accuracy") is None


def test_overlaps_between_all_parts_with_the_figure_without_them():
    train = examples(["One!", "two", "two", "three"], ["a", "b", "a", "a"])
    dev = examples(["one", "two", "four"], ["b", "b", "a"])
    test = examples(["four", "five"], ["a", "b"])
    lengths = np.array([3, 4, 5, 200])
    right = {"dev": np.array([0.0, 1.0, 1.0])}
    parts = {"train": train, "dev": dev, "test": test}
    data = describe_data(parts, [("a", 3, 1)], lengths, 128, right, "accuracy")
    first, second, third = data.overlaps
    assert (first.part, first.other, first.exact, first.alike) == ("dev", "train", 1, 2)
    assert first.differing == 1 and first.twins[0].text == "one"
    assert (first.figure, first.without) == ("accuracy", 1.0)
    assert (second.part, second.alike) == ("test", 0)
    assert (third.part, third.other, third.alike) == ("test", "dev", 1)
    assert data.repeated == 1 and data.contradictions == 1
    assert data.contradiction == ("two", ["a", "b"])
    assert data.lengths.truncated == 0.25 and data.lengths.proposed == 200
    assert [part.rows for part in data.parts] == [4, 3, 2]


def test_empty_texts_are_counted():
    part = examples(["", " \t", "x"], ["a", "a", "b"])
    data = describe_data({"train": part, "dev": replace(part)}, [], np.array([2, 2, 3]), 8)
    assert [one.empty for one in data.parts] == [2, 2]


def test_the_error_before_the_temperature_is_found_again():
    random = np.random.default_rng(2)
    logits = random.normal(scale=4, size=(500, 3))
    # Labels as the logits at temperature 2.5 make them.
    gold = (logits / 2.5 + random.gumbel(size=(500, 3))).argmax(axis=1)

    def scores(temperature: float) -> np.ndarray:
        powers = np.exp(logits / temperature)
        return powers / powers.sum(axis=1, keepdims=True)

    evaluation = ClassificationEvaluation([""] * 500, ["a", "b", "c"], gold, scores(2.5), 1.0)
    found = evaluation.calibration({"temperature": 2.5})
    raw = reliability(scores(1.0).max(axis=1), gold == logits.argmax(axis=1))
    assert found.raw_error is not None and abs(found.raw_error - raw.error) < 1e-9
    assert found.answers.error < found.raw_error
    assert evaluation.calibration().raw_error is None

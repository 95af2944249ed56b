"""What the report finds out by itself: sources, overlaps, lengths, calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.support.labelled import make_examples
from tfpipe.report.data_section import describe_data
from tfpipe.report.slices import read_sources
from tfpipe.tasks.calibration.temperature import reliability
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation


def test_sources_come_from_the_files_column(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("text\tlabel\tsource\none\ta\tapp\ntwo\tb\tmail\nthree\ta\tapp\n", "utf-8")
    part = make_examples(["three", "two"], ["a", "b"])
    assert read_sources(part, str(path)) == ["app", "mail"]
    plain = tmp_path / "plain.tsv"
    plain.write_text("text\tlabel\none\ta\n", "utf-8")
    assert read_sources(part, str(plain)) == read_sources(part, str(tmp_path / "gone.tsv")) == []


def test_overlaps_between_all_parts_with_the_figure_without_them():
    train = make_examples(["One!", "two", "two", "three"], ["a", "b", "a", "a"])
    dev = make_examples(["one", "two", "four"], ["b", "b", "a"])
    test = make_examples(["four", "five"], ["a", "b"])
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
    part = make_examples(["", " \t", "x"], ["a", "a", "b"])
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

"""The type of the served products: what is asked, measured and refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.exporting import precision
from tfpipe.exporting.answer_parity import NARROW, Bounds, hold_against
from tfpipe.exporting.precision import choose_served
from tfpipe.exporting.saved_model import ExportedModel
from tfpipe.model import pretrained
from tfpipe.model.encoder import UnsupportedBert
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS


@pytest.fixture(scope="module")
def parts(published) -> tuple:
    run: Run = published[0]
    model = pretrained.load(run.model)
    return (
        model,
        TASKS["classify"].task_class(model.label_names),
        run.read_dev(),
        run.config.max_length,
    )


def test_what_is_asked_for_is_taken(parts) -> None:
    for name in ("float32", "bfloat16", "float16"):
        choice = choose_served(name, *parts)
        assert (choice.precision, choice.reason) == (name, "as asked")


def test_auto_measures_and_says_what_it_saw(parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: True)
    choice = choose_served("auto", *parts)
    assert choice.measured["texts"] == len(parts[2])
    assert choice.measured["times_as_fast"] > 0
    faster = choice.measured["times_as_fast"] > 1
    good = choice.measured["other_labels"] <= len(parts[2]) / 1000
    good = good and choice.measured["largest_difference"] <= 0.03
    assert choice.precision == ("bfloat16" if faster and good else "float32")
    assert "times as fast" in choice.reason


def test_auto_is_float32_where_nothing_computes_in_bfloat16(
    parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: False)
    choice = choose_served("auto", *parts)
    assert choice.precision == "float32" and "no bfloat16" in choice.reason


@pytest.mark.parametrize("bounds", ["NARROW", "NARROW_EDGES"])
def test_auto_refuses_a_type_that_answers_otherwise(
    parts, monkeypatch: pytest.MonkeyPatch, bounds: str
) -> None:
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "_time", lambda *_: {"float32": 2.0, "bfloat16": 1.0})
    monkeypatch.setattr(precision, bounds, Bounds(0.0, 0.0))
    choice = choose_served("auto", *parts)
    assert choice.precision == "float32" and "answers otherwise" in choice.reason


def test_a_model_of_stock_bert_is_float32(parts) -> None:
    model, *others = parts

    class Stock:
        encoder = None

    stock = Stock()
    assert choose_served("auto", stock, *others).precision == "float32"
    with pytest.raises(UserError, match="only train in float32"):
        choose_served("bfloat16", stock, *others)
    assert issubclass(UnsupportedBert, ValueError) and model.encoder is not None


def test_a_narrow_type_may_change_a_label_in_a_thousand() -> None:
    scores = np.tile(np.array([[0.6, 0.4]], np.float32), (1000, 1))
    expected = {"label": np.array(["a"] * 1000), "scores": scores}
    one = {
        "label": np.array(["a"] * 999 + ["b"]),
        "scores": scores + np.float32(0.01),
    }
    assert hold_against(one, expected).within(NARROW)
    two = {"label": np.array(["a"] * 998 + ["b"] * 2), "scores": scores}
    assert not hold_against(two, expected).within(NARROW)
    far = expected | {"scores": scores + np.float32(0.04)}
    assert not hold_against(far, expected).within(NARROW)


def test_embed_gives_the_mean_and_the_first_vector(parts) -> None:
    model, task, dev, max_length = parts
    servable = ExportedModel(model, task, max_length, False, {})
    texts = ["where is my card", "退款", "", "a very long text " * 20]
    found = servable.embed(tf.constant(texts))
    batch = model.tokenizer(tf.constant(texts), None, max_length=max_length)
    rows = replace(model).encoder.tokens(batch).numpy()
    mask = batch["attention_mask"].numpy()
    for row, (vectors, real) in enumerate(zip(rows, mask, strict=True)):
        mean = vectors[real > 0].mean(axis=0)
        np.testing.assert_allclose(found["mean"][row], mean, atol=1e-5)
        np.testing.assert_allclose(found["cls"][row], vectors[0], atol=1e-5)
    alone = servable.embed(tf.constant(texts[:1]))
    np.testing.assert_allclose(alone["mean"][0], found["mean"][0], atol=1e-5)

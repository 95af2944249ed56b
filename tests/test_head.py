"""Heads: the fast graph's answers are those of the transformers class, and come back from disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfpipe.model import presets, pretrained
from tfpipe.model.head import HEADS, Head

TEXTS = ["where is my card", "退款 please", "card", "money back now please"]
REGRESSION = ("sequence", "regression", {"task": "regress", "mean": 2.5})
MODELS = {
    "sequence": Head(*REGRESSION),
    "mean": Head(*REGRESSION, pooling="mean"),
    "embedding": Head("embedding", None, {"task": "embed"}),
    "mean_embedding": Head("embedding", None, {"task": "embed"}, pooling="mean"),
    "token": Head("token", None, {"task": "tag"}),
    "span": Head("span", None, {"task": "qa"}),
}
LABELS: dict[str, list[str]] = {
    "sequence": ["value"],
    "embedding": [],
    "token": ["O", "B-X", "I-X"],
    "span": ["start", "end"],
}


@pytest.mark.parametrize("name", MODELS)
def test_the_fast_graph_equals_stock_bert(name: str, tmp_path: Path) -> None:
    kind = MODELS[name].kind
    model = presets.make_tiny(LABELS[kind], TEXTS, head=MODELS[name])
    batch = model.tokenizer(TEXTS, max_length=10)
    real = batch["attention_mask"].numpy() > 0
    stock = model.stock_logits(batch).numpy()
    columns = len(LABELS[kind]) or 64
    whole = model.head.pooled
    shape = (4, columns) if whole else (*real.shape, columns)
    assert stock.shape == shape and model.encoder is not None
    for packed in (False, True):
        fast = replace(model, packed=packed).logits(batch).numpy()
        if not whole:
            fast, wanted = fast[real], stock[real]
        else:
            wanted = stock
        np.testing.assert_allclose(fast, wanted, atol=1e-5)
    dropped = model.logits(batch, training=True).numpy()
    assert not np.allclose(dropped if whole else dropped[real], wanted)

    # ---- and again from the folder
    pretrained.save(model, tmp_path)
    again = pretrained.load(tmp_path)
    assert again.head == model.head and again.label_names == LABELS[kind]
    assert again.head.pooling == ("mean" if name.startswith("mean") else "first")
    np.testing.assert_array_equal(again.stock_logits(batch), stock)
    settings = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert settings["architectures"] == [HEADS[kind].architecture]
    assert settings["tfpipe"] == MODELS[name].settings
    pretrained.store_settings(tmp_path, {"task": "x", "thresholds": [0.5]})
    assert pretrained.load(tmp_path).head.settings == {"task": "x", "thresholds": [0.5]}


def test_the_mean_is_that_of_real_tokens() -> None:
    model = presets.make_tiny(["a", "b"], TEXTS, head=Head(pooling="mean"))
    batch = dict(model.tokenizer(TEXTS, max_length=10))
    states = model.bert.bert(**batch).last_hidden_state.numpy()
    lengths = batch["attention_mask"].numpy().sum(1)
    mean = np.stack([states[i, :length].mean(0) for i, length in enumerate(lengths)])
    # The pooler of a new tiny model is the identity.
    wanted = np.tanh(mean) @ model.bert.classifier.kernel.numpy()
    np.testing.assert_allclose(model.logits(batch), wanted, atol=1e-5)


def test_transformers_loads_a_regression(tmp_path: Path) -> None:
    from transformers import TFAutoModelForSequenceClassification

    model = presets.make_tiny(["value"], TEXTS, head=MODELS["sequence"])
    pretrained.save(model, tmp_path)
    theirs, notes = TFAutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(notes.values()), notes
    assert theirs.config.num_labels == 1 and theirs.config.problem_type == "regression"
    batch = model.tokenizer(TEXTS, max_length=10)
    np.testing.assert_allclose(theirs(**batch).logits, model.logits(batch), atol=1e-5)


def test_a_folder_of_another_head_starts_fresh(tmp_path: Path) -> None:
    pretrained.save(presets.make_tiny(["a", "b"], TEXTS), tmp_path)
    model = pretrained.load(tmp_path, LABELS["token"], MODELS["token"])
    batch = model.tokenizer(TEXTS, max_length=10)
    assert model.logits(batch).shape[-1] == 3
    assert model.head.settings == {"task": "tag"}

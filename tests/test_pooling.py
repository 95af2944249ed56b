"""What a head for whole texts reads: chosen by `--pooling`, and kept with the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.model import presets, pretrained
from tfpipe.model.head import Head
from tfpipe.model.transformers_classes import TFBertForSequenceClassification
from tfpipe.report.model_card_body import MEAN_POOLING

TEXTS = ["where is my card", "refund please"]


def test_the_first_token_is_read_unless_asked_for_the_mean(tmp_path: Path) -> None:
    pretrained.save(presets.make_tiny(["a", "b"], TEXTS), tmp_path)
    for name in ("tiny", str(tmp_path)):
        assert presets.choose_pooling("auto", name, Head()) == "first"
        assert presets.choose_pooling("mean", name, Head()) == "mean"
    assert presets.choose_pooling("auto", "tiny", Head("token", None)) == "first"


def test_a_trained_model_says_what_it_reads_itself(tmp_path: Path) -> None:
    model = presets.make_tiny(["a", "b"], TEXTS, head=Head(pooling="mean"))
    pretrained.save(model, tmp_path)
    assert presets.choose_pooling("auto", str(tmp_path), Head()) == "mean"
    assert pretrained.load(tmp_path).head.pooling == "mean"
    assert pretrained.load(tmp_path, ["a"], Head("token", None)).head.pooling == "first"


def test_the_mean_of_tokens_is_refused_where_each_is_read() -> None:
    with pytest.raises(UserError) as caught:
        presets.choose_pooling("mean", "tiny", Head("span", None))
    assert caught.value.found == "its head reads every token"


def test_the_card_tells_how_transformers_computes_the_logits(tmp_path: Path) -> None:
    model = presets.make_tiny(["a", "b"], TEXTS, head=Head(pooling="mean"))
    pretrained.save(model, tmp_path)
    inputs = model.tokenizer(TEXTS, max_length=10)
    _, code, _ = "\n".join(MEAN_POOLING).split("```")
    theirs = TFBertForSequenceClassification.from_pretrained(tmp_path)
    names = {"tf": tf, "model": theirs, "inputs": inputs}
    exec(code.removeprefix("python"), names)
    np.testing.assert_allclose(names["logits"], model.logits(inputs), atol=1e-5)

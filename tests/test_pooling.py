"""What a head for whole texts reads: chosen by the model's files or `--pooling`, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.errors import UserError
from tfpipe.model import presets, pretrained
from tfpipe.model.head import Head
from tfpipe.model.transformers_classes import TFBertForSequenceClassification
from tfpipe.model.transformers_code import MEAN_POOLING
from tfpipe.training_run import resolve_pooling

TEXTS = ["where is my card", "refund please"]


def save_tiny(folder: Path, pooling: str, head: Head | None = None) -> Path:
    pretrained.save(presets.make_tiny(["a", "b"], TEXTS, head=head), folder)
    (folder / "1_Pooling").mkdir()
    content = {"pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_cls_token": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(content))
    settings = json.loads((folder / "config.json").read_text())
    del settings["pooling"]
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("stated", ["mean", "first"])
def test_auto_follows_the_files_of_the_model(stated: str, tmp_path: Path) -> None:
    folder = str(save_tiny(tmp_path / "model", stated))
    assert presets.choose_pooling("auto", folder) == stated
    assert presets.choose_pooling("first", folder) == "first"
    assert presets.choose_pooling("mean", folder) == "mean"


def test_a_trained_model_says_what_it_reads_itself(tmp_path: Path) -> None:
    model = presets.make_tiny(["a", "b"], TEXTS, head=Head(pooling="mean"))
    pretrained.save(model, tmp_path)
    assert presets.choose_pooling("auto", str(tmp_path)) == "mean"
    assert pretrained.load(tmp_path).head.pooling == "mean"
    assert pretrained.load(tmp_path, ["a"], Head("token", None)).head.pooling == "first"


def test_the_card_tells_how_transformers_computes_the_logits(tmp_path: Path) -> None:
    model = presets.make_tiny(["a", "b"], TEXTS, head=Head(pooling="mean"))
    pretrained.save(model, tmp_path)
    inputs = model.tokenizer(TEXTS, max_length=10)
    _, code, _ = "\n".join(MEAN_POOLING).split("```")
    theirs = TFBertForSequenceClassification.from_pretrained(tmp_path)
    names = {"tf": tf, "model": theirs, "inputs": inputs}
    exec(code.removeprefix("python"), names)
    np.testing.assert_allclose(names["logits"], model.logits(inputs), atol=1e-5)


def test_the_mean_is_refused_where_every_token_is_read() -> None:
    task = SimpleNamespace(name="tag", head=Head("token", None))
    with pytest.raises(UserError, match="--pooling mean does not fit --task tag"):
        resolve_pooling(TrainConfig(task="tag", pooling="mean"), task)
    config, head = resolve_pooling(TrainConfig(task="tag"), task)
    assert (config.pooling, head) == ("auto", task.head)

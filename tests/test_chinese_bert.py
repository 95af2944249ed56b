"""Folders like those of bert-base-chinese and its kin on the hub: WordPiece of characters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from transformers import BertConfig, BertTokenizerFast, TFBertForPreTraining

from tests import fuzz_tokenizer as fuzz
from tests.support.data import write_chinese_entities
from tests.support.runs import tiny_config
from tfpipe.model import pretrained
from tfpipe.train import train

CHARACTERS = "我的卡在哪里李明王芳北京上海呼和浩特香港去了工作看天气阿木买提欧阳雪，。！？：（）、·"
WORDS = ["<S>", "<T>", *CHARACTERS, *"abcxyzABC0123456789!,:()", "card", "Card", "é"]
VOCABULARY = [
    *("[PAD]", *(f"[unused{i}]" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *WORDS,
    *(f"##{word}" for word in WORDS[2:]),
]
# tokenizer_config.json as different repositories have it, and whether it lower-cases.
CONFIGURATIONS: dict[str, tuple[dict[str, Any] | None, bool]] = {
    "google-bert/bert-base-chinese": ({"do_lower_case": False, "model_max_length": 512}, False),
    "hfl/chinese-roberta-wwm-ext": ({"init_inputs": []}, True),
    "hfl/chinese-bert-wwm": ({"do_lower_case": True, "tokenizer_class": "BertTokenizer"}, True),
    "without": (None, True),
}
TEXTS = [
    *("我的卡在哪里？", "李明去了呼和浩特，abc Card É é。", "ＶＩＰ：🙂王芳", "倢伃card"),
    *("[CLS] 我[SEP]", "", "card卡card", "12３　4"),
]


@pytest.fixture(params=CONFIGURATIONS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with weights of pretraining, vocab.txt and, in half of the cases, tokenizer.json."""
    configuration, _ = CONFIGURATIONS[request.param]
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        directionality="bidi",
        pooler_fc_size=768,
        initializer_range=0.05,
    )
    tf.keras.utils.set_random_seed(1)
    bert = TFBertForPreTraining(config)
    bert.build_in_name_scope()
    bert.save_pretrained(tmp_path, safe_serialization=True)
    (tmp_path / "vocab.txt").write_text("".join(f"{w}\n" for w in VOCABULARY), "utf-8")
    if configuration is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(configuration))
        fast: Any = BertTokenizerFast.from_pretrained(tmp_path)
        fast.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_texts_are_tokenized_as_by_transformers(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    reference = BertTokenizerFast.from_pretrained(folder, split_special_tokens=True)
    model = pretrained.load(folder, ["a", "b"])
    fuzz.assert_equal(model.tokenizer, reference, [*TEXTS, *fuzz.strings(200, seed=3)])
    # No setting of a repository is overlooked: ABC is there, and abc is where it is lower-cased.
    (row,) = model.tokenizer.tokenize(["A Card"]).to_list()
    name = request.node.callspec.params["folder"]
    expected = ["a", "card"] if CONFIGURATIONS[name][1] else ["A", "Card"]
    assert [model.tokenizer.vocabulary[i] for i in row] == expected
    assert np.isfinite(model.logits(model.tokenizer(TEXTS))).all()


@pytest.mark.parametrize("folder", ["google-bert/bert-base-chinese"], indirect=True)
def test_chinese_entities_are_found_by_code_points(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_chinese_entities(data / "people.jsonl")
    settings = {"task": "tag", "epochs": 8, "batch_size": 16, "learning_rate": 6e-3}
    run = train(
        tiny_config(
            data, train=str(data / "people.jsonl"), model=str(folder), max_length=48, **settings
        )
    )
    assert run.metrics["dev"]["f1"] == 1.0

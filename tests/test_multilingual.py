"""Every task with a BERT that has XLM-R's tokenizer: inputs, answers, exports."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving.server import metrics
from serving.server.flags import parse_flags
from serving.server.lifecycle.loader import Loader
from tests.support.exports import exported
from tests.support.hostile import multilingual
from tests.support.runs import finished_run
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.tokenizer.reference import load_reference
from tfpipe.exporting.warmup import read_warm_up
from tfpipe.model import pretrained
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task, task_of

# Multilabel is trained as regress is, and both are exported as pairs are. Questions are pairs, and
# their head is one of tokens, as that of tag.
SLOW = [
    pytest.param(f"multilingual_{kind}", marks=pytest.mark.slow) for kind in ("multilabel", "qa")
]
KINDS = ["multilingual_pairs", "multilingual_regress", "multilingual_tag", *SLOW]
EXPORTED = [
    *("multilingual_pairs", "multilingual_tag"),
    pytest.param("multilingual_regress", marks=pytest.mark.slow),
    *SLOW,
]


@functools.cache
def opened(kind: str) -> tuple[TextModel, Task, EncodedDataset]:
    """The model of a run, its task, and dev."""
    run = finished_run(kind)
    model = pretrained.load(run.model)
    task = task_of(run.config.task, model)
    return model, task, task.label(run.read_dev(), model.tokenizer, run.config.max_length)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_keeps_the_tokenizer_and_its_pad_id(kind: str) -> None:
    run, (model, _, labelled) = finished_run(kind), opened(kind)
    assert model.tokenizer.fingerprint == multilingual().fingerprint
    assert model.config.pad_token_id == labelled.encoded.pad == 1
    assert json.loads((run.model / "config.json").read_text())["pad_token_id"] == 1


@pytest.mark.parametrize("kind", ["multilingual_pairs", "multilingual_regress", "multilingual_tag"])
def test_inputs_are_those_of_transformers(kind: str) -> None:
    run, (_, _, labelled) = finished_run(kind), opened(kind)
    examples, encoded = labelled.examples, labelled.encoded
    pairs = examples.text_pairs
    expected = load_reference(run.model)(
        list(examples.texts),
        pairs and list(pairs),
        truncation=True,
        max_length=run.config.max_length,
    )
    rows = np.split(encoded.ids, encoded.splits[1:-1])
    assert [row.tolist() for row in rows] == expected["input_ids"]
    assert not encoded.token_types.any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_fills_a_row_up_changes_nothing(kind: str) -> None:
    """Padding is masked in the fast graph and in stock TFBert, whichever ids it has."""
    model, _, labelled = opened(kind)
    encoded = labelled.encoded
    rows = tf.RaggedTensor.from_row_splits(encoded.ids, encoded.splits)[:16]
    batch = {
        "token_type_ids": tf.zeros([16, 64], tf.int32),
        "attention_mask": tf.sequence_mask(rows.row_lengths(), 64, tf.int32),
    }
    real = batch["attention_mask"] > 0
    answers = []
    for pad in (1, 0, 77):
        batch["input_ids"] = rows.to_tensor(pad, shape=[16, 64])
        answers += [model.logits(batch), model.stock_logits(batch)]
    for logits in answers:
        if model.head.per_token:
            logits, first = tf.boolean_mask(logits, real), tf.boolean_mask(answers[0], real)
        else:
            first = answers[0]
        np.testing.assert_allclose(logits, first, atol=2e-6)


@pytest.mark.parametrize("kind", EXPORTED)
def test_an_export_answers_as_the_model(kind: str) -> None:
    """It was compared in a clean process, on edge cases and with transformers before."""
    export, (model, _, _) = exported(kind), opened(kind)
    parity = json.loads((export.folder / "assets.extra" / "parity.json").read_text())
    for name in ("fresh_process", "edges", "stock_bert"):
        assert parity[name]["other_labels"] == 0 and parity[name]["largest_difference"] < 1e-5
    assert all(table["mismatches"] == 0 for table in parity["tokenizer"].values())
    info = json.loads((export.folder / "assets" / "info.json").read_text())
    assert info["vocabulary_sha256"] == model.tokenizer.vocabulary_sha256


def test_our_server_replays_the_requests_to_warm_up() -> None:
    folder = exported("multilingual_pairs").folder
    runs = metrics.RUNTIME_LATENCY.total()
    flags = parse_flags([f"--model_base_path={folder.parent}"])
    Loader(flags).load("tiny", 1, folder).close()
    assert metrics.RUNTIME_LATENCY.total() == runs + len(read_warm_up(folder)) > runs


def test_chinese_entities_are_found_by_code_points() -> None:
    assert finished_run("multilingual_tag").metrics["dev"]["f1"] == 1.0
    _, _, labelled = opened("multilingual_tag")
    assert (labelled.cut, labelled.torn) == (0, 0)
    serve: Any = tf.saved_model.load(str(exported("multilingual_tag").folder))
    texts = [
        "ＶＩＰ：🙂李明去了呼和浩特！",
        "（１２）👍🏽阿里木·买买提在香港工作。",
        "a\u0301 😀😀王倢，北京看天气",
    ]
    found = serve.signatures["serving_default"](text=tf.constant(texts))
    entities = [
        [(name.decode(), text[start:end]) for name, start, end in zip(*row, strict=True) if name]
        for text, *row in zip(
            texts, *(found[name].numpy() for name in ("entity", "start", "end")), strict=True
        )
    ]
    assert entities == [
        [("person", "李明"), ("place", "呼和浩特")],
        [("person", "阿里木·买买提"), ("place", "香港")],
        [("person", "王倢"), ("place", "北京")],
    ]

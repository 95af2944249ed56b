"""`tfpipe.pretrain`: masked language modelling on texts, and the folder to fine-tune."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.data import WORDS
from tests.support.runs import finished_run
from tfpipe.config import PretrainConfig, build
from tfpipe.data.examples import Columns
from tfpipe.data.masking import PLACES, make_rows
from tfpipe.data.unlabelled import read_unlabelled
from tfpipe.errors import UserError
from tfpipe.model import presets, pretrained
from tfpipe.model.checkpoint_folder import read_pooling
from tfpipe.model.masked_lm import open_masked, save_masked
from tfpipe.pretrain import main, pretrain

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers with a pooler, without dropout."""
    folder = tmp_path_factory.mktemp("base") / "model"
    shutil.copytree(finished_run("classify").model, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "modules.json").write_text("[]", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A table and plain text; the words of a text are of one label, and so tell each other."""
    folder, chance = tmp_path_factory.mktemp("texts"), random.Random(1)
    lines = [
        " ".join(chance.choices(WORDS[label], k=chance.randint(6, 12)))
        for label in sorted(WORDS)
        for _ in range(160)
    ]
    table, plain = folder / "table.tsv", folder / "plain.txt"
    table.write_text("\n".join(["text\tlabel", *(f"{line}\tx" for line in lines[::2])]) + "\n")
    plain.write_text("\n\n".join([*lines[1::2], lines[0]]))
    return [str(table), str(plain)]


def config_of(base: Path, texts: list[str], output: Path, **values: object) -> PretrainConfig:
    settings = {
        "texts": texts[0],
        "more_texts": tuple(texts[1:]),
        "output": str(output),
        "model": str(base),
        "max_length": 16,
        "epochs": 2,
        "precision": "float32",
        "learning_rate": 1e-2,
        "strategy": "one_device",
    }
    return PretrainConfig(**(settings | values))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(base: Path, texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("domain") / "model"
    done = pretrain(config_of(base, texts, output))
    assert done.loss_after < done.loss_before - 0.3 and done.accuracy_after > done.accuracy_before
    assert done.texts + done.held_out + done.left_out == 721 and done.left_out == 241
    assert done.held_out == round(0.05 * (done.texts + done.held_out))
    stored = json.loads((output / "pretrain.json").read_text(encoding="utf-8"))
    assert stored["loss_after"] == done.loss_after and stored["settings"]["epochs"] == 2
    return output


def test_the_folder_is_one_to_fine_tune(trained: Path, base: Path) -> None:
    model = pretrained.load(trained, ["a", "b"])
    assert list(model.fresh) == ["head"]
    before, after = load_file(base / WEIGHTS), load_file(trained / WEIGHTS)
    for name, value in before.items():
        if "pooler" in name:
            np.testing.assert_array_equal(after[name], value)
    words = "bert.embeddings.word_embeddings.weight"
    assert not np.allclose(after[words], before[words])
    # The pooler of a folder of sentence-transformers is reset, as that of the source.
    assert "pooler" in presets.start_pooler(model).fresh
    config = json.loads((trained / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["BertForMaskedLM"] and "id2label" not in config


def test_transformers_predicts_the_same(trained: Path) -> None:
    from transformers import TFBertForMaskedLM

    theirs, notes = TFBertForMaskedLM.from_pretrained(trained, output_loading_info=True)
    assert not notes["missing_keys"], notes
    model = open_masked(str(trained), [], 16)
    assert not model.fresh
    masked = make_rows(["where is my card", "refund my money 5"], model.tokenizer, 16, None)
    rows = masked.mask(0.3, (1,))
    batch = dict(model.tokenizer(["where is my card", "refund my money 5"], max_length=16))
    batch["input_ids"] = np.zeros_like(batch["input_ids"])
    for row, (start, end) in enumerate(pairwise(rows.encoded.splits)):
        batch["input_ids"][row, : end - start] = rows.encoded.ids[start:end]
    places = rows.targets[PLACES]
    wanted = theirs(**batch).logits.numpy()
    found = model.logits(batch | {PLACES: places}).numpy()
    at = np.argwhere(places >= 0)
    assert len(found) == len(at)
    np.testing.assert_allclose(found, [wanted[r, places[r, p]] for r, p in at], atol=1e-4)


def test_it_continues_where_it_ended(trained: Path, texts: list[str], tmp_path: Path) -> None:
    before = json.loads((trained / "pretrain.json").read_text(encoding="utf-8"))
    done = pretrain(config_of(trained, texts, tmp_path / "more", epochs=1, learning_rate=1e-4))
    assert done.loss_before == pytest.approx(before["loss_after"], abs=1e-4)


def test_two_replicas_are_as_one(
    trained: Path, base: Path, texts: list[str], tmp_path: Path
) -> None:
    again = tmp_path / "again"
    pretrain(config_of(base, texts, again))
    assert (again / WEIGHTS).read_bytes() == (trained / WEIGHTS).read_bytes()
    two, one = tmp_path / "two", tmp_path / "one"
    few = {"learning_rate": 1e-3, "epochs": 1, "batch_size": 33}
    pretrain(config_of(base, texts, two, strategy="mirrored", devices=2, **few))
    pretrain(config_of(base, texts, one, **few))
    wanted = load_file(one / WEIGHTS)
    for name, value in load_file(two / WEIGHTS).items():
        np.testing.assert_allclose(value, wanted[name], atol=1e-4, err_msg=name)


def test_a_named_model_keeps_its_pooling(tmp_path: Path, base: Path) -> None:
    model = open_masked(str(base), [], 16)
    save_masked(model, str(base), tmp_path / "folder")
    assert read_pooling(tmp_path / "folder") == read_pooling(base)
    config = {"pooling": "auto"}
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    assert read_pooling(tmp_path) == "mean"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_pooling(tmp_path) == "first" and read_pooling(tmp_path, "mean") == "mean"


def test_held_out_texts_are_others(texts: list[str]) -> None:
    one, other = (read_unlabelled(texts, Columns(), seed) for seed in (1, 2))
    assert not {*one.train} & {*one.held_out} and one.held_out != other.held_out
    assert {*one.train, *one.held_out} == {*other.train, *other.held_out}


def test_the_command(
    base: Path, texts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "domain"
    command = ["--model", str(base), "--output", str(output), "--max-length", "16"]
    command += ["--strategy", "one_device", "--texts", *texts]
    assert main([*command, "--learning-rate", "1e-9", "--json"]) == 0
    captured = capsys.readouterr()
    done = json.loads(captured.out)
    assert done["output"] == str(output) and done["words"].startswith("whole words; of Chinese")
    # What this rate changes is rounding, so that the loss may be either.
    assert done["loss_after"] == pytest.approx(done["loss_before"], abs=1e-3)
    assert ("is not lower" in captured.err) == (done["loss_after"] >= done["loss_before"])
    assert main(command) == 2 and "exists" in capsys.readouterr().err
    assert main([*command, "--mask", "0.7"]) == 2
    assert "--mask is out of range" in capsys.readouterr().err


def test_what_is_refused(base: Path, texts: list[str], tmp_path: Path) -> None:
    few, unsupported = tmp_path / "few.txt", tmp_path / "other"
    few.write_text("a\n" * 30 + "b\n\n")
    shutil.copytree(base, unsupported)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (unsupported / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu_fast"}))
    for values, wrong in (
        ({"texts": str(few), "more_texts": ()}, "2 distinct texts in 32 rows"),
        ({"texts": str(tmp_path / "none.txt")}, "the data file is missing"),
        ({"model": str(unsupported)}, "cannot be pretrained"),
        ({"max_length": 512, "model": str(tmp_path)}, "config.json"),
        ({"learning_rate": 1e30}, "training diverges"),
    ):
        with pytest.raises(UserError) as raised:
            pretrain(replace(config_of(base, texts, tmp_path / "new"), **values))
        assert wrong in str(raised.value), wrong
        assert not (tmp_path / "new").exists()
    for values, wrong in (
        ({"devices": 2, "strategy": "one_device"}, "one_device uses one device"),
        ({"add_words": 2, "model": "tiny"}, "--add-words has no effect"),
    ):
        with pytest.raises(UserError, match=wrong):
            build(PretrainConfig, {"texts": "a", "output": "b", **values})

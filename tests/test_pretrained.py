"""Model folders in and out: equal weights, label names, refusals."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.support.data import WORDS
from tfpipe.errors import UserError
from tfpipe.model import presets, pretrained

TEXTS = [word for words in WORDS.values() for word in words] * 2
LABELS = ["好", "b", "c d"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny model."""
    folder = tmp_path_factory.mktemp("model")
    pretrained.save(presets.make_tiny(LABELS, TEXTS), folder)
    return folder


def logits(model: pretrained.TextModel) -> np.ndarray:
    return model.logits(model.tokenizer(["card 卡", "refund money back"], max_length=12)).numpy()


def test_loads_as_it_was_saved(folder: Path, tmp_path: Path) -> None:
    model = pretrained.load(folder)
    assert model.label_names == LABELS
    pretrained.save(model, tmp_path)
    assert (
        load_file(tmp_path / "model.safetensors").keys()
        == load_file(folder / "model.safetensors").keys()
    )
    np.testing.assert_array_equal(logits(pretrained.load(tmp_path)), logits(model))


def test_transformers_loads_it(folder: Path) -> None:
    from transformers import BertTokenizerFast, TFAutoModelForSequenceClassification

    theirs, notes = TFAutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(notes.values()), notes
    assert [theirs.config.id2label[i] for i in range(3)] == LABELS
    tokens = BertTokenizerFast.from_pretrained(folder)(
        ["card 卡", "refund money back"], padding=True, return_tensors="np"
    )
    ours = logits(pretrained.load(folder))
    np.testing.assert_allclose(theirs(**tokens).logits.numpy(), ours, atol=1e-6)


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")
def test_pytorch_loads_it(folder: Path) -> None:
    # In a process of its own: TensorFlow and PyTorch in one process can end it.
    script = """
import sys, json
from transformers import AutoTokenizer, AutoModelForSequenceClassification
model, notes = AutoModelForSequenceClassification.from_pretrained(
    sys.argv[1], output_loading_info=True)
assert not notes["missing_keys"] and not notes["unexpected_keys"], notes
tokens = AutoTokenizer.from_pretrained(sys.argv[1])(
    ["card 卡", "refund money back"], padding=True, return_tensors="pt")
print(json.dumps(model.eval()(**tokens).logits.tolist()))
"""
    env = {**os.environ, "USE_TORCH": "1", "USE_TF": "0"}
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(theirs, logits(pretrained.load(folder)), atol=1e-5)


def test_reads_tf_format(folder: Path, tmp_path: Path) -> None:
    model = pretrained.load(folder)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    model.bert.save_weights(tmp_path / "tf_model.h5", save_format="h5")
    np.testing.assert_allclose(logits(pretrained.load(tmp_path)), logits(model), atol=1e-7)


def test_other_labels_start_a_fresh_head(folder: Path) -> None:
    model = pretrained.load(folder, ["x", "y", "z", "w", "v"])
    assert logits(model).shape == (2, 5)
    assert model.bert.config.id2label[4] == "v"


def edit_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def spoil(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    if how == "no weights":
        weights.unlink()
    elif how == "pickle":
        weights.rename(folder / "pytorch_model.bin")
    elif how == "damaged":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif how == "remote code":
        edit_config(folder, auto_map={"AutoModel": "evil.Model"})
    elif how == "not bert":
        edit_config(folder, model_type="roberta")
    elif how == "no config":
        (folder / "config.json").unlink()
    elif how == "broken config":
        (folder / "config.json").write_text("{", "utf-8")
    elif how.startswith("pointer"):
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 91\n"
        (folder / how.split()[-1]).write_text(pointer, "utf-8")
    elif how == "vocabulary too long":
        with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
            file.write("another\n")
    elif how == "embedding too short":
        state = load_file(weights)
        name = "bert.embeddings.word_embeddings.weight"
        state[name] = state[name][:-1].copy()
        save_file(state, weights, metadata={"format": "pt"})


REFUSALS = {
    "no weights": "has no weights",
    "pickle": "pickle",
    "damaged": "damaged",
    "remote code": "needs its own code",
    "not bert": "not a BERT",
    "no config": "no config.json",
    "broken config": "cannot be read",
    "pointer for model.safetensors": "pointer of Git LFS",
    "pointer for config.json": "pointer of Git LFS",
    "pointer for vocab.txt": "pointer of Git LFS",
    "vocabulary too long": "embedding differ",
    "embedding too short": "embedding differ",
}


@pytest.mark.parametrize("how", REFUSALS)
def test_refuses(folder: Path, tmp_path: Path, how: str) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    # A stored tokenizer.json would hold the vocabulary a second time.
    (tmp_path / "tokenizer.json").unlink(missing_ok=True)
    spoil(tmp_path, how)
    with pytest.raises(UserError, match=REFUSALS[how]) as caught:
        pretrained.load(tmp_path)
    assert caught.value.found and caught.value.fix


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("./absent", "not a folder"),
        ("a/b/c", "not a folder"),
        ("startr", "hub cannot be reached"),
        ("someone/some-bert", "hub cannot be reached"),
        ("no such name!", "no such model"),
    ],
)
def test_names_that_lead_nowhere(name: str, wrong: str) -> None:
    with pytest.raises(UserError, match=wrong) as caught:
        presets.find_folder(name)
    assert name != "startr" or "did you mean 'starter'" in caught.value.fix


def test_starter_is_found() -> None:
    model = pretrained.load(presets.find_folder("starter"), LABELS)
    assert model.bert.config.hidden_size == 384 and len(model.tokenizer.vocabulary) == 30522


def test_input_longer_than_the_model(folder: Path) -> None:
    edit = json.loads((folder / "config.json").read_text("utf-8"))
    positions = edit["max_position_embeddings"]
    with pytest.raises(UserError, match="above the model"):
        presets.open_model(str(folder), LABELS, [], positions + 1)

"""Folders of checkpoints: every form that is read, and what is refused before the first step."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from tfpipe.data.tokenizer.frame import Frame
from tfpipe.errors import UserError
from tfpipe.model import presets, pretrained
from tfpipe.model.checkpoint_folder import check_types, read_tokenizer

TEXTS = ["my card was lost", "where is my parcel", "我要退款"] * 2
LABELS = ["a", "b"]
WORDS = "bert.embeddings.word_embeddings.weight"
TYPES = "bert.embeddings.token_type_embeddings.weight"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    pretrained.save(presets.make_tiny(LABELS, TEXTS), folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def configure(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text("utf-8")) | values
    kept = {name: value for name, value in content.items() if value is not None}
    path.write_text(json.dumps(kept), "utf-8")


def hidden(model: pretrained.TextModel) -> np.ndarray:
    return model.backbone(model.tokenizer(TEXTS, max_length=12))[0].numpy()


def shard(folder: Path) -> None:
    whole = folder / "model.safetensors"
    state = load_file(whole)
    whole.unlink()
    places = {name: f"model-{i % 2 + 1:05}-of-00002.safetensors" for i, name in enumerate(state)}
    for file in set(places.values()):
        save_file({n: v for n, v in state.items() if places[n] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def resize(folder: Path, rows: int) -> np.ndarray:
    """Give the embedding more or fewer rows; returns it."""
    state = load_file(folder / "model.safetensors")
    old = state[WORDS]
    more = np.random.default_rng(0).normal(size=(max(0, rows), old.shape[1]))
    state[WORDS] = np.concatenate([old[: len(old) + min(rows, 0)], more.astype(np.float32)])
    save_file(state, folder / "model.safetensors")
    configure(folder, vocab_size=len(state[WORDS]))
    return state[WORDS]


def as_google_has_it(folder: Path) -> None:
    """Replace a model by a checkpoint of TensorFlow 1 with its optimizer's state."""
    state = load_file(folder / "model.safetensors")
    settings = json.loads((folder / "config.json").read_text("utf-8"))
    for path in folder.iterdir():
        if path.name != "vocab.txt":
            path.unlink()
    for name in ("model_type", "architectures"):
        del settings[name]
    (folder / "bert_config.json").write_text(json.dumps(settings), "utf-8")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in state.items():
            if name.startswith("classifier"):
                continue
            name = re.sub(r"/layer/(\d+)/", r"/layer_\1/", name.replace(".", "/"))
            name = name.removesuffix("/weight") if "_embeddings/" in name else name
            if "LayerNorm" in name:
                name = name.replace("weight", "gamma").replace("bias", "beta")
            elif name.endswith("/weight"):
                name, value = name.removesuffix("weight") + "kernel", value.T
            tf.compat.v1.get_variable(name, initializer=value)
            tf.compat.v1.get_variable(f"{name}/adam_m", initializer=value)
        tf.compat.v1.get_variable("cls/predictions/output_bias", initializer=np.zeros(3))
        tf.compat.v1.get_variable("global_step", initializer=3)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(folder / "bert_model.ckpt"))


READ = {
    "sharded": (shard, "body, pooler, head from model.safetensors.index.json"),
    "no model_type": (lambda f: configure(f, model_type=None, architectures=None), "body, pooler"),
    "of Google": (as_google_has_it, "body, pooler from bert_model.ckpt.index; fresh head"),
    "spare rows": (lambda f: resize(f, 12), "12 rows of the embedding without a word are kept"),
}


@pytest.mark.parametrize("how", READ)
def test_reads(saved: Path, folder: Path, how: str) -> None:
    change, origin = READ[how]
    change(folder)
    model = presets.open_model(str(folder), LABELS, [], 64)
    np.testing.assert_array_equal(hidden(model), hidden(pretrained.load(saved)))
    assert origin in model.origin


def test_spare_rows_are_saved(folder: Path) -> None:
    rows = resize(folder, 12)
    (folder / "added_tokens.json").write_text('{"<order>": 99}', "utf-8")
    model = pretrained.load(folder)
    assert model.origin.endswith("are kept; added_tokens.json has '<order>'")
    pretrained.save(model, folder / "again")
    again = load_file(folder / "again" / "model.safetensors")[WORDS]
    np.testing.assert_array_equal(again, rows)
    np.testing.assert_array_equal(hidden(pretrained.load(folder / "again")), hidden(model))


@pytest.mark.parametrize(("words", "lowers"), [(["card", "##a"], True), (["Card", "card"], False)])
def test_googles_vocabulary_says_whether_it_is_cased(
    folder: Path, words: list[str], lowers: bool
) -> None:
    as_google_has_it(folder)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *words]) + "\n", "utf-8")
    same = list(read_tokenizer(folder).tokenize(["Card", "card"]).to_list())
    assert (same[0] == same[1]) is lowers


def lose_a_shard(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def pickle(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.rename(folder / "pytorch_model-00001-of-00002.bin")


def cut_google(folder: Path) -> None:
    as_google_has_it(folder)
    (data,) = folder.glob("*.data-*")
    data.unlink()


def add_tokens(folder: Path) -> None:
    resize(folder, -2)
    (folder / "added_tokens.json").write_text('{"<order>": 99}', "utf-8")


def keep_one_type(folder: Path) -> None:
    """Leave out the type of the second text, as models of single texts do."""
    state = load_file(folder / "model.safetensors")
    state[TYPES] = state[TYPES][:1].copy()
    save_file(state, folder / "model.safetensors")
    configure(folder, type_vocab_size=1)


REFUSED = {
    "a shard is lost": (lose_a_shard, "1 of 2 that .*: model-00002-of-00002.safetensors"),
    "no index": (
        lambda f: (f / "model.safetensors").rename(f / "model.safetensors.index.json"),
        "index of the model's weights cannot be read",
    ),
    "a pickle": (pickle, "weights_only=True.*'model.safetensors'"),
    "Google's without data": (cut_google, "weights are damaged"),
    "fewer rows": (add_tokens, "added_tokens.json has '<order>'"),
    "another vocabulary": (lambda f: resize(f, 1500), "vocabulary and its embedding differ"),
    "ALBERT's": (lambda f: configure(f, model_type=None, embedding_size=8), "not a BERT"),
    "a list": (lambda f: (f / "config.json").write_text("[]"), "not a JSON object"),
    "positions": (lambda f: configure(f, position_embedding_type="relative_key"), "absolute"),
    "a decoder": (lambda f: configure(f, is_decoder=True), "is a decoder"),
    "activation": (lambda f: configure(f, hidden_act="foo"), "no BERT can be built"),
    "one type": (keep_one_type, "texts of a pair apart"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_refuses(folder: Path, how: str) -> None:
    change, message = REFUSED[how]
    change(folder)
    with pytest.raises(UserError, match=message) as caught:
        model = presets.open_model(str(folder), LABELS, [], 64)
        check_types(str(folder), model.config.type_vocab_size, model.tokenizer.frame)
    assert caught.value.found and caught.value.fix


def test_pairs_of_xlmr_need_one_type() -> None:
    check_types("x", 1, Frame(0, 2, 1, separators=2, second_type=0))
    with pytest.raises(UserError, match="texts of a pair apart") as caught:
        check_types("x", 1, Frame(2, 3, 0))
    assert "type_vocab_size 1" in caught.value.found and "pairs need 2" in caught.value.found

"""Weights files: every tensor of the body comes from the file under any known name, or an error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from tests.support.data import WORDS, write_messages
from tests.support.runs import tiny_config
from tfpipe import train
from tfpipe.errors import UserError
from tfpipe.model import presets, pretrained
from tfpipe.model.head import Head
from tfpipe.model.stored_weights import WEIGHTS

TEXTS = [word for words in WORDS.values() for word in words] * 2
LABELS = ["a", "b", "c"]
State = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of two layers whose pooler and norms are not as they start."""
    folder = tmp_path_factory.mktemp("model")
    model = presets.make_tiny(LABELS, TEXTS)
    chance = np.random.default_rng(1)
    for weight in model.bert.weights:
        weight.assign(weight + chance.normal(0, 0.05, weight.shape))
    pretrained.save(model, folder)
    return folder


@pytest.fixture(scope="module")
def expected(saved: Path) -> np.ndarray:
    """Its logits."""
    return logits(pretrained.load(saved))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def weights_of(folder: Path) -> State:
    return load_file(folder / "model.safetensors")


def rewrite(folder: Path, change: Callable[[State], State]) -> None:
    save_file(change(weights_of(folder)), folder / "model.safetensors")


def rename(folder: Path, new: Callable[[str], str]) -> None:
    rewrite(folder, lambda state: {new(name): value for name, value in state.items()})


def configure(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def logits(model: pretrained.TextModel) -> np.ndarray:
    return model.logits(model.tokenizer(["card 卡", "refund money back"], max_length=12)).numpy()


def assert_loads_as(folder: Path, saved: Path, expected: np.ndarray) -> None:
    model = pretrained.load(folder)
    np.testing.assert_array_equal(logits(model), expected)
    pretrained.save(model, folder / "again")
    values, found = weights_of(saved), weights_of(folder / "again")
    assert values.keys() == found.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert model.origin == f"body, pooler, head from {found_file(folder)}; nothing fresh"


def found_file(folder: Path) -> str:
    return next(name for name in WEIGHTS if (folder / name).is_file())


# ---- names


@pytest.mark.parametrize(
    ("prefix", "of_head"),
    [
        ("", ""),
        ("bert.", ""),
        ("model.", "model."),
        ("module.", "module."),
        ("encoder.", "encoder."),
        ("module.bert.", "module."),
        ("model.encoder.", ""),
        ("_orig_mod.module.bert.", "_orig_mod.module."),
    ],
)
def test_known_prefixes(
    saved: Path, folder: Path, expected: np.ndarray, prefix: str, of_head: str
) -> None:
    def new(name: str) -> str:
        inner = name.removeprefix("bert.")
        return of_head + name if inner == name else prefix + inner

    rename(folder, new)
    assert_loads_as(folder, saved, expected)


def test_old_names_of_layer_norms(saved: Path, folder: Path, expected: np.ndarray) -> None:
    rename(
        folder,
        lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ),
    )
    assert any(name.endswith("LayerNorm.gamma") for name in weights_of(folder))
    assert_loads_as(folder, saved, expected)


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "h5"])
def test_tensorflow_format(saved: Path, folder: Path, expected: np.ndarray, safe: bool) -> None:
    (folder / "model.safetensors").unlink()
    pretrained.load(saved).bert.save_pretrained(folder, safe_serialization=safe)
    assert found_file(folder) == ("model.safetensors", "tf_model.h5")[not safe]
    assert_loads_as(folder, saved, expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(folder: Path, expected: np.ndarray, dtype: str) -> None:
    halves = {n: v.astype(tf.as_dtype(dtype).as_numpy_dtype) for n, v in weights_of(folder).items()}
    save_file(halves, folder / "model.safetensors")
    model = pretrained.load(folder)
    np.testing.assert_allclose(logits(model), expected, atol=0.02)
    kernel = halves["classifier.weight"].T.astype(np.float32)
    np.testing.assert_array_equal(model.bert.classifier.kernel, kernel)


def test_a_pretraining_checkpoint_starts_a_fresh_head(saved: Path, folder: Path) -> None:
    def change(state: State) -> State:
        body = {name: value for name, value in state.items() if name.startswith("bert.")}
        words = state["bert.embeddings.word_embeddings.weight"]
        body["bert.embeddings.position_ids"] = np.arange(512)[None]
        body["cls.predictions.bias"] = np.zeros(len(words), np.float32)
        body["cls.seq_relationship.weight"] = np.zeros((2, 64), np.float32)
        return body

    rewrite(folder, change)
    model = pretrained.load(folder, LABELS)
    assert model.origin == (
        "body, pooler from model.safetensors; fresh head (not in the file); not used: cls.*"
    )
    batch = model.tokenizer(TEXTS, max_length=12)
    whole = pretrained.load(saved)
    assert model.encoder is not None and whole.encoder is not None
    np.testing.assert_array_equal(model.encoder.pooled(batch), whole.encoder.pooled(batch))


# ---- what starts fresh


def test_a_fresh_pooler_and_a_fresh_head_are_reported(folder: Path) -> None:
    rewrite(folder, lambda state: {n: v for n, v in state.items() if "pooler" not in n})
    assert pretrained.load(folder, ["x", "y"]).origin == (
        "body from model.safetensors; fresh pooler (not in the file),"
        " fresh head (classifier.weight is [3, 64], [2, 64] is needed and 1 more)"
    )


def test_a_head_of_another_kind_starts_fresh(saved: Path) -> None:
    before = pretrained.load(saved).bert.classifier.kernel.numpy()
    model = pretrained.load(saved, LABELS, Head("token", None, {"task": "tag"}))
    assert not np.allclose(model.bert.classifier.kernel, before)
    assert model.origin == (
        "body from model.safetensors; fresh head (the file's is of another kind);"
        " not used: pooler.*"
    )


@pytest.mark.parametrize("lost", ["classifier", "pooler"])
def test_a_model_as_it_is_needs_head_and_pooler(folder: Path, lost: str) -> None:
    rewrite(folder, lambda state: {n: v for n, v in state.items() if lost not in n})
    part = {"classifier": "head"}.get(lost, lost)
    with pytest.raises(UserError, match=f"no trained {part}") as caught:
        pretrained.load(folder)
    assert "not in the file" in caught.value.found


def test_a_half_head_starts_fresh_whole(folder: Path) -> None:
    rewrite(folder, lambda state: {n: v for n, v in state.items() if n != "classifier.bias"})
    model = pretrained.load(folder, LABELS)
    assert not np.allclose(model.bert.classifier.kernel, weights_of(folder)["classifier.weight"].T)
    assert "fresh head (the file lacks classifier.bias [3])" in model.origin


# ---- what does not fit

LAYER = "bert.encoder.layer"
CONFIGURATIONS = {
    "num_hidden_layers more": (
        {"num_hidden_layers": 4},
        f"32 of 69 tensors missing: {LAYER}.2.attention.self.query.weight [64, 64]",
    ),
    "num_hidden_layers fewer": (
        {"num_hidden_layers": 1},
        "16 not in the model: bert.encoder.layer.1.attention.output.LayerNorm.bias [64]",
    ),
    "hidden_size": (
        {"hidden_size": 32},
        "bert.embeddings.token_type_embeddings.weight is [2, 64], [2, 32] is needed",
    ),
    "intermediate_size": (
        {"intermediate_size": 128},
        f"{LAYER}.0.intermediate.dense.weight is [256, 64], [128, 64] is needed",
    ),
    "max_position_embeddings": (
        {"max_position_embeddings": 128},
        "1 of 37 do not fit: bert.embeddings.position_embeddings.weight is [512, 64], [128, 64]",
    ),
    "type_vocab_size": (
        {"type_vocab_size": 1},
        "bert.embeddings.token_type_embeddings.weight is [2, 64], [1, 64] is needed",
    ),
}


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_refuses_sizes_unlike_the_configuration(folder: Path, what: str) -> None:
    values, found = CONFIGURATIONS[what]
    configure(folder, **values)
    for labels in (None, LABELS, ["x", "y"]):
        with pytest.raises(UserError, match="do not fit its config.json") as caught:
            pretrained.load(folder, labels)
        assert found in caught.value.found
        layers = values.get("num_hidden_layers")
        counted = f"2 layers in the file, num_hidden_layers is {layers}"
        assert (counted in caught.value.found) is bool(layers)


def test_refuses_a_configuration_that_no_model_has(folder: Path) -> None:
    configure(folder, num_attention_heads=7)
    with pytest.raises(UserError, match="no BERT can be built from") as caught:
        pretrained.load(folder)
    assert "multiple of the number of attention heads" in caught.value.found


def cut(state: State) -> State:
    """Half of the tensors: the file ends after the first layer."""
    return {n: v for n, v in state.items() if "layer.1." not in n and "pooler" not in n}


def misname(state: State) -> State:
    return {n.replace("bert.", "roberta.", 1): v for n, v in state.items()}


def distil(state: State) -> State:
    """DistilBERT's names."""
    new = {n.removeprefix("bert."): v for n, v in state.items()}
    return {n.replace("encoder.layer", "transformer.layer"): v for n, v in new.items()}


def double(state: State) -> State:
    return {f"{part}{n}": v for part in ("model.", "module.") for n, v in state.items()}


def quantize(state: State) -> State:
    name = f"{LAYER}.0.output.dense.weight"
    return state | {name: state[name].astype(np.int8)}


def add_relative_positions(state: State) -> State:
    name = f"{LAYER}.0.attention.self.distance_embedding.weight"
    return state | {name: np.zeros((1023, 32), np.float32)}


def double_norm(state: State) -> State:
    name = "bert.embeddings.LayerNorm"
    return state | {f"{name}.gamma": state[f"{name}.weight"] + 1}


def add_encoder_norm(state: State) -> State:
    return state | {"bert.encoder.ln.weight": np.ones(64, np.float32)}


FILES = {
    cut: (
        "do not fit",
        f"16 of 37 tensors missing: {LAYER}.1.attention.self.query.weight [64, 64]",
    ),
    misname: ("not those of a BERT", "it has classifier.bias, classifier.weight, roberta."),
    distil: ("do not fit", "32 of 37 tensors missing: encoder.layer.0.attention.self.query.weight"),
    double: ("more than one BERT", "37 tensors with prefix model.bert."),
    quantize: ("do not fit", f"{LAYER}.0.output.dense.weight is not floating-point"),
    add_relative_positions: ("do not fit", "self.distance_embedding.weight [1023, 32]"),
    double_norm: ("two tensors of one name", "bert.embeddings.LayerNorm.gamma and"),
    add_encoder_norm: ("do not fit", "1 not in the model: bert.encoder.ln.weight [64]"),
}


@pytest.mark.parametrize("change", FILES, ids=lambda change: change.__name__)
def test_refuses_files_that_do_not_fit(folder: Path, change: Callable[[State], State]) -> None:
    wrong, found = FILES[change]
    rewrite(folder, change)
    for labels in (None, LABELS):
        with pytest.raises(UserError, match=wrong) as caught:
            pretrained.load(folder, labels)
        assert found in caught.value.found and str(folder) in caught.value.found
        assert caught.value.fix and len(str(caught.value)) < 800


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "h5"])
@pytest.mark.parametrize("part", [0.5, 0.98])
def test_refuses_half_a_file(saved: Path, folder: Path, safe: bool, part: float) -> None:
    (folder / "model.safetensors").unlink()
    pretrained.load(saved).bert.save_pretrained(folder, safe_serialization=safe)
    path = folder / found_file(folder)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(UserError, match="damaged"):
        pretrained.load(folder, LABELS)


# ---- through training


def test_training_reports_the_weights_or_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write_messages(tmp_path / "messages.tsv", rows=30)
    config = tiny_config(tmp_path, model=str(tmp_path / "model"), epochs=1)
    texts = data.read_text("utf-8").splitlines()
    pretrained.save(presets.make_tiny(["x", "y"], texts), tmp_path / "model")
    train.train(config)
    printed = capfd.readouterr()
    line = "weights: body, pooler from model.safetensors; fresh head (classifier.weight is [2, 64]"
    assert line in printed.out + printed.err
    shutil.rmtree(tmp_path / "run")
    rewrite(tmp_path / "model", cut)
    with pytest.raises(UserError, match="do not fit"):
        train.train(config)
    assert not (tmp_path / "run").exists()

"""Adapters: what they train, what they leave, and that merged they are the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tests.support.runs import tiny_config
from tfpipe.config import EvaluateConfig, ExportConfig, TrainConfig
from tfpipe.config.adapter_conflicts import ADAPTERS as NAMES
from tfpipe.config.settings import build
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate
from tfpipe.export import export
from tfpipe.model import pretrained
from tfpipe.model.adapters import ADAPTERS, AdapterSettings, peft_folder
from tfpipe.model.adapters.adalora import ORTHOGONALITY, AdaLoRA
from tfpipe.model.adapters.targets import TARGETS, parse_targets
from tfpipe.model.head import HEADS, Head
from tfpipe.model.presets import make_tiny
from tfpipe.model.text_model import TextModel, count_values
from tfpipe.model.transformers_classes import BertConfig, TFBertForSequenceClassification
from tfpipe.run_folder import Run
from tfpipe.train import train
from tfpipe.training_run import attach_adapter

WORDS = ["some words", "and more"]
LOW_RANK = ("lora", "dora", "adalora")
LOW_RANKS = pytest.mark.parametrize("method", LOW_RANK)
METHODS = pytest.mark.parametrize("method", ADAPTERS)


def batch_of_texts(model: TextModel) -> dict[str, tf.Tensor]:
    return dict(model.tokenizer(["some words and", "more", ""], None, max_length=16))


def tiny(method: str, **settings: object) -> TextModel:
    model = make_tiny(["a", "b"], WORDS, dropout=0.0)
    made = AdapterSettings(**{"rank": 4, **settings})  # type: ignore[arg-type]
    return model.with_adapter(method, made)


def trained(method: str, **settings: object) -> TextModel:
    """A model whose adapter changes it."""
    model = tiny(method, **settings)
    random = np.random.default_rng(1)
    assert model.adapter is not None
    for variable in model.adapter.trained(model.backbone):
        variable.assign_add(random.normal(size=variable.shape).astype(np.float32) / 10)
    return model


def test_the_names_are_those_of_the_configuration() -> None:
    assert tuple(ADAPTERS) == tuple(NAMES)


@pytest.mark.parametrize(
    ("width", "layers", "counts"),
    [
        (
            768,
            12,
            {"lora": (165_888, 36_864), "dora": 18_432, "bitfit": 102_912}
            | {"bottleneck": 2_379_264, "prefix": 368_640},
        ),
        (
            384,
            6,
            {"lora": (41_472, 9_216), "dora": 4_608, "bitfit": 26_112}
            | {"bottleneck": 595_200, "prefix": 92_160},
        ),
    ],
    ids=["BERT-base", "MiniLM"],
)
def test_as_many_parameters_as_published(width: int, layers: int, counts: dict) -> None:
    config = BertConfig(
        vocab_size=10,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=4 * width,
    )
    bert = TFBertForSequenceClassification(config)
    bert.build_in_name_scope()

    def count(method: str, rank: int, targets: str) -> int:
        settings = AdapterSettings(rank=rank, targets=parse_targets(targets))
        # As it is kept: a prefix is trained as the output of a network.
        return count_values([*ADAPTERS[method](settings, bert).tensors(bert.bert).values()])

    every, two = counts["lora"]
    assert count("lora", 2, "all") == 2 * every and count("lora", 1, "value,query") == two
    query_and_value = layers * 2 * width
    assert count("dora", 1, "query, value") == two + query_and_value == two + counts["dora"]
    assert count("bitfit", 1, "all") == counts["bitfit"]
    assert count("bottleneck", 64, "all") == counts["bottleneck"]
    assert count("bottleneck", 64, "output") == counts["bottleneck"] / 2
    assert count("prefix", 20, "all") == counts["prefix"]


@pytest.mark.parametrize("method", [name for name in ADAPTERS if name != "prefix"])
def test_an_adapter_begins_without_a_change(method: str) -> None:
    model = tiny(method)
    batch = batch_of_texts(model)
    np.testing.assert_allclose(
        model.logits(batch), replace(model, adapter=None).logits(batch), atol=1e-6
    )


@METHODS
def test_merged_is_equal(method: str, tmp_path: Path) -> None:
    model = trained(method)
    batch = batch_of_texts(model)
    expected = model.logits(batch)
    rough = replace(model, precision="bfloat16").logits(batch, training=True)
    assert 1e-5 < np.abs(rough - expected).max() < 0.05
    if method != "bitfit":
        assert np.abs(expected - replace(model, adapter=None).logits(batch)).max() > 1e-4
    found = {"packed": replace(model, packed=True).logits(batch, training=True)}
    found["export"] = model.head.of_encoder(model.frozen_encoder(tf.float32))(batch)
    pretrained.save(model, tmp_path / "once")
    found["file"] = pretrained.load(tmp_path / "once").logits(batch)
    # Merging is done once, however often it is asked for.
    pretrained.load_saved(model, tmp_path / "once")
    pretrained.save(model, tmp_path / "twice")
    found["merged"], found["twice"] = model.logits(batch), pretrained.load(tmp_path / "twice")
    found["twice"] = found["twice"].logits(batch)
    for name, logits in found.items():
        np.testing.assert_allclose(logits, expected, atol=1e-5, err_msg=name)
    once, twice = (load_file(tmp_path / n / "model.safetensors") for n in ("once", "twice"))
    for name, value in once.items():
        np.testing.assert_allclose(twice[name], value, atol=1e-6, err_msg=name)


@LOW_RANKS
def test_only_named_kernels_are_changed(method: str) -> None:
    model = trained(method, targets=("value", "output"))
    adapter = model.adapter
    assert adapter is not None
    changed = {name for name in TARGETS if adapter.change_of(f"layer0/{name}") is not None}
    assert changed == {"value", "output"}


@METHODS
def test_every_variable_gets_a_gradient(method: str) -> None:
    model = trained(method)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.logits(batch_of_texts(model), training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        # The bias of the keys adds the same to all scores of a query.
        zero = "/key/bias" in variable.name
        assert gradient is not None and (np.abs(gradient).max() > 1e-9 or zero), variable.name


def test_the_budget_of_adalora_falls_to_its_rank() -> None:
    model = tiny("adalora", rank=2)
    adapter = model.adapter
    assert isinstance(adapter, AdaLoRA)
    matrices = len(adapter.trained(model.backbone)) // 3
    values = adapter.trained(model.backbone)[2 * matrices :]
    adapter.begin(20)
    random, kept = np.random.default_rng(1), []
    for step in range(20):
        for variable in values:
            variable.assign(np.ones(variable.shape, np.float32))
        gradients = [
            tf.constant(random.random(variable.shape), tf.float32)
            for variable in adapter.trained(model.backbone)
        ]
        if step == 19:
            # Of the last matrix all values are of most importance.
            gradients[-1] *= 1e6
        adapter.after_step(gradients)
        kept.append(sum(int(np.count_nonzero(variable)) for variable in values))
    assert kept[:2] == [3 * matrices] * 2 and kept[11:] == [2 * matrices] * 9
    assert kept == sorted(kept, reverse=True) and len({*kept}) > 4
    assert np.count_nonzero(values[-1]) == 3


def test_the_penalty_of_adalora_is_that_of_its_formula() -> None:
    adapter = trained("adalora").adapter
    assert adapter is not None
    down, up = adapter.trained(None)[0], adapter.trained(None)[len(adapter.trained(None)) // 3]
    for variable, wide in ((down, False), (up, True)):
        with tf.GradientTape() as tape:
            product = tf.matmul(variable, variable, transpose_a=not wide, transpose_b=wide)
            loss = ORTHOGONALITY * tf.reduce_sum((product - tf.eye(len(product))) ** 2)
        expected = tape.gradient(loss, variable)
        np.testing.assert_allclose(adapter.penalty_gradient(variable), expected, rtol=1e-4)
    assert adapter.penalty_gradient(adapter.trained(None)[-1]) is None


def test_dropout_is_of_the_change_alone() -> None:
    model = trained("lora", dropout=0.5)
    batch = batch_of_texts(model)
    once, again = (model.logits(batch, training=True) for _ in range(2))
    assert np.abs(once - again).max() > 1e-4
    np.testing.assert_array_equal(model.logits(batch), model.logits(batch))


def test_rank_stabilized_scale() -> None:
    assert AdapterSettings(rank=16, alpha=8).scale == 0.5
    assert AdapterSettings(rank=16, alpha=8, rank_stabilized=True).scale == 2.0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a pooler and without a head, as published ones have."""
    folder = tmp_path_factory.mktemp("base")
    pretrained.save(make_tiny(["x"], WORDS), folder)
    return folder


def runs_of(folder: Path, base: Path, method: str, **settings: object) -> TrainConfig:
    fixed: dict = {"model": str(base), "adapter": method, "epochs": 2}
    return tiny_config(folder, **(fixed | settings))


@pytest.fixture(scope="module", params=ADAPTERS)
def run(request: pytest.FixtureRequest, base: Path, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    # Each with something else of training.
    settings = {
        "lora": {"strategy": "mirrored", "epochs": 1},
        "dora": {"ema": 0.9, "deterministic": True},
        "adalora": {"strategy": "mirrored", "deterministic": True, "ema": 0.9},
        "bottleneck": {"adapter_targets": "output", "deterministic": True},
        "prefix": {"adapter_rank": 4, "deterministic": True},
        "bitfit": {"precision": "bfloat16"},
    }
    return train(runs_of(folder, base, request.param, **settings[request.param]))


def test_the_base_stays_bit_equal(run: Run, base: Path) -> None:
    before = pretrained.load(base, ["a"])
    own = json.loads((run.folder / "adapter" / "tfpipe.json").read_text())
    assert own["base_sha256"] == peft_folder.digest_of_base(before)
    old, new = (load_file(place / "model.safetensors") for place in (base, run.model))
    for name, value in new.items():
        if "embeddings" in name and own["method"] != "bitfit":
            np.testing.assert_array_equal(value, old[name], err_msg=name)


def test_the_adapter_of_a_run_gives_its_model(run: Run, base: Path) -> None:
    best = pretrained.load(run.model)
    batch = batch_of_texts(best)
    names = best.label_names
    model = peft_folder.attach(
        pretrained.load(base, names), peft_folder.read(run.folder / "adapter")
    )
    np.testing.assert_allclose(model.logits(batch), best.logits(batch), atol=1e-5)
    assert run.metrics["model"]["trainable_parameters"] < best.parameters / 4
    size = (run.folder / "adapter" / "adapter_model.safetensors").stat().st_size
    assert size < 4 * run.metrics["model"]["trainable_parameters"] + 10_000


@pytest.mark.parametrize("run", ["dora", "adalora", "prefix"], indirect=True)
def test_resumed_is_bit_equal(run: Run, tmp_path: Path) -> None:
    again = replace(run.config, output=str(tmp_path / "run"))
    stopped = replace(again, stop_after=1)
    with pytest.raises(BaseException, match="stopped after epoch 1"):
        train(stopped)
    found = train(TrainConfig(resume=True, output=stopped.output))
    for name in ("model/model.safetensors", "adapter/adapter_model.safetensors"):
        assert (found.folder / name).read_bytes() == (run.folder / name).read_bytes(), name


@pytest.mark.parametrize("run", ["lora"], indirect=True)
def test_training_goes_on_from_an_adapter(run: Run, tmp_path: Path) -> None:
    more = {"adapter": str(run.folder / "adapter"), "output": str(tmp_path / "again"), "epochs": 1}
    # At this rate training changes nothing that can be seen.
    again = train(replace(run.config, **more, learning_rate=1e-9, head_rate=1e-9))
    first, second = (load_file(one.model / "model.safetensors") for one in (run, again))
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("run", ["bottleneck", "prefix"], indirect=True)
def test_what_cannot_be_merged_goes_through_the_flow(run: Run, tmp_path: Path) -> None:
    model = pretrained.load(run.model)
    assert model.adapter is not None and not model.has_stock_graph
    dev = run.metrics["dev"]
    assert evaluate(EvaluateConfig(str(run.folder))).metrics["accuracy"] == dev["accuracy"]
    to = {"to": str(tmp_path / "models" / "one"), "measure_serving": False}
    done = export(build(ExportConfig, {"run": str(run.folder), "precision": "float32", **to}))
    assert done.parity.holds
    card = (run.model / "README.md").read_text(encoding="utf-8")
    assert "the adapter in `adapter`" in card and "from_pretrained" not in card
    with pytest.raises(UserError, match="cannot be the base of another"):
        pretrained.load(run.model, ["a", "b"])


def test_a_prefix_takes_positions() -> None:
    model = make_tiny(["a", "b"], WORDS)
    most = model.config.max_position_embeddings
    for rank, length, message in (
        (most, 8, "as long as the longest"),
        (8, most, "are longer than"),
    ):
        config = TrainConfig(adapter="prefix", adapter_rank=rank, max_length=length)
        with pytest.raises(UserError, match=message):
            attach_adapter(model, config)


REFUSED = {
    "neither": ({"adapter": "loar"}, "neither a method nor a folder"),
    "no adapter": ({"adapter_rank": 4}, "--adapter-rank has no effect without --adapter lora"),
    "bitfit": ({"adapter": "bitfit", "adapter_alpha": 8}, "--adapter-alpha has no effect"),
    "frozen": ({"adapter": "lora", "freeze_layers": 1}, "--freeze-layers exclude each other"),
    "dropout": ({"adapter": "lora", "adapter_dropout": 1.0}, "--adapter-dropout is out of range"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_settings_that_do_not_fit(how: str) -> None:
    values, message = REFUSED[how]
    with pytest.raises(UserError, match=message) as caught:
        build(TrainConfig, values)
    assert caught.value.found and caught.value.fix


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"adapter_rank": 65}, "--adapter-rank is above the rank of a kernel"),
        ({"adapter_targets": "querry"}, "names what a BERT's layer does not have"),
        ({"adapter_targets": ","}, "names what a BERT's layer does not have"),
        ({"adapter": "bottleneck", "adapter_targets": "key"}, "what the method does not change"),
        ({"adapter": "/no/adapter"}, "the adapter cannot be read"),
    ],
)
def test_adapters_that_do_not_fit_the_model(values: dict, message: str) -> None:
    model = make_tiny(["a", "b"], WORDS)
    with pytest.raises(UserError, match=message):
        attach_adapter(model, TrainConfig(**{"adapter": "lora", **values}))


def test_an_adapter_of_another_base(tmp_path: Path) -> None:
    peft_folder.save(trained("lora"), tmp_path)
    other = make_tiny(["a", "b"], ["quite other words"])
    with pytest.raises(UserError, match="trained on another base model"):
        peft_folder.attach(other, peft_folder.read(tmp_path))
    # One that peft has written does not say what its base is; the sizes are compared.
    (tmp_path / "tfpipe.json").unlink()
    stored = peft_folder.read(tmp_path)
    wider = {name: np.concatenate([value, value]) for name, value in stored.tensors.items()}
    with pytest.raises(UserError, match="the adapter does not fit the model"):
        peft_folder.attach(other, replace(stored, tensors=wider))


@pytest.mark.parametrize("name", ["bias", "rank_pattern", "peft_type"])
def test_an_adapter_of_another_kind(tmp_path: Path, name: str) -> None:
    peft_folder.save(trained("lora"), tmp_path)
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: "other"}))
    with pytest.raises(UserError, match=f"{name} is 'other'"):
        peft_folder.read(tmp_path)


def test_a_prefix_of_peft_is_read(tmp_path: Path) -> None:
    model = tiny("prefix")
    peft_folder.save(model, tmp_path)
    (tmp_path / "tfpipe.json").unlink()
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["peft_type"] == "PREFIX_TUNING" and config["num_virtual_tokens"] == 4
    expected, batch = model.logits(batch_of_texts(model)), batch_of_texts(model)
    again = peft_folder.attach(replace(model, adapter=None), peft_folder.read(tmp_path))
    np.testing.assert_allclose(again.logits(batch), expected, atol=1e-6)


@pytest.mark.parametrize("kind", HEADS)
def test_the_adapter_of_every_head_comes_back(kind: str, tmp_path: Path) -> None:
    base = make_tiny(["a", "b"], WORDS, dropout=0.0, head=Head(kind))
    model = base.with_adapter("dora", AdapterSettings(rank=2, targets=("value", "output")))
    for variable in model.trainable_variables:
        variable.assign_add(tf.fill(variable.shape, 0.1))
    expected = model.logits(batch_of_texts(model))
    peft_folder.save(model, tmp_path)
    stored = peft_folder.read(tmp_path)
    roots = {name.split(".")[2] for name in load_file(tmp_path / "adapter_model.safetensors")}
    assert roots <= {"bert", "encoder", "classifier", "qa_outputs"}
    assert ("encoder" in roots) == (kind == "embedding")
    for variable in model.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    # The head of other labels is not that of these.
    other = peft_folder.attach(replace(base, label_names=["b", "a"], fresh=()), stored)
    assert not any(variable.numpy().any() for variable in other.new_variables[:2])
    again = peft_folder.attach(base, stored)
    assert again.adapter is not None and again.adapter.settings.targets == ("value", "output")
    np.testing.assert_allclose(again.logits(batch_of_texts(base)), expected, atol=1e-6)


def test_a_pooler_that_was_reset_is_in_the_file(tmp_path: Path) -> None:
    base = replace(make_tiny(["a", "b"], WORDS, dropout=0.0), fresh=())
    base.config.name_or_path = str(tmp_path)
    (tmp_path / "modules.json").touch()
    own = base.backbone.pooler.dense.kernel
    own.assign(tf.ones([64, 64]))
    model = attach_adapter(base, TrainConfig(adapter="lora"))
    np.testing.assert_array_equal(own, np.eye(64))
    assert len(model.new_variables) == 4
    expected = model.logits(batch_of_texts(model))
    peft_folder.save(model, tmp_path / "adapter")
    # Of another base, whose pooler is as its file has it.
    own.assign(tf.ones([64, 64]))
    again = attach_adapter(base, TrainConfig(adapter=str(tmp_path / "adapter")))
    np.testing.assert_allclose(again.logits(batch_of_texts(base)), expected, atol=1e-6)
    assert len(again.new_variables) == 4


@pytest.mark.parametrize("wrong", [{"method": "other"}, {"method": ["lora"]}, []])
def test_a_method_that_is_not_known(wrong: object, tmp_path: Path) -> None:
    peft_folder.save(trained("lora"), tmp_path)
    (tmp_path / "tfpipe.json").write_text(json.dumps(wrong))
    with pytest.raises(UserError, match="the adapter cannot be read"):
        peft_folder.read(tmp_path)


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"[]", None])
def test_a_damaged_adapter(tmp_path: Path, file: str, content: bytes | None) -> None:
    peft_folder.save(trained("lora"), tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match="the adapter cannot be read"):
        peft_folder.read(tmp_path)

"""`tfpipe.export --precision int8`: its products, its scales, and what is exported and served."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving.client import Client
from tests.support.runs import finished_run
from tests.support.servers import served
from tfpipe.config import ExportConfig, build
from tfpipe.errors import UserError
from tfpipe.export import export
from tfpipe.exporting import precision
from tfpipe.exporting.info import read_info
from tfpipe.exporting.precision import choose_export_precision, scaled_for_int8
from tfpipe.exporting.saved_model import ExportedModel
from tfpipe.model import int8, pretrained
from tfpipe.model.int8 import LEVELS, Scaling, choose_scaling, multiply, quantize
from tfpipe.model.text_model import TextModel
from tfpipe.run_folder import Run
from tfpipe.tasks.task import task_of

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN's int8 products are of x86"
)
RANDOM = np.random.default_rng(4)


def rounded(values: np.ndarray, bound: Any) -> np.ndarray:
    return np.clip(np.round(values / bound * LEVELS), -LEVELS, LEVELS) * bound / LEVELS


def weights_of(kernel: np.ndarray, scaling: Scaling) -> dict[str, Any]:
    words = tf.constant(RANDOM.normal(size=(5, 4)), tf.float32)
    bias = RANDOM.normal(size=kernel.shape[1]).astype(np.float32)
    return quantize({"one/kernel": kernel, "one/bias": bias, "words": words}, {"one": scaling})


def test_the_product_is_that_of_rounded_values() -> None:
    rows = RANDOM.normal(size=(7, 24)).astype(np.float32)
    kernel = RANDOM.normal(size=(24, 9)).astype(np.float32)
    factors = RANDOM.uniform(0.5, 2.0, 24).astype(np.float32)
    bound = float(np.abs(rows * factors).max())
    weights = weights_of(kernel, Scaling(factors, bound))
    product = tf.function(lambda values: multiply(values, "one", weights), autograph=False)
    scaled = kernel / factors[:, np.newaxis]
    expected = rounded(rows * factors, bound) @ rounded(scaled, np.abs(scaled).max(0))
    np.testing.assert_allclose(product(rows), expected + weights["one/bias"], atol=1e-4)
    active = tf.function(lambda values: multiply(values, "one", weights, True), autograph=False)
    found = tf.nn.gelu(expected + weights["one/bias"])
    np.testing.assert_allclose(active(rows), found, atol=1e-4)
    assert weights["one/kernel"].dtype.itemsize == 1 and weights["words"].dtype == tf.int8


def test_outliers_of_a_channel_are_moved_into_the_kernel() -> None:
    rows = RANDOM.normal(size=(200, 32)).astype(np.float32)
    rows[:, 3] *= 50
    kernel = RANDOM.normal(size=(32, 16)).astype(np.float32)
    largest = np.abs(rows).max(0)
    found = choose_scaling(rows, largest, kernel)
    assert found.factors[3] < np.median(found.factors) / 5

    def error(scaling: Scaling) -> float:
        scaled = kernel / scaling.factors[:, np.newaxis]
        answers = rounded(rows * scaling.factors, scaling.bound)
        found = answers @ rounded(scaled, np.abs(scaled).max(0))
        return float(np.square(found - rows @ kernel).mean())

    plain = Scaling(np.ones(32, np.float32), float(largest.max()))
    assert error(found) < error(plain) / 10


def test_factors_of_an_attention_output_are_moved_into_its_values() -> None:
    bias = RANDOM.normal(size=6).astype(np.float32)
    weights: dict[str, Any] = {"words": tf.constant(RANDOM.normal(size=(5, 4)), tf.float32)}
    for name, width in (("layer0/projected", 6), ("layer0/attention_output", 2)):
        kernel = RANDOM.normal(size=(width, 6)).astype(np.float32)
        weights |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
    factors = np.array([0.25, 3.0], np.float32)
    scalings = {
        "layer0/attention_output": Scaling(factors, 2.0),
        "layer0/projected": Scaling(np.ones(6, np.float32), 1.0),
    }
    found = quantize(weights, scalings)
    assert "layer0/attention_output/factors" not in found
    plain = quantize(weights, {"layer0/projected": scalings["layer0/projected"]})
    whole = np.concatenate([np.ones(4), factors])
    for part in ("reach", "bias"):
        before = np.asarray(plain[f"layer0/projected/{part}"])
        np.testing.assert_allclose(found[f"layer0/projected/{part}"], before * whole, rtol=1e-6)
    # A prefix is put before the values behind that product.
    kept = quantize(weights | {"layer0/prefix_values": np.zeros((1, 2))}, scalings)
    np.testing.assert_array_equal(kept["layer0/attention_output/factors"], factors)


@pytest.fixture(scope="module")
def run() -> Run:
    return finished_run("classify")


@pytest.fixture(scope="module")
def model(run: Run) -> TextModel:
    model = pretrained.load(run.model)
    task = task_of("classify", model)
    return scaled_for_int8(model, task, run.read_dev(), run.config.max_length)


def test_an_answer_does_not_depend_on_the_batch(model: TextModel, run: Run) -> None:
    forward = model.head.of_encoder(model.served_encoder("int8"))
    compiled = tf.function(lambda batch: forward(batch), autograph=False, reduce_retracing=True)
    texts = list(run.read_dev().texts)[:9]
    together = compiled(model.tokenizer(texts)).numpy()
    alone = np.concatenate([compiled(model.tokenizer([text])).numpy() for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    exact = model.logits(model.tokenizer(texts)).numpy()
    assert 0 < np.abs(together - exact).max() < 0.2 * np.abs(exact).max()
    assert model.scalings is not None and "layer0/projected" in model.scalings


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether int8 is faster depends on the machine."""
    monkeypatch.setattr(precision, "_time", lambda models, _: dict.fromkeys(models, 1.0) | FAST)


FAST = {"int8": 0.5}


@pytest.mark.parametrize("kind", ["classify", "tag", "embed"])
def test_an_export_in_int8_is_proved_and_served(kind: str, tmp_path: Path, faster: None) -> None:
    run = finished_run(kind)
    config = ExportConfig(run=str(run.folder), to=str(tmp_path / "models" / kind))
    config = replace(config, precision="int8", measure_serving=False)
    folder = export(config).folder
    found = read_info(folder)["precision"]
    assert found["precision"] == "int8" and found["reason"].startswith("as asked, 2.00 times")
    texts = list(run.read_dev().texts)[:6]
    flags = (f"--model_name={kind}", f"--model_base_path={folder.parent}")
    if kind == "classify":
        exact = pretrained.load(run.model)
        labels = exact.logits(exact.tokenizer(texts)).numpy().argmax(1)
        with served(*flags) as target, Client(target, kind) as client:
            answers = client.classify(texts)
        assert [one.label for one in answers] == [exact.label_names[at] for at in labels]


def test_what_is_not_faster_is_not_taken(
    model: TextModel, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_time", lambda models, _: dict.fromkeys(models, 1.0))
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: False)
    task = task_of("classify", model)
    found = choose_export_precision("int8", model, task, run.read_dev(), run.config.max_length)
    assert found.precision == "float32"
    assert found.reason.startswith("int8 is not faster here (1.00 times as fast as float32)")


def test_the_graph_is_smaller(model: TextModel, run: Run, tmp_path: Path) -> None:
    task, sizes = task_of("classify", model), {}
    for name in ("float32", "int8"):
        folder = tmp_path / name
        ExportedModel(model, task, run.config.max_length, False, {}, name).save(str(folder))
        files = [file for file in folder.rglob("*") if file.is_file()]
        sizes[name] = sum(file.stat().st_size for file in files)
    kernels = sum(np.asarray(v).size for v in model.weights if "kernel" in v.name)
    assert sizes["float32"] - sizes["int8"] > 2 * kernels


def test_what_is_refused(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"run": "a", "more_runs": ["b"], "to": "m/c", "precision": "int8", "shared": True}
    with pytest.raises(UserError, match="a shared export has no products of int8"):
        build(ExportConfig, values)

    def missing(*_: Any) -> None:
        raise ValueError("Op type not registered")

    monkeypatch.setattr(int8, "quantized_product", missing)
    with pytest.raises(UserError, match="no products of int8"):
        model.with_int8_scales([])

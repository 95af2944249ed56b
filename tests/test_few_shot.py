"""`--few-shot`: the vectors of a label's texts come together, then the head alone learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.data import write_messages
from tests.support.runs import finished_run, tiny_config
from tfpipe.config import TrainConfig, build
from tfpipe.errors import Interrupted, UserError
from tfpipe.model import pretrained
from tfpipe.model.head import Head
from tfpipe.model.text_model import TextModel
from tfpipe.run_folder import Run
from tfpipe.train import train

VALUES = {
    "few_shot": True,
    "epochs": 6,
    "head_rate": 3e-2,
    "precision": "float32",
    "learning_rate": 2e-2,
}


def config_of(folder: Path, **values: object) -> TrainConfig:
    folder.mkdir(exist_ok=True)
    write_messages(folder / "few.tsv", rows=45)
    write_messages(folder / "dev.tsv", rows=60, seed=4)
    files = {"train": str(folder / "few.tsv"), "dev": str(folder / "dev.tsv")}
    return tiny_config(folder, **(VALUES | files | values))


@pytest.fixture(scope="module")
def base() -> str:
    """A model whose vectors say something about these messages."""
    return str(finished_run("embed").model)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, base: str) -> Run:
    return train(config_of(tmp_path_factory.mktemp("few"), model=base))


def closeness(model: TextModel, folder: Path) -> float:
    """How much nearer texts of one label are than others, in cosines."""
    rows = [line.split("\t") for line in (folder / "few.tsv").read_text().splitlines()[1:]]
    vectors = replace(model, head=Head("embedding", None, {}, "mean"))
    found = vectors.logits(model.tokenizer([row[0] for row in rows], max_length=16)).numpy()
    same = np.equal.outer([row[1] for row in rows], [row[1] for row in rows])
    cosines, others = found @ found.T, ~np.eye(len(rows), dtype=bool)
    return float(cosines[same & others].mean() - cosines[~same].mean())


def test_vectors_of_a_label_are_near_and_the_head_reads_them(run: Run, base: str) -> None:
    folder = run.folder.parent
    model = pretrained.load(run.model)
    names = model.label_names
    assert closeness(model, folder) > closeness(pretrained.load(Path(base), names), folder) + 0.2
    assert run.metrics["dev"]["accuracy"] > 0.5
    assert run.config.pooling == "mean" and run.metrics["model"]["trainable_parameters"] == 65 * 3
    kernel = model.backbone.pooler.dense.kernel.numpy()
    np.testing.assert_array_equal(kernel, np.eye(len(kernel)))


def test_resumed_is_bit_equal(run: Run, tmp_path: Path) -> None:
    stopped = replace(run.config, output=str(tmp_path / "run"), stop_after=2)
    with pytest.raises(Interrupted):
        train(stopped)
    again = train(TrainConfig(resume=True, output=stopped.output))
    name = "model/model.safetensors"
    assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"task": "regress"}, "--few-shot has no effect without --task classify"),
        ({"adapter": "lora"}, "--few-shot and --adapter exclude each other"),
        ({"freeze_layers": 1}, "--few-shot and --freeze-layers exclude each other"),
    ],
)
def test_settings_that_are_refused(values: dict[str, object], wrong: str) -> None:
    with pytest.raises(UserError) as raised:
        build(TrainConfig, {"few_shot": True, **values})
    assert raised.value.wrong == wrong


def test_pairs_are_refused(tmp_path: Path) -> None:
    file = write_messages(tmp_path / "pairs.tsv", pairs=True)
    with pytest.raises(UserError, match="vectors of single texts"):
        train(tiny_config(tmp_path, train=str(file), few_shot=True))

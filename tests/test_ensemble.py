"""`tfpipe.export --ensemble`: the answers of several runs as one, proved, served and refused."""

from __future__ import annotations

import platform
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.client import Client
from tests.support.runs import finished_run, tiny_config
from tests.support.servers import served
from tfpipe.compare import compare
from tfpipe.config import CompareConfig, EvaluateConfig, ExportConfig, build
from tfpipe.doctoring.export_folder import check_export
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate
from tfpipe.export import Export, export
from tfpipe.exporting.ensemble_export import open_members
from tfpipe.exporting.ensemble_model import combine
from tfpipe.exporting.info import read_info
from tfpipe.predicting.loaded_model import load
from tfpipe.run_folder import Run
from tfpipe.train import train

TEXTS = ["please my card", "money back today !", "rain 天气 where", "", "card " * 40]


def test_mean_and_votes() -> None:
    scores = [tf.constant([row]) for row in ([0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0])]
    np.testing.assert_allclose(combine(scores, "mean")[0], [0.4, 0.6, 0.0], atol=1e-6)
    found = combine(scores, "vote")[0].numpy()
    np.testing.assert_allclose(found, [(2 + 0.4) / 4, (1 + 0.6) / 4, 0.0], atol=1e-6)
    # With as many votes the mean decides.
    two = combine([scores[0], tf.constant([[0.1, 0.9, 0.0]])], "vote")[0].numpy()
    assert two.argmax() == 1 and two.sum() == pytest.approx(1.0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Three runs of one dev split, of other lengths and vocabularies."""
    folder = tmp_path_factory.mktemp("jury")
    settings = ({"max_length": 16}, {"max_length": 12, "seed": 2}, {"max_length": 8, "seed": 3})
    base = {"model": str(finished_run("classify").model), "epochs": 1, "split_seed": 7}
    return [
        train(tiny_config(folder, **base | one | {"output": str(folder / f"run{number}")}))
        for number, one in enumerate(settings)
    ]


@pytest.fixture(scope="module")
def exported(runs: list[Run]) -> dict[str, Export]:
    folders = [str(run.folder) for run in runs]
    models = runs[0].folder.parent / "models"
    return {
        how: export(
            ExportConfig(
                run=folders[0],
                more_runs=tuple(folders[1:]),
                ensemble=how,
                to=str(models / how),
                require="dev.accuracy>=0.3",
                measure_serving=how == "mean",
            )
        )
        for how in ("mean", "vote")
    }


def test_it_answers_as_its_members_together(runs: list[Run], exported: dict[str, Export]) -> None:
    own = [[answer.scores for answer in load(run.folder)(TEXTS)] for run in runs]
    for how, done in exported.items():
        expected = combine([tf.constant(scores) for scores in own], how).numpy()
        found = load(done.folder)(TEXTS)
        np.testing.assert_allclose([one.scores for one in found], expected, atol=1e-5)
        labels = runs[0].data["model"]["labels"]
        assert [one.label for one in found] == [labels[column] for column in expected.argmax(1)]
        assert done.parity.holds and done.gate["required"][0]["found"] >= 0.3
        info = read_info(Path(done.folder))
        assert info["ensemble"] == {"how": how, "members": ["run0", "run1", "run2"]}
        assert info["max_length"] == 16


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN's int8 products are of x86"
)
def test_its_products_can_be_of_int8(runs: list[Run], exported: dict[str, Export]) -> None:
    first, *others = [str(run.folder) for run in runs]
    models = str(runs[0].folder.parent / "models" / "int8")
    config = ExportConfig(run=first, more_runs=tuple(others), ensemble="mean", to=models)
    done = export(replace(config, precision="int8", measure_serving=False))
    assert read_info(done.folder)["precision"] == {"precision": "int8"}
    found, exact = (load(one.folder)(TEXTS) for one in (done, exported["mean"]))
    apart = [abs(a.score - b.score) for a, b in zip(found, exact, strict=True)]
    assert 0 < max(apart) < 0.1 and done.parity.other_labels == 0
    assert b"_QuantizedMatMul" in (done.folder / "saved_model.pb").read_bytes()


def test_it_is_evaluated_compared_and_served_as_any_model(
    runs: list[Run], exported: dict[str, Export]
) -> None:
    folder = Path(exported["mean"].folder)
    data = str(runs[0].folder / "dev.jsonl")
    metrics = evaluate(EvaluateConfig(run=str(folder), data=data)).metrics
    assert metrics["accuracy"] == read_info(folder)["metrics"]["dev"]["accuracy"]
    found = compare(CompareConfig(run_a=str(runs[0].folder), run_b=str(folder), data=data))
    assert found.texts == metrics["examples"]
    assert not [one for one in check_export(folder).findings if one.mark == "problem"]
    flags = ("--model_name=jury", f"--model_base_path={folder.parent.resolve()}")
    with served(*flags) as target, Client(target, "jury") as client:
        answers = client.classify(TEXTS)
    assert [one.label for one in answers] == [one.label for one in load(folder)(TEXTS)]


def refused(runs: list[Path]) -> UserError:
    with pytest.raises(UserError) as raised:
        open_members([str(run) for run in runs])
    return raised.value


def test_runs_that_cannot_answer_together(runs: list[Run], tmp_path: Path) -> None:
    one = runs[0].folder
    assert "runs that classify" in refused([one, finished_run("regress").folder]).wrong
    assert "always answer" in refused([one, finished_run("abstain").folder]).wrong
    assert "different dev examples" in refused([one, finished_run("classify").folder]).wrong
    other = tmp_path / "other"
    shutil.copytree(one, other)
    file = other / "data.json"
    file.write_text(file.read_text().replace('"card"', '"cards"'), encoding="utf-8")
    assert "different labels" in refused([one, other]).wrong
    pairs = refused([one, finished_run("pairs").folder])
    assert "different inputs" in pairs.wrong
    config = ExportConfig(
        run=str(one), more_runs=(str(one),), ensemble="mean", to="m/x", require="train.seconds>0"
    )
    with pytest.raises(UserError, match="takes metrics of dev"):
        export(config)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"ensemble": "mean"}, "an ensemble has several runs"),
        ({"more_runs": "b", "ensemble": "mean", "shared": True}, "exclude each other"),
        ({"more_runs": "b"}, "with --shared or --ensemble only"),
    ],
)
def test_settings_that_are_refused(values: dict[str, object], wrong: str) -> None:
    more = {name: (value,) if name == "more_runs" else value for name, value in values.items()}
    with pytest.raises(UserError) as raised:
        build(ExportConfig, {"run": "a", "to": "m/x", **more})
    assert wrong in str(raised.value)

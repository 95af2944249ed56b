"""`tfpipe.soup`: the mean of runs' weights, where it is better on dev."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.runs import copy_run, finished_run, tiny_config
from tfpipe.config import EvaluateConfig, SoupConfig, is_better_epoch
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate
from tfpipe.model import pretrained
from tfpipe.model.stored_weights import save_tensors
from tfpipe.run_folder import Run, open_run
from tfpipe.soup import Soup, main, soup
from tfpipe.train import train


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Three runs from one model with one dev split."""
    folder = tmp_path_factory.mktemp("soup")
    base = {"model": str(finished_run("classify").model), "epochs": 1, "split_seed": 7}
    return [
        train(tiny_config(folder, **base, seed=seed, output=str(folder / f"run{seed}")))
        for seed in (1, 2, 3)
    ]


@pytest.fixture(scope="module")
def mixed(runs: list[Run]) -> Soup:
    folders = [str(run.folder) for run in runs]
    output = str(runs[0].folder.parent / "soup")
    return soup(SoupConfig(run=folders[0], more_runs=tuple(folders[1:]), output=output))


def weights(run: Run) -> list[np.ndarray]:
    return [weight.numpy() for weight in pretrained.load(run.model).weights]


def dev_metrics(run: Run) -> dict[str, float]:
    return {f"dev_{name}": value for name, value in run.metrics["dev"].items()}


def test_the_mean_of_the_kept_runs_is_written_as_a_run(runs: list[Run], mixed: Soup) -> None:
    done = open_run(mixed.run)
    kept = [weights(Run(Path(folder))) for folder in mixed.kept]
    for found, *values in zip(weights(done), *kept, strict=True):
        np.testing.assert_allclose(found, np.mean(values, 0), atol=1e-6)
    assert {*mixed.kept, *mixed.left_out} == {str(run.folder) for run in runs}
    assert json.loads((done.folder / "soup.json").read_text())["kept"] == list(mixed.kept)
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert "python -m tfpipe.soup" in page and done.read_dev().texts == runs[0].read_dev().texts
    again = evaluate(EvaluateConfig(run=mixed.run)).metrics
    assert again["accuracy"] == done.metrics["dev"]["accuracy"]


def test_it_is_not_worse_than_any_run(runs: list[Run], mixed: Soup) -> None:
    found = dev_metrics(open_run(mixed.run))
    assert mixed.value == found["dev_accuracy"] >= mixed.best
    for run in runs:
        worse = is_better_epoch(dev_metrics(run), found, "accuracy", "max")
        assert not worse or len(mixed.kept) == 1


def test_a_run_of_other_weights_is_left_out(
    runs: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = copy_run(runs[1], tmp_path / "other")
    model = pretrained.load(other.model)
    for weight in model.weights:
        weight.assign(-weight)
    pretrained.save(model, other.model)
    # The file still has the figures of the weights before, with which it could be the first.
    other.write_json("metrics.json", other.metrics | {"dev": {"accuracy": 0.1, "loss": 1.0}})
    output = tmp_path / "soup"
    folders = [str(runs[0].folder), str(other.folder)]
    assert main([*folders, "--output", str(output), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kept"] == folders[:1] and found["left_out"] == folders[1:]
    for one, mine in zip(weights(open_run(str(output))), weights(runs[0]), strict=True):
        np.testing.assert_array_equal(one, mine)


def refused(output: Path, *folders: Path) -> UserError:
    first, *others = map(str, folders)
    before = sorted(output.rglob("*"))
    with pytest.raises(UserError) as raised:
        soup(SoupConfig(run=first, more_runs=tuple(others), output=str(output)))
    assert sorted(output.rglob("*")) == before and output.exists() is bool(before)
    return raised.value


def test_runs_that_are_refused(runs: list[Run], tmp_path: Path) -> None:
    one, output = runs[0].folder, tmp_path / "soup"
    assert "no average" in refused(output, one).wrong
    assert "different dev examples" in refused(output, one, finished_run("classify").folder).wrong
    assert "different labels" in refused(output, one, finished_run("tag").folder).wrong
    longer = shutil.copytree(one, tmp_path / "longer")
    config = longer / "config.yaml"
    config.write_text(config.read_text().replace("max_length: 16", "max_length: 12"))
    assert "differ in --max-length" in refused(output, one, longer).wrong
    wider = shutil.copytree(one, tmp_path / "wider")
    data = json.loads((wider / "data.json").read_text())
    data["model"]["hidden_size"] = 128
    (wider / "data.json").write_text(json.dumps(data))
    assert "different models" in refused(output, one, wider).wrong
    assert "not empty" in refused(runs[2].folder, one, runs[1].folder).wrong
    gone = shutil.copytree(one, tmp_path / "gone")
    config = gone / "config.yaml"
    config.write_text(config.read_text().replace("messages.tsv", "gone.tsv"))
    assert "gone.tsv" in str(refused(output, gone, gone))
    inside = shutil.copytree(one, tmp_path / "inside")
    (inside / "model" / "adapter").mkdir()
    save_tensors({}, inside / "model" / "adapter" / "adapter_model.safetensors")
    assert "not merged" in refused(output, one, inside).wrong

"""What a search begins with and is compared with: training's defaults and the baseline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import test_search
from tests.test_search import Refused, parsed
from tuning.search import plan_study

folder, refused = test_search.folder, test_search.refused  # fixtures


@pytest.mark.parametrize("algorithm", ["bayesian", "random", "hyperband", "grid"])
def test_the_plan_begins_with_training_s_defaults(folder: Path, algorithm: str) -> None:
    from tuning.estimate import sample_trials

    (folder / "space.yaml").write_text(
        "learning_rate: {factor: [0.25, 4], sampling: log, step: 4}\nbatch_size: [8, 16]\n"
        "epochs: {factor: [0.5, 2], step: 5}\nwarmup: 0.2\n"
    )
    given = ("--space=space.yaml", "--train=messages.tsv", "--model=tiny", "--trials=24")
    config, fixed = parsed(*given, f"--algorithm={algorithm}")
    plan, parts = plan_study(config, fixed)
    assert len(parts.train) == 27
    start = {"learning_rate": 0.0026648, "batch_size": 16, "epochs": 10}
    most = {}
    if algorithm == "hyperband":
        # How long a trial trains is hyperband's: the most of the space, here for all that is whole.
        del start["epochs"]
        most = {"epochs": 20}
        assert plan.epochs == 20
    assert plan.space.default_values() == start
    trained = plan.space.configuration(plan.space.default_values())
    assert (trained.warmup, trained.model) == (0.2, "tiny")
    # A dry run estimates the time of the search that would be.
    values, first, last = sample_trials(config, plan)[0]
    assert (values, last - first) == (start, most.get("epochs", 0))


def test_the_default_space_is_of_the_model_at_hand(folder: Path) -> None:
    def rates(*flags: str) -> tuple[float | None, float | None, float]:
        plan, _ = plan_study(*parsed("--train=messages.tsv", *flags))
        one = next(one for one in plan.space.parameters if one.name == "learning_rate")
        return one.low, one.high, one.nearest_default

    assert rates("--model=tiny") == (0.0006662, 0.01066, 0.002665)
    assert rates() == (2.5e-05, 0.0004, 0.0001)
    assert rates("--model=starter") == (7.5e-05, 0.0012, 0.0003)
    assert rates("--model=starter", "--adapter=lora") == (0.000375, 0.006, 0.0015)
    (folder / "base").mkdir()
    (folder / "base" / "config.json").write_text('{"model_type": "bert", "hidden_size": 768}')
    (folder / "base" / "model.safetensors").touch()
    assert rates("--model=base") == (1.25e-05, 0.0002, 5e-05)
    # Of several models the first trial's.
    (folder / "space.yaml").write_text("model: [tiny, base]\nlearning_rate: {factor: [0.5, 2]}\n")
    assert rates("--space=space.yaml") == (0.001332, 0.00533, 0.002665)


def test_a_model_that_is_not_there(refused: Refused, folder: Path) -> None:
    (folder / "empty").mkdir()
    assert refused("--model=./none") == ["the model is not a folder"]
    assert refused("--model=empty") == ["the model folder has no config.json"]


def test_a_study_of_the_default_space_before_it_had_factors(refused: Refused, folder: Path) -> None:
    from tuning.study import Study

    Study(folder / "old", plan_study(*parsed("--train=messages.tsv"))[0]).open()
    file = folder / "old" / "study.json"
    stored = json.loads(file.read_text())
    stored["space"]["parameters"]["learning_rate"] |= {"low": 1e-5, "high": 5e-4}
    file.write_text(json.dumps(stored))
    reported = (
        "learning_rate was float from 1e-05 to 0.0005 on a log scale, and is float from 2.5e-05 to"
        " 0.0004 on a log scale"
    )
    wrong = refused("--space=default", output="old", reported=reported)
    assert wrong == ["the folder has another study"]


@pytest.mark.parametrize(
    ("objective", "value"),
    # Of ten, four are "a": their F1 is 2 * 0.4 / 1.4, that of three other labels 0.
    [("accuracy", 0.4), ("macro_f1", 0.8 / 1.4 / 4), ("weighted_f1", 0.4 * 0.8 / 1.4)],
)
def test_the_baseline_is_the_most_frequent_label_of_dev(
    folder: Path, objective: str, value: float
) -> None:
    labels = ["b", "a", "c", "a", "d", "a", "b", "c", "a", "d"]
    rows = [f"text {number}\t{label}" for number, label in enumerate(labels)]
    (folder / "dev.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    (folder / "train.tsv").write_text("text\tlabel\n" + "\n".join(rows[:5] + rows) + "\n")
    given = ("--space=space.yaml", "--train=train.tsv", "--dev=dev.tsv")
    plan, _ = plan_study(*parsed(*given, f"--objective=dev.{objective}"))
    assert plan.baseline is not None
    assert (plan.baseline.answer, plan.baseline.figure) == ("a", objective)
    assert plan.baseline.value == pytest.approx(value)
    assert plan_study(*parsed(*given, "--objective=dev.loss"))[0].baseline is None

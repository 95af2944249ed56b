"""What a model must reach before it is published, and the model that it must not be worse than."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.data import write_messages
from tfpipe.config import ExportConfig, build, parse_requirements
from tfpipe.errors import UserError, UserErrors
from tfpipe.export import Export
from tfpipe.exporting.answer_parity import Parity
from tfpipe.exporting.baseline import paired_test
from tfpipe.exporting.clean_process import batches_of, join, run_in_clean_process
from tfpipe.exporting.gate import Gate, flatten_metrics, pass_gate, read_gate
from tfpipe.exporting.verify_export import VerifiedExport
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation
from tfpipe.tasks.classify.task import Classify


def configured(run: Run, **values: object) -> ExportConfig:
    return build(ExportConfig, {"run": str(run.folder), "to": "models/x", **values})


def task_of(run: Run):
    return TASKS["classify"].task_class(run.data["model"]["labels"])


@pytest.fixture(scope="module")
def proof(published: tuple[Run, Export]) -> VerifiedExport:
    """Right answers to two of three dev texts."""
    run, _ = published
    dev, names = run.read_dev(), run.data["model"]["labels"]
    gold = np.array([names.index(label) for label in dev.labels])
    chosen = np.where(np.arange(len(gold)) % 3 == 0, (gold + 1) % 3, gold)
    scores = np.eye(3, dtype=np.float32)[chosen] * 0.8 + 0.1
    evaluation = ClassificationEvaluation(dev.texts, names, gold, scores, 1.0)
    answers = {"label": np.array(names)[chosen], "scores": scores}
    return VerifiedExport(
        Parity(len(gold), 0, 0.0), {}, answers, evaluation, np.ones(len(gold), int)
    )


# ---- --require ------------------------------------------------------------------------------


def test_requirements_are_read() -> None:
    found = parse_requirements("dev.accuracy>=0.90, test.macro_f1 > .8,dev.loss<=1e-1")
    assert [str(one) for one in found] == [
        *("dev.accuracy>=0.9", "test.macro_f1>0.8", "dev.loss<=0.1")
    ]
    assert parse_requirements(None) == []


@pytest.mark.parametrize("text", ["dev.accuracy", "dev.accuracy=0.9", ">=0.9", "a>=b", "a>=1,"])
def test_what_is_no_requirement_is_told(text: str) -> None:
    values = {"run": "r", "to": "m", "require": text, "version": "x"}
    with pytest.raises(UserErrors) as caught:
        build(ExportConfig, values)
    assert [error.wrong.split()[0] for error in caught.value.errors] == ["--version", "--require"]


def test_nan_meets_no_requirement() -> None:
    (one,) = parse_requirements("a>=0")
    assert one.is_met(0.0) and not one.is_met(float("nan"))


def test_every_number_of_a_run_can_be_required(published: tuple[Run, Export]) -> None:
    known = flatten_metrics(published[0].metrics)
    assert {"dev.accuracy", "dev.loss", "model.parameters", "train.steps"} <= set(known)
    assert "environment.python" not in known and "task" not in known


def test_an_unknown_figure_is_told_with_all_else(published: tuple[Run, Export]) -> None:
    run, _ = published
    config = configured(run, require="dev.acuracy>0.9", not_worse_than="models/none/3")
    with pytest.raises(UserErrors) as caught:
        read_gate(config, run, task_of(run))
    figure, rival = caught.value.errors
    assert "did you mean 'dev.accuracy'?" in figure.fix
    assert rival.wrong == "--not-worse-than names no version"


def test_figures_of_dev_are_those_that_the_export_reaches(
    published: tuple[Run, Export], proof: VerifiedExport, capsys: pytest.CaptureFixture
) -> None:
    run, done = published
    assert run.metrics["dev"]["accuracy"] > 0.9
    for require, passes in (("dev.accuracy>0.6,model.parameters>1", True), ("dev.loss<0", False)):
        gate = read_gate(configured(run, require=require), run, task_of(run))
        if passes:
            found = pass_gate(gate, task_of(run), done.folder, proof, run.read_dev())
            assert found["required"][0]["found"] == pytest.approx(2 / 3)
            assert capsys.readouterr().err.count("required ") == 2
            continue
        with pytest.raises(UserError, match="dev.loss is 1, required dev.loss<0"):
            pass_gate(gate, task_of(run), done.folder, proof, run.read_dev())


# ---- --not-worse-than -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "new, old, p_value, worse",
    [
        # scipy.stats.binomtest and R's binom.test agree on these.
        ("rrrrrrrrrr", "rrrrrrrrrr", 1.0, False),
        ("wwwwwrrrrr", "rrrrrrrrrr", 0.0625, False),
        ("wwwwwwrrrr", "rrrrrrrrrr", 0.03125, True),
        ("rrrrrrrrrr", "wwwwwwrrrr", 0.03125, False),
        ("wwwwwwwrrr", "rrrrrrrwrr", 0.0703125, False),
        ("wwwwwwwwww", "wwwwwwwwww", 1.0, False),
    ],
)
def test_the_paired_test(new: str, old: str, p_value: float, worse: bool) -> None:
    costs = [np.array([answer != "r" for answer in answers], float) for answers in (new, old)]
    duel = paired_test("models/x/1", "dev", *costs)
    assert duel.p_value == pytest.approx(p_value)
    assert duel.new_is_worse is worse
    pairs = list(zip(new, old, strict=True))
    counts = duel.both, duel.only_new, duel.only_old, duel.neither
    assert counts == tuple(
        pairs.count(pair) for pair in [("r", "r"), ("r", "w"), ("w", "r"), ("w", "w")]
    )


def test_a_model_that_is_worse_is_refused(
    published: tuple[Run, Export], proof: VerifiedExport
) -> None:
    run, done = published
    gate = read_gate(configured(run, not_worse_than=str(done.folder)), run, task_of(run))
    with pytest.raises(UserError, match="worse than --not-worse-than allows") as caught:
        pass_gate(gate, task_of(run), done.folder, proof, run.read_dev())
    assert "8 in " in caught.value.found and "p = 0.0078" in caught.value.found


def test_both_answer_the_texts_of_data(
    published: tuple[Run, Export], proof: VerifiedExport, tmp_path: Path
) -> None:
    run, done = published
    data = write_messages(tmp_path / "more.tsv", rows=30, seed=5)
    config = configured(run, not_worse_than=str(done.folder), data=str(data))
    gate = read_gate(config, run, task_of(run))
    found = pass_gate(gate, task_of(run), done.folder, proof, run.read_dev())["not_worse_than"]
    assert found["both"] + found["neither"] == 30 and found["both"] > 25
    assert found["p_value"] == 1.0 and not found["new_is_worse"] and found["data"] == str(data)


def test_texts_of_another_kind_are_refused(published: tuple[Run, Export], tmp_path: Path) -> None:
    run, done = published
    pairs = write_messages(tmp_path / "pairs.tsv", rows=6, pairs=True)
    other = tmp_path / "other.tsv"
    other.write_text("text\tlabel\nmy card\tbanana\n")
    for data, said in ((pairs, "reads single texts"), (other, "was not trained on")):
        config = configured(run, not_worse_than=str(done.folder), data=str(data))
        with pytest.raises(UserError, match=said):
            read_gate(config, run, task_of(run))


def test_a_rival_that_cannot_answer_is_told(
    published: tuple[Run, Export], proof: VerifiedExport, tmp_path: Path
) -> None:
    run, done = published
    broken = tmp_path / "1"
    shutil.copytree(done.folder, broken)
    (broken / "variables" / "variables.index").unlink()
    gate = Gate((), {}, broken, None)
    with pytest.raises(UserError, match="cannot answer these texts"):
        pass_gate(gate, task_of(run), done.folder, proof, run.read_dev())


def test_data_says_nothing_without_a_rival() -> None:
    with pytest.raises(UserError, match="--data has no effect without --not-worse-than"):
        build(ExportConfig, {"run": "r", "to": "m", "data": "dev.tsv"})


def test_answers_come_in_the_order_of_the_texts(published: tuple[Run, Export]) -> None:
    run, done = published
    dev = run.read_dev()
    many = dataclasses.replace(dev, texts=[*dev.texts] * 4, labels=[*(dev.labels or ())] * 4)
    batches = batches_of(many, Classify)
    assert len(batches) == 2
    answers = join(run_in_clean_process(done.folder, batches).answered())
    assert (answers["label"] == np.array(many.labels)).mean() > 0.9

"""Is B really better? Runs and exports held against each other, in words and as JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.data import write_messages, write_scoped_messages
from tests.support.exports import exported
from tests.support.runs import KINDS, copy_run, finished_run
from tfpipe.compare import compare, main
from tfpipe.comparing.table import render_table
from tfpipe.comparing.train_overlap import TrainOverlap, find_train_overlaps, run_overlap
from tfpipe.config import CompareConfig, EvaluateConfig
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples
from tfpipe.data.tabular import read_rows
from tfpipe.errors import UserError, UserErrors
from tfpipe.evaluate import evaluate
from tfpipe.export import Export
from tfpipe.model import presets, pretrained
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS


@pytest.fixture(scope="module")
def good(published: tuple[Run, Export]) -> Run:
    return published[0]


@pytest.fixture(scope="module")
def poor(good: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on the same parts that takes each label for another."""
    folder = tmp_path_factory.mktemp("poor") / "run"
    return altered(good, folder, lambda values: np.roll(values, 1, axis=-1))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts that no run was trained on."""
    return write_messages(tmp_path_factory.mktemp("fresh") / "fresh.tsv", rows=90, seed=9)


def altered(run: Run, folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> Run:
    """A copy of a run with other weights in its last layer."""
    copy = copy_run(run, folder)
    model = pretrained.load(run.model)
    for weight in model.bert.weights[-2:]:
        weight.assign(change(weight.numpy()))
    pretrained.save(model, copy.model)
    return copy


def with_noise(run: Run, folder: Path, deviation: float = 1.0) -> Run:
    noise = np.random.default_rng(1)
    return altered(run, folder, lambda old: old + noise.normal(scale=deviation, size=old.shape))


def configured(a: Run | Path | str, b: Run | Path | str, **values: object) -> CompareConfig:
    a, b = (str(one.folder) if isinstance(one, Run) else str(one) for one in (a, b))
    return CompareConfig(a, b, **({"resamples": 500} | values))  # type: ignore[arg-type]


# ---- the whole command ----------------------------------------------------------------------


def test_the_better_run_is_found(good: Run, poor: Run, fresh: Path, tmp_path: Path) -> None:
    out = tmp_path / "changed.tsv"
    found = compare(configured(poor, good, data=str(fresh), out=str(out)))
    a, b = (evaluate(EvaluateConfig(str(run.folder), str(fresh))) for run in (poor, good))
    for one in found.differences:
        assert one.a == pytest.approx(a.metrics[one.name])
        assert one.b == pytest.approx(b.metrics[one.name])
    assert [one.name for one in found.differences] == ["accuracy", "macro_f1", "weighted_f1"]
    assert found.better == "B" and found.verdict.startswith("B is better: accuracy +0.")
    assert found.differences[0].p_value == pytest.approx(2 / 501)
    assert found.notes == [] and found.trained_on == {"A": 0, "B": 0}

    header, rows = read_rows(out)
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    differing = [i for i in range(90) if a.predicted[i] != b.predicted[i]]
    assert sorted(int(row["row"]) - 1 for row in rows) == differing
    names, texts = a.label_names, list(a.texts)
    for row in rows:
        i = int(row["row"]) - 1
        assert row["text"] == texts[i]
        assert row["gold"] == names[a.gold[i]]
        assert (row["a"], row["b"]) == (names[a.predicted[i]], names[b.predicted[i]])
        assert float(row["score_b"]) == pytest.approx(b.score[i], abs=1e-5)
        assert float(row["quality_a"]) == pytest.approx(a.scores[i, a.gold[i]], abs=1e-5)
    moves = [abs(float(row["quality_b"]) - float(row["quality_a"])) for row in rows]
    assert moves == sorted(moves, reverse=True)

    other_way = compare(configured(good, poor, data=str(fresh)))
    assert other_way.better == "A"
    assert other_way.verdict.startswith("A is better: accuracy -0.")


def test_an_export_answers_as_its_run(published: tuple[Run, Export], fresh: Path) -> None:
    run, done = published
    found = compare(configured(run, Path(done.folder).parent, data=str(fresh)))
    assert found.better is None and found.changes == []
    assert found.verdict == "A and B give the same answers to all 90 texts"
    assert {one.value for one in found.differences} == {0.0}
    assert found.b == str(done.folder)
    # Its training data is that of the run beside it.
    assert found.notes == [] and found.trained_on == {"A": 0, "B": 0}


def test_by_default_on_the_dev_examples_of_both(
    good: Run, poor: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(poor.folder), str(good.folder), "--resamples", "200", "--show", "3"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert f"on 24 texts of {poor.folder / 'dev.jsonl'}\n" in shown
    assert "Note: the best epoch of A was chosen on these texts" in shown
    assert "95 % interval" in shown and "paired bootstrap, 200 drawings\n" in shown
    assert main([*arguments, "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert reported["texts"] == 24 and len(reported["changes"]) <= 3
    assert set(reported["figures"]) == {"accuracy", "macro_f1", "weighted_f1"}
    assert sum(reported["changed"].values()) >= len(reported["changes"])
    right = reported["right"]
    assert right["both"] + right["only_a"] + right["only_b"] + right["neither"] == 24


def test_what_was_learnt_by_heart_proves_nothing(good: Run, tmp_path: Path) -> None:
    # On its own train file the better one may have learnt by heart what the other has not seen.
    noisy = with_noise(finished_run("windows"), tmp_path / "noisy")
    found = compare(configured(noisy, good, data=str(good.config.train)))
    assert found.trained_on == {"A": 0, "B": 96}
    assert found.differences[0].better == "B" and found.better is None
    assert "these texts do not show which is better" in found.verdict
    assert "but B was trained on them" in found.verdict
    assert any(note.startswith("B was trained on 96 of the 120 texts") for note in found.notes)


# ---- what is refused ------------------------------------------------------------------------


def test_different_dev_examples_need_data(
    good: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(good.folder, other)
    data = json.loads((other / "data.json").read_text())
    (other / "data.json").write_text(json.dumps(data | {"dev_sha256": "0"}))
    assert main([str(good.folder), str(other)]) == 2
    reported = capsys.readouterr().err
    assert "there is no data to compare on" in reported and "with --data" in reported


def test_an_export_needs_data(published: tuple[Run, Export]) -> None:
    with pytest.raises(UserError, match="an export has no dev examples"):
        compare(configured(published[0], published[1].folder))


def test_unknown_gold_labels_are_refused_for_each_model(
    good: Run, poor: Run, tmp_path: Path
) -> None:
    data = tmp_path / "data.tsv"
    data.write_text("text\tlabel\nmy card\tcard\nmy loan\tloan\n")
    with pytest.raises(UserErrors) as caught:
        compare(configured(good, poor, data=str(data)))
    assert [error.wrong.split("labels that ")[1] for error in caught.value.errors] == [
        *("A was not trained on", "B was not trained on")
    ]
    assert "'loan'" in caught.value.errors[0].found


def test_label_tables_may_differ_where_both_know_the_gold_labels(good: Run, tmp_path: Path) -> None:
    other = copy_run(good, tmp_path / "four")
    labels = ["card", "loan", "refund", "weather"]
    pretrained.save(presets.make_tiny(labels, good.read_dev().texts), other.model)
    (tmp_path / "more.tsv").write_text("text\tlabel\nmy card\tcard\nmy loan\tloan\n")
    data = write_messages(tmp_path / "asked.tsv", rows=30, seed=12)
    found = compare(configured(good, other, data=str(data)))
    assert found.notes == ["B alone has the labels 'loan'; no text here has one of them as gold"]
    with pytest.raises(UserError) as caught:
        compare(configured(good, other, data=str(tmp_path / "more.tsv")))
    assert caught.value.wrong.endswith("labels that A was not trained on")


def test_a_model_is_no_better_than_itself(good: Run, fresh: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(good.folder)
    found = compare(configured(good, link, data=str(fresh)))
    assert found.notes[0] == "A and B are the same model"
    assert not found.changes and all(one.a == one.b for one in found.differences)


def test_models_that_cannot_be_compared(
    published: tuple[Run, Export], fresh: Path, tmp_path: Path
) -> None:
    run, exported = published
    with pytest.raises(UserError, match="neither a run nor an export"):
        compare(configured(run, tmp_path, data=str(fresh)))
    other = tmp_path / "numbers"
    shutil.copytree(run.folder, other)
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("task: classify", "task: regress"))
    with pytest.raises(UserError, match="models of different tasks") as caught:
        compare(configured(other, exported.folder, data=str(fresh)))
    assert caught.value.found == "A is for the task regress, B for classify"
    silent = tmp_path / "1"
    shutil.copytree(exported.folder, silent)
    (silent / "assets" / "info.json").write_text("{}")
    with pytest.raises(UserError, match="does not name its task"):
        compare(configured(run, silent, data=str(fresh)))


def test_other_mistakes(good: Run, poor: Run, fresh: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the folder of the model is missing"):
        compare(configured(good, tmp_path / "none"))
    taken = tmp_path / "taken.tsv"
    taken.write_text("mine")
    with pytest.raises(UserError, match="the output file exists"):
        compare(configured(good, poor, data=str(fresh), out=str(taken)))
    assert taken.read_text() == "mine"
    with pytest.raises(UserError, match=r"\.tsv"):
        compare(configured(good, poor, data=str(fresh), out=str(tmp_path / "changed.xlsx")))
    pairs = write_messages(tmp_path / "pairs.tsv", pairs=True)
    with pytest.raises(UserError, match="the model reads single texts"):
        compare(configured(good, poor, data=str(pairs)))
    unlabelled = tmp_path / "unlabelled.tsv"
    unlabelled.write_text("text\nwhere is my card\n")
    with pytest.raises(UserError, match="no label column was found"):
        compare(configured(good, poor, data=str(unlabelled)))
    unfinished = tmp_path / "unfinished"
    shutil.copytree(good.folder, unfinished)
    (unfinished / "metrics.json").unlink()
    with pytest.raises(UserError, match="the run is not finished"):
        compare(configured(good, unfinished, data=str(fresh)))


def test_flags_in_any_order(
    good: Run, poor: Run, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, other = str(good.folder), str(poor.folder)
    for arguments in ([run, other, "--data", str(fresh)], ["--data", str(fresh), run, other]):
        assert main([*arguments, "--json", "--resamples", "100"]) == 0
        assert json.loads(capsys.readouterr().out)["texts"] == 90
    assert main([run]) == 2
    assert "RUN_B is missing" in capsys.readouterr().err


# ---- what each run has seen -----------------------------------------------------------------


def test_what_a_run_saw(good: Run, fresh: Path, tmp_path: Path) -> None:
    train = read_examples(str(good.config.train), Columns())
    dev = good.read_dev()
    assert run_overlap(good, dev) == TrainOverlap(0, chosen_on=True)
    assert run_overlap(good, train) == TrainOverlap(96)
    loud = replace(train, texts=[f"  {text.upper()}!" for text in train.texts])
    assert run_overlap(good, loud) == TrainOverlap(96)
    assert run_overlap(good, read_examples(fresh, Columns())) == TrainOverlap(0)

    gone = tmp_path / "gone"
    shutil.copytree(good.folder, gone)
    config = (gone / "config.yaml").read_text()
    (gone / "config.yaml").write_text(config.replace(str(good.config.train), "moved.tsv"))
    seen = run_overlap(Run(gone), loud)
    assert seen.trained_on is None and "moved.tsv" in seen.why
    # Its own train examples are known by their hash alone.
    dev_texts = set(dev.texts)
    rows = [row for row, text in enumerate(train.texts) if text not in dev_texts]
    assert run_overlap(Run(gone), train.take(rows)) == TrainOverlap(96)
    # An export of a run was trained on what the run was; another's data is not known.
    digests = {"A": good.data["train_sha256"], "B": good.data["train_sha256"]}
    seen_by = find_train_overlaps(dev, {"A": good, "B": None}, digests)
    assert seen_by == {"A": TrainOverlap(0, chosen_on=True), "B": TrainOverlap(0)}
    assert (
        find_train_overlaps(dev, {"A": good, "B": None}, digests | {"B": None})["B"].trained_on
        is None
    )
    # Another file of the same name is not what the run was trained on.
    other = write_messages(tmp_path / "moved.tsv", seed=20)
    (gone / "config.yaml").write_text(config.replace(str(good.config.train), str(other)))
    assert run_overlap(Run(gone), train).trained_on is None


# ---- every task, runs and exports -----------------------------------------------------------


@pytest.mark.parametrize(
    "task",
    [
        *("multilabel", "tag", "embed"),
        pytest.param("regress", marks=pytest.mark.slow),
        pytest.param("qa", marks=pytest.mark.slow),
    ],
)
def test_every_task(task: str, tmp_path: Path) -> None:
    good, kind = finished_run(task), KINDS[task]
    fresh = kind.write(tmp_path / kind.file, rows=30, seed=9)
    poor = with_noise(good, tmp_path / "poor", deviation=3.0)
    found = compare(configured(poor, good, data=str(fresh), resamples=200))
    of_poor = evaluate(EvaluateConfig(str(poor.folder), str(fresh))).metrics
    missing = {"loss", "spearman"} if task == "embed" else {"loss"}
    assert {one.name for one in found.differences} == set(TASKS[task].metrics) - missing
    for one in found.differences:
        assert one.a == pytest.approx(of_poor[one.name], rel=1e-5, nan_ok=True), one.name
    # A short text may happen to be in both files.
    assert found.trained_on["A"] == found.trained_on["B"] is not None and found.changes
    assert any(found.quality in line for line in render_table(found, 3))

    same = compare(configured(good, exported(task).folder, data=str(fresh), resamples=200))
    assert same.changes == [] and {one.value for one in same.differences} == {0.0}
    for one, other in zip(found.differences, same.differences, strict=True):
        assert one.b == pytest.approx(other.a, rel=1e-5, nan_ok=True), one.name


@pytest.mark.slow
def test_an_export_that_holds_answers_back(tmp_path: Path) -> None:
    cautious, export = finished_run("abstain"), exported("abstain").folder
    fresh = write_scoped_messages(tmp_path / "fresh.tsv", rows=90, seed=9)
    same = compare(configured(cautious, export, data=str(fresh)))
    assert same.changes == [] and {one.value for one in same.differences} == {0.0}
    evaluation = evaluate(EvaluateConfig(str(cautious.folder), str(fresh)))
    reported = {one.name: one.a for one in same.differences}
    for name in ("accuracy", "in_scope_accuracy", "out_of_scope_recall"):
        assert reported[name] == pytest.approx(evaluation.metrics[name]), name
    assert any("held back" in note for note in same.notes)

    more = copy_run(cautious, tmp_path / "more")
    settings = pretrained.read_settings(more.model)["tfpipe"]
    middle = float(np.median(evaluation.score))
    pretrained.store_settings(more.model, settings | {"abstain_below": middle + 1e-4})
    other = compare(configured(export, more, data=str(fresh)))
    assert [one.value for one in other.differences[:3]] == [0, 0, 0] and other.better is None
    assert {change.b for change in other.changes} == {"__abstain__"}

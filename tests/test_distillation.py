"""`--teacher`: a model that learns a run's outputs beside the labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs import ALL_KINDS, finished_run, tiny_config
from tests.test_train_step import TASK, UNEVEN, make_batch, make_model, one_step
from tfpipe.config import TrainConfig, build
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples
from tfpipe.errors import Interrupted, UserError
from tfpipe.evaluate import evaluate_on
from tfpipe.model import pretrained
from tfpipe.run_folder import Run
from tfpipe.tasks.losses import LossSettings, symmetric_divergence
from tfpipe.train import train
from tfpipe.training.losses import TEACHER, DistillLoss, TaskLoss


def student_config(folder: Path, teacher: Run, **values: Any) -> TrainConfig:
    """Training of a new tiny model on the teacher's data."""
    settings = ALL_KINDS["classify"].settings | {"model": "tiny", "epochs": 1}
    given = {"train": teacher.config.train, "teacher": str(teacher.folder)}
    return tiny_config(folder, **(settings | given | values))


def test_the_loss_is_the_mean_of_both() -> None:
    model, batch = make_model(), make_batch(UNEVEN)
    taught = tf.random.stateless_normal([len(UNEVEN), 3], [1, 2])
    batch |= {TEACHER: taught}
    logits, weight = model.logits(batch), batch["weight"]
    divergence = tf.reduce_sum(symmetric_divergence(logits / 2.0, taught / 2.0) * weight)
    loss = DistillLoss(TASK, LossSettings(), 0.25, 2.0)
    expected = 0.75 * TaskLoss(TASK)(model.logits, batch) + 0.25 * 4.0 * divergence
    assert float(loss(model.logits, batch)) == pytest.approx(float(expected), rel=1e-5)
    whole, parts = (one_step(make_model(), batch, loss, parts=number) for number in (1, 3))
    for one, other in zip(parts[2], whole[2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def agreement(run: Run, teacher: Run) -> float:
    """The share of dev texts of the teacher that the run gives the teacher's label."""
    examples = read_examples(teacher.folder / "dev.jsonl", Columns())
    found: Any = [evaluate_on(one, examples, 32) for one in (run, teacher)]
    return float(np.mean(found[0].predicted == found[1].predicted))


def test_wrong_labels_are_outweighed_by_the_teacher(tmp_path: Path) -> None:
    teacher = finished_run("classify")
    header, *rows = Path(str(teacher.config.train)).read_text(encoding="utf-8").splitlines()
    texts, labels = zip(*(row.split("\t") for row in rows), strict=True)
    # Every row has the label of another one.
    moved = [labels[(place + 41) % len(labels)] for place in range(len(labels))]
    file = tmp_path / "moved.tsv"
    lines = [header, *(f"{text}\t{label}" for text, label in zip(texts, moved, strict=True))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = student_config(tmp_path, teacher, train=str(file), epochs=6, teacher_share=1.0)
    alone = train(replace(config, teacher=None, teacher_share=0.5, output=str(tmp_path / "alone")))
    assert agreement(train(config), teacher) > agreement(alone, teacher) + 0.3


@pytest.mark.parametrize("kind", ["multilabel", "regress", "tag", "qa"])
def test_every_task_trains_on_from_its_run(kind: str, tmp_path: Path) -> None:
    teacher = finished_run(kind)
    config = replace(
        teacher.config,
        model=str(teacher.model),
        teacher=str(teacher.folder),
        teacher_share=1.0,
        teacher_states=1.0,
        teacher_relations=1.0,
        epochs=1,
        learning_rate=1e-9,
        strategy="one_device",
        hidden_dropout=0.0,
        attention_dropout=0.0,
        output=str(tmp_path / "run"),
    )
    student = train(config)
    # A student with the teacher's weights has its outputs: there is nothing to learn.
    log = student.folder / "report.json"
    assert log.is_file() and student.metrics["dev"].keys() == teacher.metrics["dev"].keys()
    losses = [record["loss"] for record in read_history(student)]
    assert losses[0] < 1e-3


def read_history(run: Run) -> list[dict[str, Any]]:
    from tfpipe.report.stored_report import read_report

    report = read_report(run.folder)
    assert report is not None
    return [dict(record) for record in report.history]


def test_with_another_vocabulary_changed_texts_and_a_stop(tmp_path: Path) -> None:
    teacher = finished_run("classify")
    values = {"augment": "typos:0.3", "epochs": 2, "max_length": 12}
    whole = train(student_config(tmp_path, teacher, **values))
    assert pretrained.load(whole.model).tokenizer.vocabulary
    stopped = student_config(
        tmp_path, teacher, **values, output=str(tmp_path / "again"), stop_after=1
    )
    with pytest.raises(Interrupted):
        train(stopped)
    again = train(TrainConfig(resume=True, output=stopped.output))
    name = "model/model.safetensors"
    assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"teacher_share": 0.3}, "--teacher-share has no effect without --teacher"),
        ({"teacher": "runs/a", "r_drop": 1.0}, "--teacher and --r-drop exclude each other"),
        ({"teacher": "runs/a", "few_shot": True}, "--teacher and --few-shot exclude each other"),
        ({"teacher": "runs/a", "task": "embed"}, "--task embed has no --teacher"),
    ],
)
def test_settings_that_are_refused(values: dict[str, object], wrong: str) -> None:
    with pytest.raises(UserError) as raised:
        build(TrainConfig, values)
    assert raised.value.wrong.startswith(wrong)


def test_teachers_that_are_refused(tmp_path: Path) -> None:
    def refused(teacher: Run, **values: Any) -> str:
        config = student_config(tmp_path, finished_run("classify"), **values)
        with pytest.raises(UserError) as raised:
            train(replace(config, teacher=str(teacher.folder)))
        return raised.value.wrong

    assert "another --task" in refused(finished_run("regress"))
    assert "other labels" in refused(finished_run("pairs"), train=write_other(tmp_path))
    assert "missing" in refused(Run(tmp_path / "none"))


def write_other(folder: Path) -> str:
    file = folder / "other.tsv"
    rows = [f"text number {i}\t{'left' if i % 2 else 'right'}" for i in range(40)]
    file.write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")
    return str(file)

"""What a finished training leaves behind: metrics.json, predictions.tsv, report.html."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.data.check import DataReport
from tfpipe.data.encode import Labelled
from tfpipe.data.parts import is_share
from tfpipe.io.atomic import write_text
from tfpipe.model.text_model import TextModel
from tfpipe.report.card import write_card
from tfpipe.report.data_section import describe_data
from tfpipe.report.page import write_page
from tfpipe.report.run_report import Report
from tfpipe.report.sections import Data, Figures, Slices
from tfpipe.report.slices import read_sources, slices_by_length, slices_by_source
from tfpipe.run import Run
from tfpipe.tasks import TASKS
from tfpipe.tasks.evaluation import TaskEvaluation
from tfpipe.training.environment import describe_environment

SPACES = str.maketrans("\t\n\r", "   ")
PARTS = ("train", "dev", "test")


def write_outcome(
    run: Run,
    model: TextModel,
    strategy: tf.distribute.Strategy,
    data: DataReport,
    history: Sequence[dict[str, Any]],
    speed: dict[str, float],
    dev: TaskEvaluation,
    test: TaskEvaluation | None,
    sets: Sequence[Labelled] = (),
) -> None:
    """Write the run's last files; metrics.json comes last, for it marks the run as finished.

    speed: seconds of the whole run, and the rates of its training steps; sets: train, dev and
    perhaps test, which the report's sections about the data are made of.
    """
    environment = describe_environment(strategy)
    figures = {"dev": dev.figures, **({"test": test.figures} if test else {})}
    training = {"steps": history[-1]["step"], "epochs": history[-1]["epoch"], **speed}
    sizes = {"parameters": model.parameters, "trainable_parameters": model.trainable_parameters}
    write_predictions(run, dev)
    size = sum(file.stat().st_size for file in run.model.iterdir() if file.is_file())
    report = Report(
        title=run.folder.name,
        task=run.config.task,
        labels_from_data=TASKS[run.config.task].labels_from_data,
        language=run.config.language,
        made=time.strftime("%Y-%m-%d"),
        dev=figures_of(dev),
        test=figures_of(test) if test else None,
        data=_describe_data(run, data, sets, dev, test),
        history=history,
        best_by=run.config.best_figure,
        slices=_describe_slices(run, sets, dev),
        cost=training | sizes | {"model_bytes": size},
        command=_command_again(run),
        settings=(run.folder / "config.yaml").read_text(encoding="utf-8"),
        hashes={name: run.data[f"{name}_sha256"] for name in PARTS if f"{name}_sha256" in run.data},
        environment=environment,
        next_commands=run.next_commands,
        **dev.sections(test, _chosen_on_dev(run.model)),
    )
    write_page(run.folder / "report.html", report)
    metrics = {"task": run.config.task, **figures, "train": training, "model": sizes}
    write_card(run, metrics | {"environment": environment}, data)
    run.write_json("metrics.json", metrics | {"environment": environment})


def figures_of(evaluation: TaskEvaluation) -> Figures:
    """The evaluation's metrics with their intervals, what a model is judged by first."""
    last = ("loss", "examples")
    found = sorted(evaluation.figures.items(), key=lambda figure: figure[0] in last)
    return Figures(dict(found), evaluation.intervals())


def _command_again(run: Run) -> str:
    folder = str(run.folder)
    again = ["--config", f"{folder}/config.yaml", "--output", f"{folder}-again"]
    return shlex.join(["python", "-m", "tfpipe.train", *again])


def _chosen_on_dev(model: Path) -> Mapping[str, Any]:
    """What the task has chosen on dev and keeps in the model's config.json."""
    return json.loads((model / "config.json").read_text(encoding="utf-8")).get("tfpipe") or {}


def _describe_data(
    run: Run,
    data: DataReport,
    sets: Sequence[Labelled],
    dev: TaskEvaluation,
    test: TaskEvaluation | None,
) -> Data | None:
    if not sets:
        return None
    right, figure = {}, None
    for name, evaluation in (("dev", dev), ("test", test)):
        metric = evaluation.example_metric() if evaluation else None
        if metric is not None:
            right[name], figure = metric.values, metric.name
    return describe_data(
        {name: labelled.examples for name, labelled in zip(PARTS, sets, strict=False)},
        data.labels,
        sets[0].full_lengths,
        run.config.max_length,
        right,
        figure,
        in_windows=len(sets[0].encoded) > len(sets[0].examples),
        tell=TASKS[run.config.task].task_class.show_label,
    )


def _describe_slices(run: Run, sets: Sequence[Labelled], dev: TaskEvaluation) -> list[Slices]:
    metric = dev.example_metric()
    if len(sets) < 2 or metric is None:
        return []
    examples, lengths = sets[1].examples, sets[1].full_lengths
    path = str(run.config.train) if is_share(run.config.dev) else run.config.dev
    found = [
        slices_by_length(
            *(metric.values, lengths, metric.name, metric.rising),
            kind="context" if TASKS[run.config.task].always_windows else "length",
        ),
        slices_by_source(metric.values, read_sources(examples, path), metric.name, metric.rising),
    ]
    return [slices for slices in found if slices]


def write_predictions(run: Run, evaluation: TaskEvaluation) -> None:
    """predictions.tsv: text, gold, predicted, score; tabs and line breaks become spaces."""
    lines = ["text\tgold\tpredicted\tscore"]
    for text, gold, predicted, score in evaluation.rows():
        answers = (answer.translate(SPACES) for answer in (gold, predicted))
        lines.append("\t".join([" ".join(text.split()), *answers, f"{score:.6f}"]))
    write_text(run.folder / "predictions.tsv", "\n".join(lines) + "\n")

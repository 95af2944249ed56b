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
from tfpipe.files import write_text
from tfpipe.model.checkpoint import Classifier
from tfpipe.report.card import write_card
from tfpipe.report.data_section import describe_data, tell_answers, tell_entities
from tfpipe.report.describe import figures_of, goodness_of, sections_of
from tfpipe.report.page import Report, write_page
from tfpipe.report.sections import Data, Slices
from tfpipe.report.slices import read_sources, slices_by_length, slices_by_source
from tfpipe.run import Run
from tfpipe.tasks.task import TaskEvaluation
from tfpipe.training.ending import Ending
from tfpipe.training.environment import describe_environment

SPACES = str.maketrans("\t\n\r", "   ")
PARTS = ("train", "dev", "test")
# Where labels are not written as people read them.
TELL = {"tag": tell_entities, "qa": tell_answers}


def write_outcome(
    run: Run,
    classifier: Classifier,
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
    trainable = sum(v.shape.num_elements() for v in classifier.bert.trainable_variables)
    assert run.config.epochs is not None
    ending = Ending.of(history, run.config.epochs)
    training = {"steps": history[-1]["step"], "epochs": ending.done, "best_epoch": ending.best}
    training |= speed
    model = {"parameters": classifier.bert.count_params(), "trainable_parameters": trainable}
    write_predictions(run, dev)
    size = sum(file.stat().st_size for file in run.model.iterdir() if file.is_file())
    report = Report(
        title=run.folder.name,
        task=run.config.task,
        language=run.config.language,
        made=time.strftime("%Y-%m-%d"),
        dev=figures_of(dev),
        test=figures_of(test) if test else None,
        data=_describe_data(run, data, sets, dev, test),
        history=history,
        best_by=run.config.best_figure,
        ending=ending,
        slices=_describe_slices(run, sets, dev),
        cost=training | model | {"model_bytes": size},
        command=_command_again(run),
        settings=(run.folder / "config.yaml").read_text(encoding="utf-8"),
        hashes={name: run.data[f"{name}_sha256"] for name in PARTS if f"{name}_sha256" in run.data},
        environment=environment,
        next_commands=run.next_commands,
        **sections_of(dev, test, _chosen_on_dev(run.model)),
    )
    write_page(run.folder / "report.html", report)
    metrics = {
        "task": run.config.task,
        **figures,
        "train": training | {"stopped_early": ending.early},
        "model": model,
        "environment": environment,
    }
    write_card(run, metrics, data)
    run.write_json("metrics.json", metrics)


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
        goodness = goodness_of(evaluation) if evaluation else None
        if goodness is not None:
            right[name], figure = goodness.values, goodness.figure
    told = {"tell": TELL[run.config.task]} if run.config.task in TELL else {}
    return describe_data(
        {name: labelled.examples for name, labelled in zip(PARTS, sets, strict=False)},
        data.labels,
        sets[0].full_lengths,
        run.config.max_length,
        right,
        figure,
        in_windows=len(sets[0].encoded) > len(sets[0].examples),
        **told,
    )


def _describe_slices(run: Run, sets: Sequence[Labelled], dev: TaskEvaluation) -> list[Slices]:
    goodness = goodness_of(dev)
    if len(sets) < 2 or goodness is None:
        return []
    examples, lengths = sets[1].examples, sets[1].full_lengths
    path = str(run.config.train) if is_share(run.config.dev) else run.config.dev
    found = [
        slices_by_length(
            *(goodness.values, lengths, goodness.figure, goodness.rising),
            kind="context" if run.config.task == "qa" else "length",
        ),
        slices_by_source(
            goodness.values, read_sources(examples, path), goodness.figure, goodness.rising
        ),
    ]
    return [slices for slices in found if slices]


def write_predictions(run: Run, evaluation: TaskEvaluation) -> None:
    """predictions.tsv: text, gold, predicted, score; tabs and line breaks become spaces."""
    lines = ["text\tgold\tpredicted\tscore"]
    for text, gold, predicted, score in evaluation.rows():
        answers = (answer.translate(SPACES) for answer in (gold, predicted))
        lines.append("\t".join([" ".join(text.split()), *answers, f"{score:.6f}"]))
    write_text(run.folder / "predictions.tsv", "\n".join(lines) + "\n")

"""Last files of a run: metrics.json, predictions.tsv, report.html, the model card."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.quality import DataReport
from tfpipe.data.splits import PARTS, is_share
from tfpipe.io.atomic import write_text
from tfpipe.model.text_model import TextModel
from tfpipe.report import stored_report
from tfpipe.report.data_section import describe_data
from tfpipe.report.model_card import write_card
from tfpipe.report.page import write_page
from tfpipe.report.run_report import Report
from tfpipe.report.sections import Data, MeasuredMetrics, Slices
from tfpipe.report.slices import read_sources, slices_by_length, slices_by_script, slices_by_source
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS
from tfpipe.tasks.evaluation import TaskEvaluation
from tfpipe.training.ending import Ending
from tfpipe.training.environment import describe_environment

SPACES = str.maketrans("\t\n\r", "   ")


@dataclass(frozen=True)
class Outcome:
    """Results of a finished training.

    Attributes:
        dev: Evaluation of the saved model on dev.
        test: Evaluation of the saved model on test, or None.
        history: One record an epoch.
        speed: Seconds of the whole run, and the rates of its training steps.
        sets: Train, dev and perhaps test.
        data: Result of the data check.
        settings: The task's settings in the model's config.json, some of them chosen on dev.
        command: The shell line that makes the run again; None for that of training.
    """

    dev: TaskEvaluation
    test: TaskEvaluation | None
    history: Sequence[dict[str, Any]]
    speed: Mapping[str, float]
    sets: Sequence[EncodedDataset]
    data: DataReport
    settings: Mapping[str, Any]
    command: str | None = None


def write_outcome(
    run: Run, model: TextModel, strategy: tf.distribute.Strategy, outcome: Outcome
) -> None:
    """Write the run's last files; metrics.json comes last, because it marks the run as finished."""
    dev, test, history, data = outcome.dev, outcome.test, outcome.history, outcome.data
    environment = describe_environment(strategy)
    figures = {"dev": dev.metrics, **({"test": test.metrics} if test else {})}
    assert run.config.epochs is not None
    ending = Ending.of(history, run.config.epochs)
    training = {"steps": history[-1]["step"], "epochs": ending.done, "best_epoch": ending.best}
    training |= outcome.speed
    sizes = {"parameters": model.parameters, "trainable_parameters": model.trainable_parameters}
    write_predictions(run, dev)
    size = sum(file.stat().st_size for file in run.model.iterdir() if file.is_file())
    report = Report(
        title=run.folder.name,
        task=run.config.task,
        labels_from_data=TASKS[run.config.task].rules.labels_from_data,
        language=run.config.language,
        made=time.strftime("%Y-%m-%d"),
        dev=measured_metrics(dev),
        test=measured_metrics(test) if test else None,
        data=_describe_data(run, outcome),
        history=history,
        best_by=run.config.best_metric,
        ending=ending,
        slices=describe_slices(run, dev, outcome.sets[1], source_file(run.config)),
        cost=training | sizes | {"model_bytes": size},
        command=outcome.command or command_again(run),
        settings=(run.folder / "config.yaml").read_text(encoding="utf-8"),
        hashes={name: run.data[f"{name}_sha256"] for name in PARTS if f"{name}_sha256" in run.data},
        environment=environment,
        next_commands=run.next_commands,
        sources={
            name: describe_source(labelled.examples)
            for name, labelled in list(zip(PARTS, outcome.sets, strict=False))[1:]
        },
        **dev.sections(test, outcome.settings),
    )
    write_page(run.folder / "report.html", report)
    run.write_json(stored_report.FILE, stored_report.encode(report))
    metrics = {
        "task": run.config.task,
        **figures,
        "train": training | {"stopped_early": ending.early},
        "model": sizes,
        **({"data": {"unknown_tokens": data.unknown.as_json()}} if data.unknown else {}),
        "environment": environment,
    }
    write_card(run, metrics, data, outcome.settings, outcome.sets[1].examples.joined())
    run.write_json("metrics.json", metrics)


def add_section(run: Run, **sections: Any) -> None:
    """Write sections into the report of a finished run, by field; leave one of another version."""
    report = stored_report.read_report(run.folder)
    if report is not None:
        report = replace(report, **sections)
        run.write_json(stored_report.FILE, stored_report.encode(report))
        write_page(run.folder / "report.html", report)


def measured_metrics(evaluation: TaskEvaluation) -> MeasuredMetrics:
    """Return the metrics with their intervals; loss and number of examples come last."""
    last = ("loss", "examples")
    found = sorted(evaluation.metrics.items(), key=lambda figure: figure[0] in last)
    return MeasuredMetrics(dict(found), evaluation.intervals())


def command_again(run: Run) -> str:
    """Return the shell line that repeats a run."""
    folder = str(run.folder)
    again = ["--config", f"{folder}/config.yaml", "--output", f"{folder}-again"]
    return shlex.join(["python", "-m", "tfpipe.train", *again])


def _describe_data(run: Run, outcome: Outcome) -> Data:
    sets = outcome.sets
    right, figure = {}, None
    for name, evaluation in (("dev", outcome.dev), ("test", outcome.test)):
        metric = evaluation.example_metric() if evaluation else None
        if metric is not None:
            right[name], figure = metric.values, metric.name
    described = describe_data(
        {name: labelled.examples for name, labelled in zip(PARTS, sets, strict=False)},
        outcome.data.labels,
        sets[0].full_lengths,
        run.config.max_length,
        right,
        figure,
        in_windows=sets[0].groups > len(sets[0].examples),
        show_label=TASKS[run.config.task].rules.show_label,
    )
    found = outcome.data
    return replace(
        described,
        label_notes=found.label_notes,
        decisions=found.decisions,
        unknown=found.unknown,
    )


def describe_source(examples: Examples) -> str:
    """Return the file of examples and their number, for a section of the report."""
    return f"{examples.path} ({len(examples):,})"


def source_file(config: TrainConfig) -> str:
    """Return the file that dev is, or is cut from."""
    return str(config.train) if is_share(config.dev) else config.dev


def describe_slices(
    run: Run, evaluation: TaskEvaluation, labelled: EncodedDataset, path: str
) -> list[Slices]:
    """Measure subsets of labelled examples.

    Args:
        run: The run.
        evaluation: Of the examples.
        labelled: The examples.
        path: Their file, which may say where each comes from.
    """
    metric = evaluation.example_metric()
    if metric is None:
        return []
    examples, lengths = labelled.examples, labelled.full_lengths
    found = [
        slices_by_length(
            *(metric.values, lengths, metric.name, metric.rising),
            kind="context" if TASKS[run.config.task].always_windows else "length",
        ),
        slices_by_script(metric.values, examples, metric.name, metric.rising),
        slices_by_source(metric.values, read_sources(examples, path), metric.name, metric.rising),
    ]
    return [slices for slices in found if slices]


def write_predictions(run: Run, evaluation: TaskEvaluation) -> None:
    """Write predictions.tsv: text, gold, predicted, score; tabs and line breaks become spaces."""
    lines = ["text\tgold\tpredicted\tscore"]
    for text, gold, predicted, score in evaluation.rows():
        answers = (answer.translate(SPACES) for answer in (gold, predicted))
        lines.append("\t".join([" ".join(text.split()), *answers, f"{score:.6f}"]))
    write_text(run.folder / "predictions.tsv", "\n".join(lines) + "\n")

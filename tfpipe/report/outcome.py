"""What a finished training leaves behind: metrics.json, predictions.tsv, report.html."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfpipe.data.check import DataReport
from tfpipe.files import write_text
from tfpipe.model.checkpoint import Classifier
from tfpipe.report.page import Report, write_page
from tfpipe.run import Run
from tfpipe.tasks.evaluation import Evaluation
from tfpipe.training.environment import describe_environment


def write_outcome(
    run: Run,
    classifier: Classifier,
    strategy: tf.distribute.Strategy,
    data: DataReport,
    history: Sequence[dict[str, Any]],
    speed: dict[str, float],
    dev: Evaluation,
    test: Evaluation | None,
) -> None:
    """Write the run's last files; metrics.json comes last, for it marks the run as finished.

    speed: seconds of the whole run, and the rates of its training steps.
    """
    environment = describe_environment(strategy)
    figures = {"dev": dev.figures, **({"test": test.figures} if test else {})}
    trainable = sum(v.shape.num_elements() for v in classifier.bert.trainable_variables)
    training = {"steps": history[-1]["step"], "epochs": history[-1]["epoch"], **speed}
    model = {"parameters": classifier.bert.count_params(), "trainable_parameters": trainable}
    write_predictions(run, dev)
    write_page(
        run.folder / "report.html",
        Report(
            title=run.folder.name,
            task=run.config.task,
            command=["python", "-m", "tfpipe.train", "--config", str(run.folder / "config.yaml")],
            data=data.facts,
            label_counts=data.labels,
            warnings=data.warnings,
            figures=dev.figures,
            dev=dev,
            test=test,
            history=history,
            best_by=run.config.best_figure,
            training=training | model,
            environment=environment,
            next_commands=run.next_commands,
        ),
    )
    metrics = {"task": run.config.task, **figures, "train": training, "model": model}
    run.write_json("metrics.json", metrics | {"environment": environment})


def write_predictions(run: Run, evaluation: Evaluation) -> None:
    """predictions.tsv: text, gold, predicted, score; tabs and line breaks become spaces."""
    lines = ["text\tgold\tpredicted\tscore"]
    names = evaluation.label_names
    rows = zip(
        evaluation.texts, evaluation.gold, evaluation.predicted, evaluation.score, strict=True
    )
    for text, gold, predicted, score in rows:
        fields = (" ".join(text.split()), names[gold], names[predicted], f"{score:.6f}")
        lines.append("\t".join(fields))
    write_text(run.folder / "predictions.tsv", "\n".join(lines) + "\n")

"""`python -m tfpipe.evaluate RUN_OR_EXPORT`: evaluate a model on a labelled file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfpipe.cli import parse, parser_for, print_metrics, run, say
from tfpipe.config import EvaluateConfig
from tfpipe.errors import UserError
from tfpipe.locations import locate
from tfpipe.process import quick_imports, run_as_process
from tfpipe.text_display import shorten

if TYPE_CHECKING:
    from tfpipe.data.encoded import EncodedDataset
    from tfpipe.data.examples import Columns, Examples
    from tfpipe.run_folder import Run
    from tfpipe.tasks.task import TaskEvaluation

ABOUT = """Evaluate a finished run or an export on a labelled file, by default on the run's own dev
examples: the metrics, and for tasks with labels those of each label."""
EXAMPLE = "python -m tfpipe.evaluate runs/support --data test.tsv --json"


def evaluate(config: EvaluateConfig) -> TaskEvaluation:
    """Evaluate a run or an export on a labelled file; raises UserError."""
    from tfpipe.run_folder import open_run

    if locate(config.run).kind == "export":
        return _evaluate_export(config)
    finished = open_run(config.run)
    if config.data is None:
        examples = finished.read_dev()
    else:
        known = finished.data["model"]["labels"]
        examples = read_data(config, finished.config.task, finished.columns, known)
    return evaluate_on(finished, examples, config.batch_size)


def read_data(
    config: EvaluateConfig, task: str, trained: Columns, known: Sequence[str]
) -> Examples:
    """Read the labelled file.

    Args:
        config: The file, and its columns; those that are not named are those trained on, or found.
        task: Name of the model's task.
        trained: The columns that the model was trained on.
        known: The labels of the model.

    Raises:
        UserError: The file cannot be used.
    """
    from tfpipe.data.examples import Columns
    from tfpipe.data.near_labels import describe_stripped
    from tfpipe.data.splits import read_for
    from tfpipe.predicting.trained_columns import prefer_trained
    from tfpipe.tasks import TASKS

    path = str(config.data)
    columns = prefer_trained(path, Columns.of(config), trained)
    examples = read_for(path, columns, TASKS[task].rules, known)
    for decision in examples.decisions:
        say(f"data: note: {decision}")
    if examples.stripped:
        say(f"data: note: {describe_stripped(examples.path, examples.stripped)}")
    return examples


def _evaluate_export(config: EvaluateConfig) -> TaskEvaluation:
    """Evaluate an export in a process that imports TensorFlow alone."""
    from tfpipe.comparing.models import evaluate_export, open_model_folder
    from tfpipe.predicting.trained_columns import trained_columns

    if config.data is None:
        raise UserError(
            "there is no data to evaluate on",
            f"{config.run}: an export has no dev examples with it",
            "give a labelled file with --data",
        )
    model = open_model_folder(config.run)
    examples = read_data(config, model.task_name, trained_columns(config.run), model.label_names)
    return evaluate_export(model, examples)


def evaluate_on(finished: Run, examples: Examples, batch_size: int) -> TaskEvaluation:
    """Evaluate a finished run's model on checked examples; raises UserError."""
    return label_and_evaluate(finished, examples, batch_size)[1]


def label_and_evaluate(
    finished: Run, examples: Examples, batch_size: int
) -> tuple[EncodedDataset, TaskEvaluation]:
    """Evaluate a finished run's model on checked examples; return them tokenised, too."""
    with quick_imports():
        from tfpipe.data.splits import refuse_other_inputs
        from tfpipe.model import pretrained
        from tfpipe.tasks.task import task_of
        from tfpipe.training.evaluator import Evaluator
        from tfpipe.training.strategy import make_strategy

    refuse_other_inputs(examples, finished.data["pairs"])
    strategy, _ = make_strategy("auto", 0)
    with strategy.scope():
        model = pretrained.load(finished.model)
    task = task_of(finished.config.task, model)
    labelled = task.label(examples, model.tokenizer, finished.config.max_length)
    return labelled, Evaluator(strategy, model, task, batch_size).evaluate(labelled)


def label_rows(evaluation: TaskEvaluation) -> list[dict[str, Any]]:
    """Return label, precision, recall, f1 and rows of each label; empty for tasks without."""
    return [
        {
            "label": str(row["label"]),
            **{name: float(row[name]) for name in ("precision", "recall", "f1")},
            "rows": int(row["support"]),
        }
        for row in evaluation.per_class
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(EvaluateConfig, "tfpipe.evaluate", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, EvaluateConfig, arguments)
        found = evaluate(config)
        labels = label_rows(found)
        if config.json:
            print_metrics(found.metrics | ({"labels": labels} if labels else {}), as_json=True)
            return
        print_metrics(found.metrics)
        # The label comes last: its width on a terminal is not known.
        if labels:
            print("\nprecision  recall      f1   rows  label")
        for row in labels:
            figures = f"{row['precision']:9.4f}  {row['recall']:.4f}  {row['f1']:.4f}"
            print(f"{figures}  {row['rows']:5,}  {shorten(row['label'], 200)}")

    return run(command)


if __name__ == "__main__":
    run_as_process(main)

"""`python -m tfpipe.evaluate RUN`: evaluate a run on a labelled file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfpipe.cli import parse, parser_for, print_metrics, run, say
from tfpipe.config import EvaluateConfig
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.data.examples import Examples
    from tfpipe.run_folder import Run
    from tfpipe.tasks.task import TaskEvaluation

ABOUT = "Evaluate a finished run on a labelled file, by default on the run's own dev examples."
EXAMPLE = "python -m tfpipe.evaluate runs/support --data test.tsv --json"


def evaluate(config: EvaluateConfig) -> TaskEvaluation:
    """Evaluate a run's model on a labelled file; raises UserError."""
    from tfpipe.data.examples import Columns
    from tfpipe.data.near_labels import describe_stripped
    from tfpipe.data.splits import read_for
    from tfpipe.run_folder import open_run
    from tfpipe.tasks import TASKS

    finished = open_run(config.run)
    if config.data is None:
        examples = finished.read_dev()
    else:
        rules, known = TASKS[finished.config.task].rules, finished.data["model"]["labels"]
        examples = read_for(config.data, Columns.of(config), rules, known)
    for decision in examples.decisions:
        say(f"data: note: {decision}")
    if examples.stripped:
        say(f"data: note: {describe_stripped(examples.path, examples.stripped)}")
    return evaluate_on(finished, examples, config.batch_size)


def evaluate_on(finished: Run, examples: Examples, batch_size: int) -> TaskEvaluation:
    """Evaluate a finished run's model on checked examples; raises UserError."""
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
    return Evaluator(strategy, model, task, batch_size).evaluate(labelled)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(EvaluateConfig, "tfpipe.evaluate", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, EvaluateConfig, arguments)
        print_metrics(evaluate(config).metrics, as_json=config.json)

    return run(command)


if __name__ == "__main__":
    run_as_process(main)

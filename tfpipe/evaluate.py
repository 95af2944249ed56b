"""`python -m tfpipe.evaluate RUN`: the figures of a run on any labelled file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfpipe.cli import parse, parser_for, print_figures, run
from tfpipe.config import EvaluateConfig

if TYPE_CHECKING:
    from tfpipe.tasks.task import TaskEvaluation

ABOUT = "Figures of a finished run on a labelled file, by default on the run's own dev examples."
EXAMPLE = "python -m tfpipe.evaluate runs/support --data test.tsv --json"


def evaluate(config: EvaluateConfig) -> TaskEvaluation:
    """What the run's model says about the labelled file; raises UserError."""
    from tfpipe.data.parts import read_for, refuse_other_inputs
    from tfpipe.data.read import Columns
    from tfpipe.model import checkpoint
    from tfpipe.run import open_run
    from tfpipe.tasks import TASKS
    from tfpipe.tasks.task import task_of
    from tfpipe.training.evaluator import Evaluator
    from tfpipe.training.strategy import make_strategy

    finished = open_run(config.run)
    if config.data is None:
        examples = finished.read_dev()
    else:
        columns = Columns(config.text, config.text_pair, config.label)
        examples = read_for(config.data, columns, TASKS[finished.config.task].task_class)
    refuse_other_inputs(examples, finished.data["pairs"])
    strategy, _ = make_strategy("auto", 0)
    with strategy.scope():
        model = checkpoint.load(finished.model)
    task = task_of(finished.config.task, model)
    labelled = task.label(examples, model.tokenizer, finished.config.max_length)
    return Evaluator(strategy, model, task, config.batch_size).evaluate(labelled)


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(EvaluateConfig, "tfpipe.evaluate", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, EvaluateConfig, arguments)
        print_figures(evaluate(config).figures, as_json=config.json)

    return run(command)


if __name__ == "__main__":
    sys.exit(main())

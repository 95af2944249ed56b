"""Size, speed and quality of smaller runs beside the run that they were made of.

    python benchmarks/compress.py RUN SMALLER [SMALLER ...] [--data DATA.tsv]

RUN and SMALLER are finished runs of one task with the same labels, such as those of `python -m
tfpipe.compress` or `python -m tfpipe.train --teacher RUN`. All are asked in turn, batch by batch,
in the graph of a float32 export, so that other load of the machine affects all alike. Prints for
each the size of its model, its parameters, how many times as fast as RUN it is at each batch size
(by the median time from texts to answers), the task's first metric on DATA (default: the dev
examples of RUN) and that as a part of RUN's, the share of RUN's answers that are kept, and the p
value of the task's test of the difference.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tfpipe.compressing.figures import compare_answers, measure_megabytes
from tfpipe.compressing.timing import time_models
from tfpipe.config import EvaluateConfig
from tfpipe.data.examples import Examples
from tfpipe.evaluate import evaluate_on, read_data
from tfpipe.model import pretrained
from tfpipe.run_folder import Run, open_run
from tfpipe.tasks import TASKS
from tfpipe.tasks.task import task_of
from tfpipe.text_display import align_columns

BATCH_SIZE = 32


def read_examples(run: Run, data: str | None) -> Examples:
    """Read the labelled examples that all runs are measured on."""
    if data is None:
        return run.read_dev()
    config = EvaluateConfig(str(run.folder), data)
    return read_data(config, run.config.task, run.columns, run.data["model"]["labels"])


def measure(runs: list[Run], examples: Examples) -> list[tuple[str, ...]]:
    """Measure all runs; returns the rows of the table, its header first."""
    task, length = runs[0].config.task, runs[0].config.max_length
    metric = next(iter(TASKS[task].metrics))
    models = [pretrained.load(run.model) for run in runs]
    times = time_models(models, [task_of(task, model) for model in models], examples, length)
    evaluations = [evaluate_on(run, examples, BATCH_SIZE) for run in runs]
    sizes = [f"batch {one.batch}" for one in times[0]]
    rows: list[tuple[str, ...]] = [("MB", "parameters", *sizes, metric, "left", "kept", "p", "run")]
    for number, (run, evaluation) in enumerate(zip(runs, evaluations, strict=True)):
        kept, p_value = compare_answers(task, evaluations[0], evaluation)
        speeds = zip(times[0], times[number], strict=True)
        value = evaluation.metrics[metric]
        row = (
            f"{measure_megabytes(run):.1f}",
            f"{models[number].parameters:,}",
            *(f"{before.p50 / after.p50:.2f}x" for before, after in speeds),
            *(f"{value:.4f}", f"{value / evaluations[0].metrics[metric]:.1%}"),
            *(f"{kept:.1%}", f"{p_value:.2g}", str(run.folder)),
        )
        rows.append(row)
    return rows


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("smaller", nargs="+")
    parser.add_argument("--data", help="labelled file (default: the dev examples of RUN)")
    arguments = parser.parse_args()
    runs = [open_run(folder) for folder in (arguments.run, *arguments.smaller)]
    print("\n".join(align_columns(measure(runs, read_examples(runs[0], arguments.data)))))


if __name__ == "__main__":
    main()

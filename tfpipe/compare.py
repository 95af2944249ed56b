"""`python -m tfpipe.compare RUN_A RUN_B --data FILE`: compare two models on labelled texts."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfpipe.cli import parse, parser_for, run
from tfpipe.config import CompareConfig
from tfpipe.errors import UserError
from tfpipe.process import run_as_process

if TYPE_CHECKING:
    from tfpipe.comparing.models import Model
    from tfpipe.comparing.result import Comparison
    from tfpipe.comparing.train_overlap import TrainOverlap
    from tfpipe.data.examples import Examples
    from tfpipe.stats.bootstrap import Difference
    from tfpipe.tasks.evaluation import TaskEvaluation
    from tfpipe.tasks.paired import Pair

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.compare")

ABOUT = """Compare two models, each a run or an export, on labelled texts: is B really better than
A, or is the difference due to chance? Paired bootstrap of every metric, exact McNemar test, the
labels and texts that change."""
EXAMPLE = "python -m tfpipe.compare runs/support runs/support-2 --data test.tsv --out changed.tsv"


def compare(config: CompareConfig) -> Comparison:
    """Compare two models as configured.

    Raises:
        UserError: A folder has no model, the tasks differ, the data has labels that a model was
            not trained on, or there is no data to compare on.
    """
    from tfpipe.comparing.changes import find_changes, label_changes, write_changes
    from tfpipe.comparing.label_checks import refuse_unknown_labels
    from tfpipe.comparing.models import open_model_folder
    from tfpipe.comparing.result import Comparison
    from tfpipe.comparing.train_overlap import find_train_overlaps
    from tfpipe.tasks import TASKS

    # ---- checks before a model answers
    if config.out is not None:
        _refuse_out(config.out)
    models = {"A": open_model_folder(config.run_a), "B": open_model_folder(config.run_b)}
    _refuse_different_tasks(models)
    spec = TASKS[models["A"].task_name]
    examples = _read_data(config, models)
    refuse_unknown_labels(examples, {name: model.task for name, model in models.items()})

    # ---- overlap with their training data, and their answers
    overlaps = find_train_overlaps(
        examples,
        {name: model.run for name, model in models.items()},
        {name: model.train_sha256 for name, model in models.items()},
    )
    answers = {}
    for name, model in models.items():
        logger.info(f"{name}: {len(examples):,} texts, {model.folder}")
        answers[name] = _evaluate(model, examples, config.batch_size)

    # ---- compare the answers
    pair = spec.compare.load()(answers["A"], answers["B"])
    differences = _bootstrap(config, pair, {**spec.metrics, **spec.optional_metrics})
    changes = find_changes(answers["A"].texts, pair)
    if config.out is not None:
        write_changes(Path(config.out), changes)
        logger.info(f"{len(changes):,} texts are in {config.out}")
    return Comparison(
        a=str(models["A"].folder),
        b=str(models["B"].folder),
        data=examples.path,
        texts=len(examples),
        confidence=config.confidence,
        differences=differences,
        agreement=pair.agreement,
        changes=changes,
        labels=label_changes(pair),
        notes=[*_notes(models, examples, overlaps), *pair.notes],
        quality=pair.quality,
        graded=pair.graded,
        trained_on={name: one.trained_on for name, one in overlaps.items()},
    )


def _notes(
    models: Mapping[str, Model], examples: Examples, overlaps: Mapping[str, TrainOverlap]
) -> Iterator[str]:
    """Yield what limits the comparison: equal models, other labels, data that was trained on."""
    from tfpipe.comparing.label_checks import note_other_labels
    from tfpipe.data.near_labels import describe_stripped

    if models["A"].folder.resolve() == models["B"].folder.resolve():
        yield "A and B are the same model"
    yield from note_other_labels({name: model.task for name, model in models.items()})
    yield from examples.decisions
    if examples.stripped:
        yield describe_stripped(examples.path, examples.stripped)
    for name, overlap in overlaps.items():
        yield from overlap.sentences(name, len(examples))


def _bootstrap(
    config: CompareConfig, pair: Pair, directions: Mapping[str, str]
) -> list[Difference]:
    from tfpipe.stats.bootstrap import paired_bootstrap

    logger.info(f"paired bootstrap: {config.resamples:,} resamples")
    return paired_bootstrap(
        *(pair.sizes, pair.a.statistics, pair.b.statistics, directions),
        *(config.resamples, config.confidence, config.seed),
    )


def _refuse_out(out: str) -> None:
    from tfpipe.predicting.resumable_output import refuse_taken

    if not out.endswith(".tsv"):
        raise UserError("--out is written as .tsv alone", out, "name it NAME.tsv")
    refuse_taken(Path(out))


def _refuse_different_tasks(models: Mapping[str, Model]) -> None:
    """Raise UserError for models of different tasks."""
    a, b = models["A"], models["B"]
    if a.task_name != b.task_name:
        raise UserError(
            "models of different tasks cannot be compared",
            f"A is for the task {a.task_name}, B for {b.task_name}",
            "give two runs or exports of one task",
        )


def _read_data(config: CompareConfig, models: Mapping[str, Model]) -> Examples:
    """Read the file, or the dev examples that both runs have; raises UserError."""
    from tfpipe.data.examples import Columns
    from tfpipe.data.splits import read_for
    from tfpipe.tasks import TASKS

    if config.data is not None:
        known = {*models["A"].label_names} & {*models["B"].label_names}
        rules = TASKS[models["A"].task_name].rules
        return read_for(config.data, Columns.of(config), rules, known)
    a, b = models["A"].run, models["B"].run
    if a is None or b is None:
        raise UserError(
            "there is no data to compare on",
            "an export has no dev examples with it",
            "give labelled texts that neither model was trained on with --data",
        )
    if a.data.get("dev_sha256") != b.data.get("dev_sha256"):
        raise UserError(
            "there is no data to compare on",
            "the runs have different dev examples, of which each may have trained on the other's",
            "give labelled texts that neither run was trained on with --data",
        )
    return a.read_dev()


def _evaluate(model: Model, examples: Examples, batch_size: int) -> TaskEvaluation:
    """Evaluate a run in this process, an export in one that imports TensorFlow only."""
    from tfpipe.comparing.models import evaluate_export
    from tfpipe.evaluate import evaluate_on

    if model.run is None:
        return evaluate_export(model, examples)
    return evaluate_on(model.run, examples, batch_size)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(CompareConfig, "tfpipe.compare", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, CompareConfig, arguments)
        from tfpipe.comparing.table import render_table

        found = compare(config)
        if config.json:
            print(json.dumps(found.as_json(config.show)))
        else:
            print("\n".join(render_table(found, config.show)))

    return run(command)


if __name__ == "__main__":
    run_as_process(main)

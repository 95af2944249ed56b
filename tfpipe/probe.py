"""`python -m tfpipe.probe RUN_OR_EXPORT`: test a model on changed texts."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tfpipe.cli import parse, parser_for, run
from tfpipe.config import EvaluateConfig, ProbeConfig
from tfpipe.errors import UserError
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.comparing.models import Model
    from tfpipe.data.examples import Examples
    from tfpipe.report.sections import Robustness
    from tfpipe.run_folder import Run

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.probe")

ABOUT = """Test how a model answers changed texts: typing errors, punctuation, other characters that
look alike and more, each by chance; an attack on the words that answers depend on most; and a file
of your own expectations. The result of a run is kept in its folder and its report, and can be
required by `tfpipe.export --require "probe.typos>=0.90"`."""
EXAMPLE = "python -m tfpipe.probe runs/support --data test.tsv"


def probe(config: ProbeConfig) -> Robustness:
    """Probe a run or an export as configured, and keep the result of a run in its folder.

    Raises:
        UserError: The model or a file cannot be used.
    """
    with quick_imports():
        from tfpipe.comparing.models import open_model_folder
        from tfpipe.predicting.open_local import open_local
        from tfpipe.probing.expectations import read_expectations

    model = open_model_folder(config.run_or_export)
    _refuse(config, model)
    examples = _read_examples(config, model)
    expected = config.expectations and read_expectations(config.expectations, model.label_names)
    predictor = open_local(config.run_or_export)
    if expected and len(predictor.inputs) > 1:
        raise UserError(
            "--expectations has single texts",
            f"{config.run_or_export} reads {' and '.join(predictor.inputs)}",
            "leave out --expectations",
        )

    from tfpipe.probing.attack import attack_examples
    from tfpipe.probing.expectations import find_failures
    from tfpipe.probing.invariance import probe_changes
    from tfpipe.report.run_outputs import describe_source
    from tfpipe.report.sections import Expectations, Robustness

    logger.info(f"changes: {len(config.names)} of {len(examples):,} texts")
    rows = probe_changes(predictor, model.task, examples, config.names, config.share, config.seed)
    metric = next(iter(predictor.spec.metrics))
    found = Robustness(describe_source(examples), metric, config.share, [*rows])
    if config.attack and model.task_name == "classify":
        logger.info(f"attack: {min(config.attack_rows, len(examples)):,} texts")
        settings = (config.attack_rows, config.attack_edits, config.seed, config.show)
        found = replace(found, attack=attack_examples(predictor, examples, *settings))
    if expected:
        failed = find_failures(predictor, expected)
        result = Expectations(str(config.expectations), len(expected), failed)
        found = replace(found, expectations=result)
    if model.run is not None:
        _keep(model.run, found)
    return found


def _refuse(config: ProbeConfig, model: Model) -> None:
    """Raise UserError for what the model's task does not have."""
    if model.task_name == "embed":
        raise UserError(
            "a model of --task embed gives no answers to compare",
            config.run_or_export,
            "compare its figures on a file of changed texts with tfpipe.evaluate",
        )
    if config.expectations and model.task_name not in ("classify", "multilabel"):
        raise UserError(
            "--expectations needs a model whose answers are labels",
            f"{config.run_or_export}: --task {model.task_name}",
            "leave out --expectations",
        )


def _read_examples(config: ProbeConfig, model: Model) -> Examples:
    """Read --data, or the dev examples of a run; raises UserError."""
    from tfpipe.data.splits import refuse_other_inputs
    from tfpipe.evaluate import read_data
    from tfpipe.predicting.trained_columns import trained_columns

    if config.data is None:
        if model.run is None:
            raise UserError(
                "there is no data to probe with",
                f"{config.run_or_export}: an export has no dev examples with it",
                "give a labelled file with --data",
            )
        return model.run.read_dev()
    names = ("data", "text", "text_pair", "label", "header")
    asked = EvaluateConfig(**{name: getattr(config, name) for name in names})
    trained = model.run.columns if model.run else trained_columns(config.run_or_export)
    examples = read_data(asked, model.task_name, trained, model.label_names)
    if model.run is not None:
        refuse_other_inputs(examples, model.run.data["pairs"])
    return examples


def _keep(finished: Run, found: Robustness) -> None:
    """Write the result into the folder of a run, and into its report where that can be read."""
    from tfpipe.report.run_outputs import add_section
    from tfpipe.report.stored_report import encode
    from tfpipe.run_folder import PROBE

    finished.write_json(PROBE, {"metrics": found.metrics, **encode(found)})
    add_section(finished, robustness=found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(ProbeConfig, "tfpipe.probe", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, ProbeConfig, arguments)
        found = probe(config)

        from tfpipe.probing.table import render_table
        from tfpipe.report.stored_report import encode

        if config.json:
            print(json.dumps({"metrics": found.metrics, **encode(found)}, ensure_ascii=False))
        else:
            print("\n".join(render_table(found, config.show)))

    return run(command)


if __name__ == "__main__":
    run_as_process(main)

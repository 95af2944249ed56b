"""`python -m tfpipe.report RUN`: write the page of a run again, or for another labelled file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.cli import parse, parser_for, run, say
from tfpipe.config import EvaluateConfig, ReportConfig
from tfpipe.errors import UserError
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.report.run_report import Report
    from tfpipe.run_folder import Run

ABOUT = """Write the report page of a finished run again, in another language, say, or a page about
another labelled file, on which the model is evaluated."""
EXAMPLE = "python -m tfpipe.report runs/support --data test.tsv --language zh"


def report(config: ReportConfig) -> Path:
    """Write a report page as configured.

    Returns:
        The page.

    Raises:
        UserError: The run or the file cannot be used, or the page cannot be written.
    """
    with quick_imports():
        from tfpipe.report.page import write_page
        from tfpipe.report.stored_report import read_report
        from tfpipe.run_folder import open_run

    finished = open_run(config.run)
    default = "report.html" if config.data is None else f"report-{Path(config.data).stem}.html"
    out = Path(config.out or finished.folder / default)
    if not out.parent.is_dir():
        raise UserError(
            "the folder of --out is missing", str(out.parent), "make it, or correct --out"
        )
    stored = read_report(finished.folder)
    if config.data is not None:
        page = _of_file(config, finished)
    elif stored is not None:
        page = stored
    else:
        say(
            "note: the run is of a version that kept no content of its report: the page is without"
            " the sections on its data, its curves and its test file"
        )
        page = _of_dev(config, finished)
    page = replace(page, language=config.language or finished.config.language)
    try:
        write_page(out, page)
    except OSError as error:
        raise UserError(
            "the page cannot be written", f"{out}: {error.strerror}", "give another --out"
        ) from None
    return out


def _of_file(config: ReportConfig, finished: Run) -> Report:
    """Evaluate the run on another file."""
    from tfpipe.evaluate import read_data

    columns = {name: getattr(config, name) for name in ("data", "text", "text_pair", "label")}
    asked = EvaluateConfig(run=config.run, **columns)
    known = finished.data["model"]["labels"]
    examples = read_data(asked, finished.config.task, finished.columns, known)
    name = Path(str(config.data)).name
    page = _evaluated(config, finished, examples, str(config.data))
    return replace(page, title=f"{finished.folder.name}: {name}", other=name, abstention=None)


def _of_dev(config: ReportConfig, finished: Run) -> Report:
    """Evaluate the run on its dev examples again."""
    from tfpipe.report.run_outputs import source_file

    return _evaluated(config, finished, finished.read_dev(), source_file(finished.config))


def _evaluated(config: ReportConfig, finished: Run, examples: Any, path: str) -> Report:
    """Return the content of a page about labelled examples of a file."""
    from tfpipe.evaluate import label_and_evaluate
    from tfpipe.report.run_outputs import (
        command_again,
        describe_slices,
        describe_source,
        measured_metrics,
    )
    from tfpipe.report.run_report import Report
    from tfpipe.tasks import TASKS

    labelled, found = label_and_evaluate(finished, examples, config.batch_size)
    model = json.loads((finished.model / "config.json").read_text(encoding="utf-8"))
    # Of other texts than dev the temperature needs no correction for having been fitted on them.
    settings = dict(model.get("tfpipe") or {})
    if config.data is not None:
        settings.pop("temperature", None)
    task = finished.config.task
    return Report(
        title=finished.folder.name,
        task=task,
        labels_from_data=TASKS[task].rules.labels_from_data,
        made=time.strftime("%Y-%m-%d"),
        dev=measured_metrics(found),
        slices=describe_slices(finished, found, labelled, path),
        cost=finished.metrics.get("model", {}),
        command=command_again(finished),
        settings=(finished.folder / "config.yaml").read_text(encoding="utf-8"),
        environment=finished.metrics.get("environment", {}),
        next_commands=finished.next_commands,
        sources={"dev": describe_source(examples)},
        **found.sections(None, settings),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(ReportConfig, "tfpipe.report", ABOUT, EXAMPLE)

    def command() -> None:
        print(report(parse(parser, ReportConfig, arguments)))

    return run(command)


if __name__ == "__main__":
    run_as_process(main)

"""`python -m tfpipe.runs [FOLDER]`: a table of runs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tfpipe.cli import parse, parser_for, run, say
from tfpipe.config import RunsConfig
from tfpipe.process import run_as_process
from tfpipe.run_listing import ListedRun, differing_settings, filter_runs, find_runs, sort_runs
from tfpipe.text_display import align_columns, display_width, list_few, shorten

ABOUT = """List the runs of a folder: name, task, model, date, metrics, and the settings in which
they differ. On a terminal, columns that do not fit are left out and named."""
EXAMPLE = 'python -m tfpipe.runs runs --sort dev.accuracy --filter "task=classify"'
WIDEST = 32
DEFAULT = "runs"


def list_runs(config: RunsConfig) -> list[ListedRun]:
    """Return the runs as configured; raises UserError."""
    found = find_runs(Path(config.folder or DEFAULT))
    return sort_runs(filter_runs(found, config.filter), config.sort)


def as_table(runs: Sequence[ListedRun]) -> list[list[str]]:
    """Return heading and rows; the most important columns come first."""
    figures = dict.fromkeys(name for one in runs for name in one.figures)
    parts = [name for name in figures if not name.endswith((".examples", ".loss"))]
    losses = [name for name in figures if name.endswith(".loss")]
    columns = [*parts, *differing_settings(runs), *losses]
    table = [["name", "task", "model", "date", *columns]]
    for one in runs:
        date = one.date if one.finished else f"{one.date} unfinished"
        cells = [one.name, one.value("task"), one.value("model"), date]
        table.append([_shown(cell) for cell in [*cells, *map(one.value, columns)]])
    return table


def _shown(value: object) -> str:
    if value is None:
        return "-"
    # Six significant digits of a setting, four decimals of a metric, both without zeros at the end.
    text = f"{value:.4f}" if isinstance(value, float) and abs(value) >= 0.01 else f"{value}"
    text = text.rstrip("0").rstrip(".") if isinstance(value, float) and "e" not in text else text
    return shorten(text, WIDEST) or "-"


def fit(table: Sequence[Sequence[str]], width: int) -> tuple[list[list[str]], list[str]]:
    """Return the table with the first columns that fit, and the names of the others."""
    kept, used = 0, 0
    for column in zip(*table, strict=True):
        used += max(map(display_width, column)) + (2 if kept else 0)
        if used > width and kept:
            break
        kept += 1
    return [list(row[:kept]) for row in table], list(table[0][kept:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(RunsConfig, "tfpipe.runs", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, RunsConfig, arguments)
        found = list_runs(config)
        if config.json:
            print(json.dumps({"runs": [_record(one, found) for one in found]}, ensure_ascii=False))
            return
        if not found:
            say(f"no runs in {config.folder or DEFAULT}")
            return
        on_terminal = sys.stdout.isatty()
        table = as_table(found)
        left_out: list[str] = []
        if on_terminal:
            table, left_out = fit(table, shutil.get_terminal_size().columns)
        for line in align_columns(table):
            print(line)
        if left_out:
            say(f"left out: {list_few(left_out, 8, str)}; --json has them all")

    return run(command)


def _record(one: ListedRun, runs: Sequence[ListedRun]) -> dict[str, object]:
    named = {name: one.value(name) for name in ("name", "task", "model", "date")}
    parts = {
        part: {n.partition(".")[2]: v for n, v in one.figures.items() if n.startswith(f"{part}.")}
        for part in ("dev", "test")
    }
    differing = {name: one.value(name) for name in differing_settings(runs)}
    return {
        "folder": str(one.folder),
        **named,
        "finished": one.finished,
        **{part: values for part, values in parts.items() if values},
        "differing": differing,
    }


if __name__ == "__main__":
    run_as_process(main)

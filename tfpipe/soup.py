"""`python -m tfpipe.soup RUN...`: one run with the mean weights of those that improve it on dev."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from tfpipe.cli import parse, parser_for, print_metrics, run, say
from tfpipe.config import SoupConfig, is_better_epoch
from tfpipe.errors import UserError, collected, raise_all
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.model.text_model import TextModel
    from tfpipe.run_folder import Run

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.soup")

ABOUT = """Average the weights of finished runs that were trained from one model, with other seeds
or settings: from the best run on, each is kept only where the average is better on dev (greedy
soup, Wortsman et al. 2022, https://arxiv.org/abs/2203.05482). The result is an ordinary run, as
fast as one of them."""
EXAMPLE = "python -m tfpipe.soup runs/a runs/b runs/c --output runs/soup"
FILE = "soup.json"


@dataclass(frozen=True)
class Soup:
    """The result.

    Attributes:
        run: The folder of the new run.
        kept: Folders of the runs whose weights are averaged, the best first.
        left_out: Folders of the others.
        metric: Name of the dev metric that decided.
        best: Its value for the best run alone.
        value: Its value for the average.
    """

    run: str
    kept: Sequence[str]
    left_out: Sequence[str]
    metric: str
    best: float
    value: float


def soup(config: SoupConfig) -> Soup:
    """Average runs as configured; raises UserError where they cannot be averaged."""
    with quick_imports():
        from tfpipe.derived_run import DerivedRun

    first, *others = _open_runs([config.run, *config.more_runs])
    derived = DerivedRun(first, config.output)
    model, kept = derived.model, [first]
    metric, best = f"dev_{first.config.best_metric}", derived.evaluate()
    alone = best[metric]
    for other in others:
        before = [weight.numpy() for weight in model.weights]
        _add(model, other, len(kept))
        found = derived.evaluate()
        better = _is_better(first, found, best)
        verdict = "kept" if better else "left out"
        logger.info(f"with {other.folder}: {metric} {found[metric]:.4f}, {verdict}")
        if better:
            best = found
            kept.append(other)
        else:
            for weight, value in zip(model.weights, before, strict=True):
                weight.assign(value)
    if len(kept) == 1:
        logger.warning(f"no average is better than {first.folder}, whose weights are written")
    folders = [str(one.folder) for one in kept]
    done = Soup(
        run=config.output,
        kept=folders,
        left_out=[str(one.folder) for one in others if str(one.folder) not in folders],
        metric=metric.replace("_", ".", 1),
        best=alone,
        value=best[metric],
    )
    command = ["python", "-m", "tfpipe.soup", config.run, *config.more_runs]
    derived.finish(shlex.join([*command, "--output", config.output]), FILE, vars(done))
    return done


def _open_runs(folders: Sequence[str]) -> list[Run]:
    """Open the runs, the best on dev first; raises UserError with all that does not fit."""
    from tfpipe.run_folder import open_run, refuse_unlike

    if len(folders) < 2:
        raise UserError("one run has no average", folders[0], "give two or more finished runs")
    runs: list[Run] = []
    errors: list[UserError] = []
    for folder in folders:
        with collected(errors):
            runs.append(open_run(folder))
    raise_all(errors)
    for other in runs[1:]:
        with collected(errors):
            refuse_unlike(runs[0], other, and_model=True)
            _refuse_settings(runs[0], other)
    for one in runs:
        with collected(errors):
            _refuse_adapter(one)
    raise_all(errors)

    def order(one: Run, other: Run) -> int:
        return -1 if _is_better(runs[0], *(_metrics(run) for run in (one, other))) else 1

    return sorted(runs, key=cmp_to_key(order))


def _metrics(one: Run) -> dict[str, float]:
    return {f"dev_{name}": value for name, value in one.metrics["dev"].items()}


def _is_better(first: Run, found: dict[str, float], best: dict[str, float]) -> bool:
    from tfpipe.tasks import TASKS

    metric = first.config.best_metric
    return is_better_epoch(found, best, metric, TASKS[first.config.task].metrics[metric])


def _refuse_settings(first: Run, other: Run) -> None:
    """Raise UserError where two runs read their inputs in different ways."""
    for name in ("task", "pooling", "max_length", "long_text"):
        values = [getattr(one.config, name) for one in (first, other)]
        if values[0] != values[1]:
            raise UserError(
                f"the runs differ in --{name.replace('_', '-')}",
                f"{first.folder}: {values[0]}, {other.folder}: {values[1]}",
                "average runs that differ in seed, rates or losses alone",
            )


def _refuse_adapter(one: Run) -> None:
    if (one.model / "adapter").is_dir():
        raise UserError(
            "the weights of an adapter that is not merged cannot be averaged",
            f"{one.folder}: --adapter {one.config.adapter}",
            "leave it out",
        )


def _add(model: TextModel, other: Run, count: int) -> None:
    """Make the mean of `count` runs that of one more."""
    from tfpipe.model import pretrained

    for weight, new in zip(model.weights, pretrained.load(other.model).weights, strict=True):
        weight.assign((count * weight + new) / (count + 1.0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(SoupConfig, "tfpipe.soup", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, SoupConfig, arguments)
        done = soup(config)
        if config.json:
            values: dict[str, Any] = vars(done)
            print_metrics(values, as_json=True)
            return
        print(f"averaged {len(done.kept)} of {len(done.kept) + len(done.left_out)} runs")
        print(f"{done.metric} {done.best:.4f} -> {done.value:.4f}, on which they were chosen")
        say(f"report: {done.run}/report.html")

    return run(command)


if __name__ == "__main__":
    run_as_process(main)

"""`python -m tfpipe.train`: train a model on labelled texts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfpipe.cli import given_values, owned_fields, parser_for, print_metrics, run, say
from tfpipe.config import RepeatConfig, TrainConfig, build
from tfpipe.errors import collected, did_you_mean, raise_all
from tfpipe.process import quick_imports, run_as_process
from tfpipe.training.ending import Ending

if TYPE_CHECKING:
    from tfpipe.run_folder import Run
    from tfpipe.training.preparation import Preparation

ABOUT = """Train a model on labelled texts, evaluate it, and write a report.
Without options it trains on the synthetic customer-service sample data of the package."""
EXAMPLE = "python -m tfpipe.train --train train.tsv --dev dev.tsv --output runs/support"


def train(config: TrainConfig) -> Run:
    """Train as configured.

    Progress is logged by `logging` under the name `tfpipe`. A dry run takes one step, on the
    longest inputs.

    Returns:
        The finished run: its folder, configuration and metrics.

    Raises:
        UserError: A mistake that the user can correct.
        Interrupted: After SIGINT or SIGTERM and, with the exit status 0, at the end of epoch
            `stop_after`; the state is saved.
    """
    prepared = _prepare(config)
    # Imported here: neither --help nor a mistake in the data is to wait for TensorFlow.
    with quick_imports():
        from tfpipe import training_run

    return training_run.train(prepared)


def _prepare(config: TrainConfig) -> Preparation:
    from tfpipe.training.preparation import prepare

    return prepare(config)


def parse_train(parser: Any, arguments: Sequence[str]) -> tuple[TrainConfig, RepeatConfig]:
    """Build both configurations of the command from flags and `--config`; raises UserError."""
    fields = [*owned_fields(TrainConfig), *owned_fields(RepeatConfig)]
    values, errors = given_values(parser, fields, arguments)
    names = [field.name for _, field in owned_fields(RepeatConfig)]
    # A misspelt name goes to the class that has the nearest one.
    others = [field.name for _, field in owned_fields(TrainConfig)]
    near = [n for n in values if n not in others and did_you_mean(n, names)]
    own = {name: values.pop(name) for name in {*names, *near} if name in values}
    config, repeated = TrainConfig(), RepeatConfig()
    with collected(errors):
        repeated = build(RepeatConfig, own)
    config = build(TrainConfig, values, errors)
    raise_all(list(repeated.errors_with(config)))
    return config, repeated


def _repeat(config: TrainConfig, repeated: RepeatConfig) -> None:
    from tfpipe.repeated_training import repeat

    summary = repeat(config, repeated)
    if config.json:
        print_metrics({"folder": str(summary.folder), "figures": summary.figures}, as_json=True)
    for line in () if config.json else summary.lines():
        print(line)
    say(f"summary: {summary.folder / 'summary.json'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    more = owned_fields(RepeatConfig)
    parser = parser_for(TrainConfig, "tfpipe.train", ABOUT, EXAMPLE, more)

    def command() -> None:
        config, repeated = parse_train(parser, arguments)
        if repeated.repeats:
            _repeat(config, repeated)
            return
        if config.dry_run:
            prepared = _prepare(config)
            from tfpipe.dry_run import dry_run

            dry_run(prepared)
            return
        done = train(config)
        if not done.written_here:
            return
        if config.json:
            print_metrics(done.metrics, as_json=True)
        for part in () if config.json else ("dev", "test"):
            print_metrics(done.metrics.get(part, {}), prefix=f"{part}.")
        assert done.config.epochs is not None
        trained = done.metrics["train"]
        say(f"training {Ending(trained['epochs'], done.config.epochs, trained['best_epoch'])}")
        say(f"report: {done.folder / 'report.html'}\nnext:")
        for line in done.next_commands:
            say(f"  {line}")

    return run(command)


if __name__ == "__main__":
    run_as_process(main)

"""Dry run of a search: sampled configurations and the estimated duration."""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tfpipe import fork_server
from tfpipe.cli import print_metrics
from tfpipe.config import TrainConfig, to_yaml
from tfpipe.data.splits import Splits
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.training.defaults import default_epochs
from tuning.config import SearchConfig
from tuning.failure_reason import describe_failure
from tuning.library_internals import set_project_folder
from tuning.oracles import make_study_oracle
from tuning.report.baseline_comparison import describe_defaults
from tuning.report.formatting import format_time, format_value
from tuning.study import StudyPlan
from tuning.trial_data import with_data_files, write_examples
from tuning.trial_slots import discard_stdout, share_threads
from tuning.tuner import PREFIX

SHOWN_CONFIGURATIONS = 5
MEASURED_BATCHES = 12  # of the training that measures the speed
DEV_COST = 1 / 3  # time to evaluate a dev text, relative to training on a text


@dataclass(frozen=True)
class TrainingSpeed:
    """Measured speed of a training.

    Attributes:
        examples: Number of examples that it trained on.
        seconds_per_example: Time of the training steps per example.
        overhead: Seconds outside of the training steps, such as imports and compilation.
    """

    examples: int
    seconds_per_example: float
    overhead: float


def print_estimate(
    config: SearchConfig, plan: StudyPlan, splits: Splits, log: Callable[[str], None]
) -> None:
    """Print five sampled configurations and the estimated duration of the search.

    The first configuration is that of trial 1, the defaults. The estimate is extrapolated from a
    short training of it on a part of the data.

    Args:
        config: Configuration of the search.
        plan: Plan of the study.
        splits: The data.
        log: Writes a message for the user.

    Raises:
        UserError: If the short training fails.
    """
    sampled = sample_trials(config, plan)
    shown = [values for values, _, _ in sampled[:SHOWN_CONFIGURATIONS]]
    for number, values in enumerate(shown if not config.json else [], start=1):
        line = ", ".join(f"{name} {format_value(value)}" for name, value in values.items())
        which = ""
        if values == plan.space.default_values():
            which = f" ({describe_defaults(plan.space.parameters, values)})"
        print(f"configuration {number}{which}: {line}")
    training = plan.space.configuration(sampled[0][0])
    log("dry run: a short training to measure the speed")
    speed = measure(training, splits, share_threads(config.jobs))
    seconds = 0.0
    for values, first, last in sampled:
        trial = plan.space.configuration(values)
        default = default_epochs(-(-len(splits.train) // trial.batch_size))
        epochs = last - first if plan.epochs else trial.epochs or default
        seen = len(splits.train) + DEV_COST * len(splits.dev)
        seconds += speed.overhead + epochs * seen * speed.seconds_per_example
    seconds *= plan.seeds / config.jobs
    summary = {"trials": len(sampled), "estimated_seconds": round(seconds)}
    print_metrics(summary | ({"configurations": shown} if config.json else {}), as_json=config.json)
    log(
        f"dry run: about {format_time(seconds)} for {len(sampled)} trials, {config.jobs} at a time:"
        f" {1000 * speed.seconds_per_example:.1f} ms a text and {speed.overhead:.0f} s beside the"
        f" steps of a trial, measured on {speed.examples} texts; poor trials that stop early make"
        " it less"
    )


def sample_trials(config: SearchConfig, plan: StudyPlan) -> list[tuple[dict, int, int]]:
    """Simulate a search with random scores.

    Returns:
        The active values, the first and the last epoch of each trial; the epochs are 0 unless the
        algorithm is hyperband.
    """
    # The proposals of Bayesian optimization depend on real scores, and its first ones are random.
    algorithm = "random" if plan.algorithm == "bayesian" else plan.algorithm
    oracle = make_study_oracle(replace(plan, algorithm=algorithm), config.trials)
    rng, found = random.Random(0), []
    with tempfile.TemporaryDirectory() as folder, discard_stdout():
        set_project_folder(oracle, folder, "dry-run")
        while (trial := oracle.create_trial("dry-run")).status == "RUNNING":
            values = trial.hyperparameters.values
            first, last = (values.get(f"{PREFIX}{n}", 0) for n in ("initial_epoch", "epochs"))
            found.append((plan.space.active_values(values), int(first), int(last)))
            oracle.update_trial(trial.trial_id, {plan.objective: rng.random()})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    if oracle.failure:
        raise oracle.failure
    return found


def measure(config: TrainConfig, splits: Splits, environment: dict[str, str]) -> TrainingSpeed:
    """Measure the speed of a training of one epoch on a few batches, in a subprocess like a trial.

    Args:
        config: Training configuration.
        splits: The data.
        environment: Additional environment variables of the process.

    Raises:
        UserError: If the training fails.
    """
    rng = random.Random(config.seed)
    rows = min(len(splits.train), MEASURED_BATCHES * config.batch_size)
    with tempfile.TemporaryDirectory(prefix="tfpipe-dry-run-") as folder:
        here, run = Path(folder), Path(folder, "run")
        for name, part, most in (("train", splits.train, rows), ("dev", splits.dev, 64)):
            chosen = sorted(rng.sample(range(len(part)), min(most, len(part))))
            if name == "dev":
                # Training refuses a dev label that its few training rows lack.
                known = set(splits.train.labels or [])
                chosen = [row for row in chosen if (part.labels or [])[row] in known]
            else:
                chosen = _with_every_label(splits, chosen)
            write_examples(here / f"{name}.jsonl", part.take(chosen))
        short = replace(config, test=None, epochs=1, output=str(run))
        short = with_data_files(short, here / "train.jsonl", here / "dev.jsonl")
        write_text(here / "config.yaml", to_yaml(short))
        arguments = ["-m", "tfpipe.train", "--config", str(here / "config.yaml")]
        with (here / "log.txt").open("w") as log:
            streams = fork_server.Streams(stdout=subprocess.DEVNULL, stderr=log)
            modules = fork_server.TRAINING
            process = fork_server.start(arguments, modules, streams, environment)
            # Timed from outside: the process's own timing excludes its start.
            started_at = time.monotonic()
            status = process.wait()
        elapsed = time.monotonic() - started_at
        if status:
            reason = describe_failure(status, here / "log.txt")
            raise UserError("a first training failed", reason, "mend it before the search begins")
        training = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["train"]
    # The first step compiles and is not timed: if it is the only one, all time is overhead.
    seconds_per_example = 1 / (training["examples_per_second"] or float("inf"))
    trained = training["steps"] * config.batch_size
    return TrainingSpeed(
        trained, seconds_per_example, max(0.0, elapsed - trained * seconds_per_example)
    )


def _with_every_label(splits: Splits, chosen: list[int]) -> list[int]:
    """Return the rows, and one more row of each label that they lack."""
    labels = splits.train.labels or []
    first: dict[str, int] = {}
    for row in [*chosen, *range(len(labels))]:
        first.setdefault(labels[row], row)
    return sorted({*chosen, *first.values()})

"""What a search would do and how long it would take, before it is started."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tfpipe.cli import print_metrics
from tfpipe.config import TrainConfig, to_yaml
from tfpipe.data.splits import Splits
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.subprocesses import bound
from tfpipe.training.defaults import default_epochs
from tuning.config import SearchConfig
from tuning.failure_reason import describe_failure
from tuning.oracles import make_study_oracle
from tuning.report.baseline_comparison import describe_defaults
from tuning.report.formatting import format_time, format_value
from tuning.study import StudyPlan
from tuning.trial_data import with_data_files, write_examples
from tuning.trial_slots import share_threads, silence
from tuning.tuner import PREFIX

SHOWN_CONFIGURATIONS = 5
MEASURED_BATCHES = 12  # that the speed is measured on
DEV_COST = 1 / 3  # of looking at a dev text, beside training on it


@dataclass(frozen=True)
class TrainingSpeed:
    """What a training of `examples` took: seconds an example, and seconds beside the steps."""

    examples: int
    an_example: float
    beside: float


def print_estimate(
    config: SearchConfig, plan: StudyPlan, parts: Splits, tell: Callable[[str], None]
) -> None:
    """Tell five configurations that the search might try, and the time that it might take.

    The first is the search's own first: training's defaults.

    The time rests on one short training here, of the first configuration on a part of the data.
    Raises UserError where that fails.
    """
    sampled = sample_trials(config, plan)
    shown = [values for values, _, _ in sampled[:SHOWN_CONFIGURATIONS]]
    for number, values in enumerate(shown if not config.json else [], start=1):
        line = ", ".join(f"{name} {format_value(value)}" for name, value in values.items())
        which = ""
        if values == plan.space.start():
            which = f" ({describe_defaults(plan.space.parameters, values)})"
        print(f"configuration {number}{which}: {line}")
    training = plan.space.configuration(sampled[0][0])
    tell("dry run: a short training to measure the speed")
    speed = measure(training, parts, share_threads(config.jobs))
    seconds = 0.0
    for values, first, last in sampled:
        trial = plan.space.configuration(values)
        default = default_epochs(-(-len(parts.train) // trial.batch_size))
        epochs = last - first if plan.epochs else trial.epochs or default
        seen = len(parts.train) + DEV_COST * len(parts.dev)
        seconds += speed.beside + epochs * seen * speed.an_example
    seconds *= plan.seeds / config.jobs
    figures = {"trials": len(sampled), "estimated_seconds": round(seconds)}
    print_metrics(figures | ({"configurations": shown} if config.json else {}), as_json=config.json)
    tell(
        f"dry run: about {format_time(seconds)} for {len(sampled)} trials, {config.jobs} at a time:"
        f" {1000 * speed.an_example:.1f} ms a text and {speed.beside:.0f} s beside the steps of a"
        f" trial, measured on {speed.examples} texts; poor trials that stop early make it less"
    )


def sample_trials(config: SearchConfig, plan: StudyPlan) -> list[tuple[dict, int, int]]:
    """Values, first and last epoch of every trial of a search whose scores come at random."""
    # What the Gaussian process would propose depends on scores; it begins at random, too.
    algorithm = "random" if plan.algorithm == "bayesian" else plan.algorithm
    oracle = make_study_oracle(replace(plan, algorithm=algorithm), config.trials)
    rng, found = random.Random(0), []
    with tempfile.TemporaryDirectory() as folder, silence():
        oracle._set_project_dir(folder, "dry-run")
        while (trial := oracle.create_trial("dry-run")).status == "RUNNING":
            values = trial.hyperparameters.values
            first, last = (values.get(f"{PREFIX}{n}", 0) for n in ("initial_epoch", "epochs"))
            found.append((plan.space.active_values(values), int(first), int(last)))
            oracle.update_trial(trial.trial_id, {plan.objective: rng.random()})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    if oracle.trouble:
        raise oracle.trouble
    return found


def measure(config: TrainConfig, parts: Splits, environment: dict[str, str]) -> TrainingSpeed:
    """Train for an epoch on a few batches of the data, in a process as a trial's."""
    rng = random.Random(config.seed)
    rows = min(len(parts.train), MEASURED_BATCHES * config.batch_size)
    with tempfile.TemporaryDirectory(prefix="tfpipe-dry-run-") as folder:
        here, run = Path(folder), Path(folder, "run")
        for name, part, most in (("train", parts.train, rows), ("dev", parts.dev, 64)):
            chosen = sorted(rng.sample(range(len(part)), min(most, len(part))))
            if name == "dev":
                # A label that the few rows of train lack would be refused.
                known = set(parts.train.labels or [])
                chosen = [row for row in chosen if (part.labels or [])[row] in known]
            else:
                chosen = _with_every_label(parts, chosen)
            write_examples(here / f"{name}.jsonl", part.take(chosen))
        short = replace(config, test=None, epochs=1, output=str(run))
        short = with_data_files(short, here / "train.jsonl", here / "dev.jsonl")
        write_text(here / "config.yaml", to_yaml(short))
        command = [sys.executable, "-m", "tfpipe.train", "--config", str(here / "config.yaml")]
        # Of the whole process: what it says of itself begins when its imports are done.
        began = time.monotonic()
        with (here / "log.txt").open("w") as log:
            done = subprocess.run(
                bound(command),
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        taken = time.monotonic() - began
        if done.returncode:
            told = describe_failure(done.returncode, here / "log.txt")
            raise UserError("a first training failed", told, "mend it before the search begins")
        training = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["train"]
    # The first step compiles and is not timed: where it is the only one, all is beside the steps.
    an_example = 1 / (training["examples_per_second"] or float("inf"))
    trained = training["steps"] * config.batch_size
    return TrainingSpeed(trained, an_example, max(0.0, taken - trained * an_example))


def _with_every_label(parts: Splits, chosen: list[int]) -> list[int]:
    """The rows, and one more of each label that they lack."""
    labels = parts.train.labels or []
    first: dict[str, int] = {}
    for row in [*chosen, *range(len(labels))]:
        first.setdefault(labels[row], row)
    return sorted({*chosen, *first.values()})

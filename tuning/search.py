"""Command `python -m tuning.search`: resumable hyperparameter search for tfpipe.train."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.cli import given_values, owned_fields, parser_for, print_metrics, run, say
from tfpipe.config import TrainConfig, build
from tfpipe.config.settings import field_name, flag_of, unknown_option
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.process import quick_imports, run_as_process
from tuning import chief
from tuning.config import RESERVED_SETTINGS, SearchConfig, training_fields

if TYPE_CHECKING:
    from tfpipe.data.splits import Splits
    from tuning.space import Space
    from tuning.study import Study, StudyPlan

ABOUT = """Search for the settings that train best: every trial is a tfpipe.train of its own.
The same command with the same --output resumes an interrupted search.
Every option of tfpipe.train is also accepted, as a fixed value."""
EXAMPLE = "python -m tuning.search --train train.tsv --trials 20 --jobs 2 --output studies/support"
# Default of hyperband's most epochs: two successive reductions by a factor of three.
HYPERBAND_EPOCHS = 9


def search(config: SearchConfig, given: Mapping[str, Any], command: Sequence[str]) -> Study | None:
    """Run or resume a search.

    Args:
        config: Configuration of the search.
        given: Fixed training settings, as raw values.
        command: The command line, for messages and the report.

    Returns:
        The finished study, or None after a dry run.

    Raises:
        UserError: For invalid settings or data, or if trials fail.
        Interrupted: After SIGINT or SIGTERM, with the state saved.
    """
    plan, splits = plan_study(config, given)

    if config.dry_run:
        from tuning.estimate import print_estimate

        print_estimate(config, plan, splits, say)
        return None

    if config.processes == 1 and not config.servers:
        from tfpipe import fork_server

        # What trials import is imported for all of them at once.
        fork_server.prepare(fork_server.TRAINING)
    # Keras Tuner is imported there, and TensorFlow with it.
    with quick_imports():
        from tuning.study import Study
        from tuning.study_runner import run_study
        from tuning.worker import run_worker

    task = plan.space.fixed.get("task", "classify")
    study = Study(Path(config.output or f"studies/{task}-{config.algorithm}"), plan)
    if chief.is_worker():
        run_worker(config, study)
    else:
        run_study(config, study, command)
    return study


def plan_study(config: SearchConfig, given: Mapping[str, Any]) -> tuple[StudyPlan, Splits]:
    """Read the space and the data, and check them before the first trial.

    Args:
        config: Configuration of the search.
        given: Fixed training settings, as raw values.

    Returns:
        The plan of the study and the data.

    Raises:
        UserError: For invalid settings or data.
    """
    from tfpipe.data.hashing import hash_texts
    from tfpipe.model.choice import choose_model
    from tfpipe.tasks import TASKS
    from tuning.space import read_space
    from tuning.study import StudyPlan

    # ---- space and objective
    space = read_space(config.space, given)
    task = TASKS[space.fixed.get("task", "classify")]
    metrics = task.metrics
    objective = config.objective or f"dev.{next(iter(metrics))}"
    errors = environment_errors(config, space.fixed) + objective_errors(objective, metrics)
    raise_all(errors + grid_errors(config, space))
    metric = objective.removeprefix("dev.")

    # ---- data
    splits = read_data(space.fixed)

    # ---- space with the defaults of this model and data
    choice = choose_model(space.fixed.get("model", TrainConfig().model), splits.train)
    choice.log()
    defaults = training_defaults_of(space, choice.name, len(splits.train))
    if not any(one.name == "model" for one in space.parameters):
        given = {**given, "model": choice.name}
    space, epochs = fit_space(config, given, defaults)
    raise_all(grid_errors(config, space))
    baseline = None
    if task.baseline is not None:
        baseline = task.baseline.load()(splits.dev.labels or (), metric)
    hashes = {
        name: hash_texts(split.joined(), split.labels or ())
        for name, split in (("train", splits.train), ("dev", splits.dev))
    }
    identity = (config.algorithm, objective, metrics[metric], config.seeds)
    return StudyPlan(space, *identity, hashes, epochs, baseline), splits


def objective_errors(objective: str, metrics: Mapping[str, str]) -> list[UserError]:
    """Return an error if the objective is not one of the task's dev metrics."""
    known = [f"dev.{name}" for name in metrics]
    if objective in known:
        return []
    fix = f"{did_you_mean(objective, known)}choose one of {', '.join(known)}"
    return [UserError("the task has no such objective", objective, fix)]


def read_data(base: Mapping[str, Any]) -> Splits:
    """Read the data that the fixed settings name.

    Raises:
        UserError: If the data is invalid.
    """
    from tfpipe.data.examples import Columns
    from tfpipe.data.splits import SAMPLE, read_splits
    from tfpipe.tasks import TASKS

    names = ("text", "text_pair", "label", "header", "offsets", "rare_labels")
    columns = Columns(**{name: base[name] for name in names if base.get(name) is not None})
    files = (str(base.get("train") or SAMPLE), str(base.get("dev", "0.1")), base.get("test"))
    seed = base.get("split_seed", base.get("seed", 1))
    return read_splits(*files, columns, seed, TASKS[base.get("task", "classify")].rules)


def training_defaults_of(space: Space, model: str, rows: int) -> dict[str, Any]:
    """Return the defaults of training for the space's model.

    Args:
        space: The search space.
        model: The model; where the space varies it, the value nearest to it is taken.
        rows: Number of training examples.

    Raises:
        UserError: If the model cannot be found.
    """
    from tfpipe.model.presets import read_settings
    from tuning.space import training_defaults

    for one in space.parameters:
        if one.name == "model":
            model = replace(one, default=model).nearest_default
    fixed = {**space.fixed, "model": model}
    return training_defaults(fixed, read_settings(model), rows)


def fit_space(
    config: SearchConfig, given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> tuple[Space, int]:
    """Read the space with the defaults of the model and the data.

    Args:
        config: Configuration of the search.
        given: Fixed training settings, as raw values.
        defaults: Defaults of training for the model and the data.

    Returns:
        The space, and the most epochs of a hyperband trial (0 for other algorithms).
    """
    from tuning.space import read_space

    space = read_space(config.space, given, defaults)
    if config.algorithm != "hyperband":
        return space, 0
    varied = next((one for one in space.parameters if one.name == "epochs"), None)
    fixed = space.fixed.get("epochs") or HYPERBAND_EPOCHS
    epochs = int(fixed if varied is None else max(varied.values or (varied.high or 1,)))
    # Hyperband itself decides how many epochs a trial trains for.
    return read_space(config.space, {**given, "epochs": epochs}, defaults), epochs


def grid_errors(config: SearchConfig, space: Space) -> list[UserError]:
    """Return an error if the grid is infinite, or larger than the number of trials."""
    if config.algorithm != "grid":
        return []
    size = space.grid_size()
    if size is None:
        endless = [one.name for one in space.parameters if one.count is None]
        return [
            UserError(
                "a grid needs values to take in turn",
                f"a range without a step: {', '.join(endless)}",
                "give the range a step or choices, or another --algorithm",
            )
        ]
    if size > config.trials:
        return [
            UserError(
                "the grid is larger than the trials allow",
                f"{size:,} combinations, --trials {config.trials}",
                f"give --trials {size}, fewer values, or --algorithm bayesian",
            )
        ]
    return []


def environment_errors(config: SearchConfig, base: Mapping[str, Any]) -> list[UserError]:
    """Return the errors of environment variables and of the distribution strategy."""
    errors = []
    if "TF_CONFIG" in os.environ:
        errors.append(
            UserError(
                "a trial cannot be one process of a cluster",
                "TF_CONFIG in the environment",
                "unset it; --processes 2 trains each trial in two processes of this machine",
            )
        )
    strategy, several = base.get("strategy", "auto"), config.processes > 1 or config.servers > 0
    if strategy in ("multi_worker", "parameter_server") and not several:
        errors.append(
            UserError(
                f"--strategy {strategy} needs several processes a trial",
                "--processes 1",
                "add --processes 2, and --servers 1 for parameter_server",
            )
        )
    try:
        chief.check_variables()
    except UserError as error:
        errors.append(error)
    return errors


def parse_search(parser: Any, arguments: Sequence[str]) -> tuple[SearchConfig, dict[str, Any]]:
    """Parse the command line.

    Args:
        parser: Parser of all options.
        arguments: The arguments.

    Returns:
        The configuration of the search, and the fixed training settings as raw values.

    Raises:
        UserError: For all invalid settings together.
    """
    training = {field.name for _, field in training_fields()}
    own = {field.name for field in fields(SearchConfig)}
    all_fields = [*owned_fields(SearchConfig), *training_fields()]
    values, errors = given_values(parser, all_fields, arguments)
    given = {name: value for name, value in values.items() if name in training}
    for raw in values:
        name = field_name(raw, own | training)
        if name in own | training:
            continue
        if name in RESERVED_SETTINGS:
            wrong, found = f"{flag_of(name)} is set by the study itself", f"{raw}: {values[raw]!r}"
            errors.append(UserError(wrong, found, RESERVED_SETTINGS[name]))
        else:
            errors.append(unknown_option(raw, values[raw], own | training))
    try:
        config = build(SearchConfig, {n: v for n, v in values.items() if n in own}, errors)
    except UserError as error:
        from tuning.space import read_space

        # Errors of the training settings and of the space are reported together with these.
        try:
            read_space(str(values.get("space") or "default"), given)
        except UserError as more:
            raise_all([error, more])
        raise
    return config, given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = parser_for(SearchConfig, "tuning.search", ABOUT, EXAMPLE, training_fields())

    def command() -> None:
        config, given = parse_search(parser, arguments)
        from tuning.report.formatting import format_value

        study = search(config, given, ["python", "-m", "tuning.search", *arguments])
        if study is None:
            return
        best = study.best
        if best is None:
            # Only for a worker: its chief reports the reason.
            return
        if config.json:
            print_metrics(best.as_row(), as_json=True)
        else:
            values = {name: format_value(value) for name, value in best.values.items()}
            print_metrics({"trial": best.number, study.plan.objective: best.score, **values})
        folder = shlex.quote(str(study.folder))
        say(f"report: {study.folder / 'report.html'}\nnext:")
        say(f"  tensorboard --logdir {folder}")
        say(f"  python -m tfpipe.train --config {folder}/best.yaml --output runs/NAME")

    return run(command)


if __name__ == "__main__":
    run_as_process(main)

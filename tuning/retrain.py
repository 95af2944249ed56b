"""Final training of the best configuration, as a run that can be exported."""

from __future__ import annotations

import shlex
from dataclasses import replace

from tfpipe.cli import say
from tfpipe.config import TrainConfig
from tfpipe.errors import Interrupted, UserError
from tfpipe.run_folder import Run
from tfpipe.separate_training import train_separately
from tfpipe.training.preemption import SignalHandler
from tuning.study import Study
from tuning.trial_data import with_train_and_dev


def retrain(study: Study, on: str, restart: str) -> Run:
    """Train the best configuration into OUTPUT/retrained, or resume that training.

    Args:
        study: The study, which has a best trial.
        on: Data to train on, `train`, or `train+dev` for all labelled texts.
        restart: The command line that resumes the study.

    Returns:
        The finished run.

    Raises:
        UserError: If the training fails, or the folder has a run of another configuration.
        Interrupted: After SIGINT or SIGTERM, with the state saved.
    """
    best, run = study.best, Run(study.folder / "retrained")
    assert best is not None
    config = replace(study.configuration(best.values), output=str(run.folder))
    if on == "train+dev":
        # Dev is part of the training data, so that early stopping would have no meaning.
        epochs = [record["epoch"] for record in best.history if record["best"]][-1]
        config = replace(config, epochs=epochs, early_stopping=0)
        config = with_train_and_dev(config, study.folder / "data")
        say("retraining: on train and dev; its dev figures are of texts that it was trained on")
    say(f"retraining: trial {best.number}, {study.plan.objective} {best.score:.4f}")
    if run.finished:
        check_same_configuration(run, config)
        say(f"retraining: {run.folder} is finished")
        return run
    file = study.folder / "retrain.yaml"
    with SignalHandler() as stop:
        status = train_separately(config, file, stop)
    if stop.signal and not run.finished:
        raise Interrupted(128 + stop.signal, f"stopped, everything saved; go on with:\n  {restart}")
    if status:
        raise UserError(
            "the winner could not be trained again",
            f"tfpipe.train ended with status {status}; what it said is above",
            "mend it and start the same command: the trials are not repeated",
        )
    say(f"retrained: {run.folder}; export it with:")
    say(f"  python -m tfpipe.export {shlex.quote(str(run.folder))} --to models/NAME")
    return run


def check_same_configuration(run: Run, config: TrainConfig) -> None:
    """Check that a finished run was trained with this configuration.

    Raises:
        UserError: If a setting differs.
    """
    given = {name: value for name, value in vars(config).items() if value is not None}
    stored = vars(run.config)
    ignored = ("output", "precision", "resume")
    changed = [n for n, v in given.items() if n not in ignored and stored[n] != v]
    if changed:
        differences = ", ".join(
            f"{n} {stored[n]!r}, the best trial has {given[n]!r}" for n in changed
        )
        raise UserError(
            "the retrained run is of another winner",
            f"{run.folder}: {differences}",
            "move that folder away and start again",
        )

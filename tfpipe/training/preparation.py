"""What a training run needs that can be found, and refused, before TensorFlow is imported."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from tfpipe.config import TrainConfig
from tfpipe.config.augment import parse_augment
from tfpipe.data.changes.augment import Augmentation
from tfpipe.data.examples import Columns
from tfpipe.data.splits import SAMPLE, Splits, read_splits
from tfpipe.errors import UserError
from tfpipe.model.choice import choose_model
from tfpipe.run_folder import Run, find_run, resumed_config
from tfpipe.tasks import TASKS
from tfpipe.training.cluster import Cluster
from tfpipe.training.strategy_choice import find_cluster


@dataclass(frozen=True)
class Preparation:
    """A training run whose configuration, folder and data are checked.

    Attributes:
        config: The configuration, with the names of folder, train file and model.
        run: The run's folder; nothing is written yet.
        cluster: The processes that train together; None for a single process.
        parts: The examples; None in a process that only serves others.
        augmentation: Changes the training texts of an epoch; None where they stay.
    """

    config: TrainConfig
    run: Run
    cluster: Cluster | None
    parts: Splits | None
    augmentation: Augmentation | None = None


def prepare(config: TrainConfig) -> Preparation:
    """Find the run's folder, and read and check the data files; writes nothing.

    Raises:
        UserError: The folder is in use or has nothing to resume, the strategy does not fit the
            processes, or the data cannot be trained on.
    """
    cluster = find_cluster(config)
    default_folder = f"runs/{config.task}-{time.strftime('%Y%m%d-%H%M%S')}"
    if cluster and cluster.serves:
        return Preparation(config, Run(Path(default_folder), written_here=False), cluster, None)
    if cluster is None or cluster.is_chief or config.resume:
        run = find_run(config, default_folder)
    else:
        run = Run(Path(config.output or default_folder), written_here=False)
    if config.resume:
        config = resumed_config(run, config)
    config = replace(config, train=config.train or str(SAMPLE), output=str(run.folder))
    parts = read_parts(config)
    choice = choose_model(config.model, parts.train)
    if cluster is None or cluster.is_chief:
        choice.log()
    rules = TASKS[config.task].rules
    best_by = config.best_by or rules.best_metric(parts.train)
    changes = parse_augment(config.augment)
    augmentation = Augmentation(changes, parts.train, rules, config.seed) if changes else None
    config = replace(config, model=choice.name, best_by=best_by)
    return Preparation(config, run, cluster, parts, augmentation)


def read_parts(config: TrainConfig) -> Splits:
    """Read and check the data files; raises UserError."""
    rules = TASKS[config.task].rules
    columns = Columns.of(config)
    parts = read_splits(str(config.train), config.dev, config.test, columns, config.dev_seed, rules)
    rules.refuse_settings(parts.train, config)
    if config.few_shot and parts.train.text_pairs is not None:
        columns = parts.train.columns
        raise UserError(
            "--few-shot trains vectors of single texts",
            f"the columns {columns.text!r} and {columns.text_pair!r} of {parts.train.path}",
            "leave out --few-shot, or give a file of single texts",
        )
    return parts

"""Texts that a study writes for its trainings: a cut that all seeds share, train and dev in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tfpipe.config import TrainConfig
from tfpipe.data.read_examples import Columns, Examples
from tfpipe.data.splits import SAMPLE, Splits, is_share, read_splits
from tfpipe.io.atomic import write_text
from tfpipe.run_folder import as_json_lines
from tfpipe.tasks import TASKS


def with_shared_dev_split(config: TrainConfig, folder: Path) -> TrainConfig:
    """The configuration with dev as a file where it is a share, which every seed cuts anew."""
    if not is_share(config.dev):
        return config
    train, dev = folder / "train.jsonl", folder / "dev.jsonl"
    if not dev.is_file():
        parts = _read(config)
        write_examples(train, parts.train)
        write_examples(dev, parts.dev)
    return with_data_files(config, train, dev)


def with_train_and_dev(config: TrainConfig, folder: Path) -> TrainConfig:
    """The configuration on train and dev together."""
    parts = _read(config)
    train, dev = folder / "train+dev.jsonl", folder / "dev.jsonl"
    write_examples(train, join(parts))
    write_examples(dev, parts.dev)
    return with_data_files(config, train, dev)


def join(parts: Splits) -> Examples:
    """The examples of train, then those of dev."""
    train, dev = parts.train, parts.dev
    both = zip(
        (train.texts, train.text_pairs, train.labels),
        (dev.texts, dev.text_pairs, dev.labels),
        strict=True,
    )
    texts, pairs, labels = ([*one, *other] if one and other else None for one, other in both)
    return replace(train, texts=texts or [], text_pairs=pairs, labels=labels)


def write_examples(path: Path, examples: Examples) -> None:
    """Write examples as a data file; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, as_json_lines(examples))


def with_data_files(config: TrainConfig, train: Path, dev: Path) -> TrainConfig:
    """The configuration with these files, whose columns have the names that are found."""
    config = replace(config, train=str(train), dev=str(dev))
    return replace(config, text=None, text_pair=None, label=None)


def _read(config: TrainConfig) -> Splits:
    columns = Columns(config.text, config.text_pair, config.label)
    rules = TASKS[config.task].task_class
    return read_splits(str(config.train or SAMPLE), config.dev, None, columns, config.seed, rules)

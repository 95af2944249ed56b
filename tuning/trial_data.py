"""Data files of a study: one dev split shared by all seeds, and train and dev concatenated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tfpipe.config import TrainConfig
from tfpipe.config.reading import OFFSETS
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.splits import SAMPLE, Splits, is_share, read_splits
from tfpipe.io.atomic import write_text
from tfpipe.run_folder import as_json_lines
from tfpipe.tasks import TASKS


def with_shared_dev_split(config: TrainConfig, folder: Path) -> TrainConfig:
    """Split the data once for all seeds, because a fractional dev split depends on the seed.

    Args:
        config: Training configuration.
        folder: Where train.jsonl and dev.jsonl are written, unless they exist.

    Returns:
        The configuration with the two files; unchanged if dev is a file already.
    """
    if not is_share(config.dev):
        return config
    train, dev = folder / "train.jsonl", folder / "dev.jsonl"
    if not dev.is_file():
        splits = _read(config)
        write_examples(train, splits.train)
        write_examples(dev, splits.dev)
    return with_data_files(config, train, dev)


def with_train_and_dev(config: TrainConfig, folder: Path) -> TrainConfig:
    """Write train and dev as one training file, for a final training on all labelled data.

    Args:
        config: Training configuration.
        folder: Where train+dev.jsonl and dev.jsonl are written.

    Returns:
        The configuration with the two files.
    """
    splits = _read(config)
    train, dev = folder / "train+dev.jsonl", folder / "dev.jsonl"
    write_examples(train, concatenate(splits))
    write_examples(dev, splits.dev)
    return with_data_files(config, train, dev)


def concatenate(splits: Splits) -> Examples:
    """Return the examples of train followed by those of dev."""
    train, dev = splits.train, splits.dev
    both = zip(
        (train.texts, train.text_pairs, train.labels),
        (dev.texts, dev.text_pairs, dev.labels),
        strict=True,
    )
    texts, pairs, labels = ([*one, *other] if one and other else None for one, other in both)
    return replace(train, texts=texts or [], text_pairs=pairs, labels=labels, parsed=None)


def write_examples(path: Path, examples: Examples) -> None:
    """Write examples as a JSON Lines file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, as_json_lines(examples))


def with_data_files(config: TrainConfig, train: Path, dev: Path) -> TrainConfig:
    """Return the configuration with these data files, the default column names and offsets."""
    config = replace(config, train=str(train), dev=str(dev))
    return replace(config, text=None, text_pair=None, label=None, offsets=OFFSETS[0])


def _read(config: TrainConfig) -> Splits:
    columns = Columns.of(config)
    rules = TASKS[config.task].rules
    train = str(config.train or SAMPLE)
    return read_splits(train, config.dev, None, columns, config.dev_seed, rules)

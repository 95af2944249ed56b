"""The parts a model is trained on and measured on: read, cut and held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tfpipe.data.check import refuse_untrainable
from tfpipe.data.read import Columns, Examples, read_examples
from tfpipe.data.split import cut_dev
from tfpipe.errors import UserError


@dataclass(frozen=True)
class Parts:
    """Labelled examples for training, for choosing the best epoch, and for a last look."""

    train: Examples
    dev: Examples
    test: Examples | None

    def __iter__(self) -> Iterator[Examples]:
        """The parts that are there."""
        return (part for part in (self.train, self.dev, self.test) if part is not None)


def read_parts(train: str, dev: str, test: str | None, columns: Columns, seed: int) -> Parts:
    """Read the files; `dev` may be a share of train.

    Raises UserError for files that cannot be read, data that cannot be trained on, and parts of
    which some have text pairs and some have not.
    """
    train_part = read_examples(train, columns)
    refuse_untrainable(train_part)
    if is_share(dev):
        train_part, dev_part = cut_dev(train_part, float(dev), seed)
        dev_part = replace(dev_part, path=f"{dev} of {train}, cut with seed {seed}")
    else:
        dev_part = read_examples(dev, columns)
    parts = Parts(train_part, dev_part, read_examples(test, columns) if test else None)
    for part in parts:
        refuse_other_inputs(part, pairs=train_part.text_pairs is not None)
    return parts


def is_share(dev: str) -> bool:
    """Whether `--dev` is a share of train and not a file; raises UserError for a wrong share."""
    try:
        share = float(dev)
    except ValueError:
        return False
    if not 0 < share < 1:
        raise UserError("--dev is no share", dev, "give a share between 0 and 1, or a file")
    return True


def refuse_other_inputs(examples: Examples, pairs: bool) -> None:
    """Raise UserError unless the examples are text pairs exactly when `pairs`."""
    if (examples.text_pairs is not None) != pairs:
        raise UserError(
            "the model reads text pairs" if pairs else "the model reads single texts",
            f"{examples.path}, columns {examples.columns.text!r}, {examples.columns.text_pair!r}",
            "name the columns with --text and --text-pair",
        )

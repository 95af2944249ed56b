"""The parts a model is trained on and measured on: read, cut and held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tfpipe.data.dev_split import split_off_dev
from tfpipe.data.labels import LabelRules, OneLabel
from tfpipe.data.near_labels import LabelNotes, find_near_labels
from tfpipe.data.quality import long_words
from tfpipe.data.read_examples import Columns, Examples, read_examples, task_of_format
from tfpipe.errors import UserError, raise_all

PARTS = ("train", "dev", "test")
# What training reads when no file is given.
SAMPLE = Path(__file__).parent / "sample" / "messages.tsv"


@dataclass(frozen=True)
class Splits:
    """Labelled examples for training, for choosing the best epoch, and for a last look.

    label_notes: what to say about the labels of their files.
    """

    train: Examples
    dev: Examples
    test: Examples | None
    label_notes: LabelNotes = field(default_factory=LabelNotes)

    def __iter__(self) -> Iterator[Examples]:
        """The parts that are there."""
        return (part for part in (self.train, self.dev, self.test) if part is not None)


def read_splits(
    train: str,
    dev: str,
    test: str | None,
    columns: Columns,
    seed: int,
    rules: type[LabelRules] = OneLabel,
) -> Splits:
    """Read the files; `dev` may be a share of train.

    rules: the task's. Raises UserError for files that cannot be read, data that cannot be trained
    on, and parts of which some have text pairs and some have not.
    """
    share = float(dev) if is_share(dev) else None
    read: dict[str, Examples] = {}
    errors: list[UserError] = []
    for path in dict.fromkeys((train, *([] if share else [dev]), *([test] if test else []))):
        try:
            read[path] = _read(path, columns, rules)
            errors += long_words(read[path])
            read[path] = replace(read[path], parsed=rules.parse_labels(read[path]))
            rules.check(read[path], to_learn=path == train)
            if path != train and train in read:
                refuse_other_inputs(read[path], pairs=read[train].text_pairs is not None)
        except UserError as error:
            errors.append(error)
    raise_all(errors)
    notes = LabelNotes(
        {path: examples.stripped for path, examples in read.items() if examples.stripped},
        find_near_labels(read[train].parsed or (), rules.names_in),
    )
    train_part, dev_part = read[train], read.get(dev)
    if share:
        train_part, dev_part = split_off_dev(train_part, share, seed, rules)
        dev_part = replace(dev_part, path=f"{dev} of {train}, cut with seed {seed}")
    assert dev_part is not None
    return Splits(train_part, dev_part, read[test] if test else None, notes)


def read_for(path: str, columns: Columns, rules: type[LabelRules]) -> Examples:
    """Read a labelled file to look at, whose labels the task can read; raises UserError."""
    examples = _read(path, columns, rules)
    examples = replace(examples, parsed=rules.parse_labels(examples))
    rules.check(examples, to_learn=False)
    return examples


def _read(path: str, columns: Columns, rules: type[LabelRules]) -> Examples:
    # Before it is read: what is wrong with it for another task would say nothing.
    spec = task_of_format(Path(path))
    if spec is not None and spec.name != rules.name:
        raise UserError(
            f"the file's format is that of --task {spec.name}",
            f"{path} with --task {rules.name}",
            f"use --task {spec.name}, or give a file with a label column, such as .tsv",
        )
    return read_examples(
        path, columns, optional_label=rules.optional_label, strip_label=rules.strip_label
    )


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

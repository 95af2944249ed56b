"""Train, dev and test: read, split and checked against each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tfpipe.data.dev_split import split_off_dev
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.labels import LabelRules, OneLabel, find_names
from tfpipe.data.near_labels import LabelNotes, find_near_labels, note_marks
from tfpipe.data.offset_units import DEFAULT
from tfpipe.data.quality import long_words
from tfpipe.data.rare_labels import fit_names, fit_train
from tfpipe.data.read_examples import read_examples, task_of_format
from tfpipe.errors import UserError, raise_all

PARTS = ("train", "dev", "test")
# What training reads when no file is given.
SAMPLE = Path(__file__).parent / "sample" / "messages.tsv"


@dataclass(frozen=True)
class Splits:
    """Labelled examples.

    Attributes:
        train: To train on.
        dev: To choose the best epoch, thresholds and temperatures on.
        test: For the final evaluation; None without a file.
        label_notes: About the labels of their files.
        decisions: How the files were read where that is not evident, as in Examples.
    """

    train: Examples
    dev: Examples
    test: Examples | None
    label_notes: LabelNotes = field(default_factory=LabelNotes)
    decisions: Sequence[str] = ()

    def __iter__(self) -> Iterator[Examples]:
        """Yield train, dev, and test where it is given."""
        return (part for part in (self.train, self.dev, self.test) if part is not None)


def read_splits(
    train: str,
    dev: str,
    test: str | None,
    columns: Columns,
    seed: int,
    rules: type[LabelRules] = OneLabel,
) -> Splits:
    """Read the files, and parse and check their labels.

    Args:
        train: The train file.
        dev: A file, or the share of train that is split off.
        test: A file, or None.
        columns: Names of columns; None is found by name.
        seed: Of the split.
        rules: The label rules of the task.

    Raises:
        UserError: A file cannot be read or trained on, or some files have text pairs and some have
            not.
    """
    share = float(dev) if is_share(dev) else None
    rare = columns.rare_labels
    read: dict[str, Examples] = {}
    errors: list[UserError] = []

    def load(path: str) -> None:
        try:
            read[path] = read_labelled(path, columns, rules)
            errors.extend(long_words(read[path]))
            if path == train:
                read[path] = fit_train(read[path], rare, share is not None, rules)
            elif train in read:
                known = find_names(read[train].parsed or (), rules)
                read[path] = fit_names(read[path], known, rare, rules)
            rules.check(read[path], to_learn=path == train)
            if path != train and train in read:
                refuse_other_inputs(read[path], pairs=read[train].text_pairs is not None)
        except UserError as error:
            errors.append(error)

    for path in dict.fromkeys((train, *([] if share else [dev]), *([test] if test else []))):
        load(path)
    raise_all(errors)
    notes = LabelNotes(
        {path: examples.stripped for path, examples in read.items() if examples.stripped},
        find_near_labels(read[train].parsed or (), rules.names_in),
    )
    train_part, dev_part = read[train], read.get(dev)
    if share:
        train_part, dev_part = split_off_dev(train_part, share, seed, rules, rare != "error")
        dev_part = replace(dev_part, path=f"{dev} of {train}, cut with seed {seed}")
    assert dev_part is not None
    decisions = [decision for examples in read.values() for decision in examples.decisions]
    return Splits(train_part, dev_part, read[test] if test else None, notes, decisions)


def read_for(
    path: str,
    columns: Columns,
    rules: type[LabelRules],
    known: Collection[str] | None = None,
) -> Examples:
    """Read a labelled file to evaluate on, and parse its labels.

    Args:
        path: The file.
        columns: Names of columns, and what becomes of labels that are not known.
        rules: The label rules of the task.
        known: The columns of the head of the model that is evaluated; None where all labels stay.

    Raises:
        UserError: The file cannot be read, or its labels are not of the task.
    """
    examples = read_labelled(path, columns, rules)
    if known is not None:
        names = rules.names_of_columns([*known])
        examples = fit_names(examples, names, columns.rare_labels, rules)
    rules.check(examples, to_learn=False)
    return examples


def read_labelled(path: str, columns: Columns, rules: type[LabelRules]) -> Examples:
    """Read a labelled file of any part, and parse its labels; raises UserError."""
    # Before it is read: errors of another task's reader would mislead.
    spec = task_of_format(Path(path))
    if spec is not None and spec.name != rules.name:
        raise UserError(
            f"the file's format is that of --task {spec.name}",
            f"{path} with --task {rules.name}",
            f"use --task {spec.name}, or give a file with a label column, such as .tsv",
        )
    examples = read_examples(path, columns, optional_label=rules.optional_label, rules=rules)
    if columns.offsets != DEFAULT:
        examples = rules.in_characters(examples, columns.offsets)
    examples = replace(examples, parsed=rules.parse_labels(examples))
    noted = note_marks(path, examples.parsed or (), rules.names_in)
    return replace(examples, decisions=[*examples.decisions, *noted])


def is_share(dev: str) -> bool:
    """Return whether `--dev` is a share of train, not a file; raises UserError for a bad share."""
    try:
        share = float(dev)
    except ValueError:
        return False
    if not 0 < share < 1:
        raise UserError("--dev is not a share", dev, "give a share between 0 and 1, or a file")
    return True


def refuse_other_inputs(examples: Examples, pairs: bool) -> None:
    """Raise UserError unless the examples are text pairs exactly when `pairs`."""
    if (examples.text_pairs is not None) != pairs:
        raise UserError(
            "the model reads text pairs" if pairs else "the model reads single texts",
            f"{examples.path}, columns {examples.columns.text!r}, {examples.columns.text_pair!r}",
            "name the columns with --text and --text-pair",
        )

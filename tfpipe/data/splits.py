"""Train, dev and test: read, split and checked against each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tfpipe.data.dev_split import split_off_dev
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.labels import LabelRules, OneLabel, find_names, refuse_unknown
from tfpipe.data.near_labels import LabelNotes, find_near_labels, note_marks
from tfpipe.data.offset_units import DEFAULT
from tfpipe.data.parse_rows import parse_rows
from tfpipe.data.quality import long_words
from tfpipe.data.rare_labels import fit_names, fit_train
from tfpipe.data.read_examples import read_examples, task_of_format
from tfpipe.data.row_errors import RowsError, without_rows
from tfpipe.errors import UserError, collected, raise_all

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
    parts, errors = collect_splits(train, dev, test, columns, seed, rules)
    raise_all(errors)
    assert parts is not None
    return parts


def collect_splits(
    train: str,
    dev: str,
    test: str | None,
    columns: Columns,
    seed: int,
    rules: type[LabelRules] = OneLabel,
) -> tuple[Splits | None, list[UserError]]:
    """Read the files as `read_splits` does, and collect what is wrong with them.

    Returns:
        The parts without the rows that are wrong, None where there is no train or dev left; and
        all errors.
    """
    share = float(dev) if is_share(dev) else None
    reading = _Reading(columns, rules)
    with collected(reading.errors):
        reading.read_train(train, cut=share is not None)
    for path in dict.fromkeys(([] if share else [dev]) + ([test] if test else [])):
        if path != train:
            with collected(reading.errors):
                reading.read_other(path)
    parts = None
    # Without a row, or not read at all: an error says why.
    if all(reading.files.get(path) for path in (train, test or train, train if share else dev)):
        with collected(reading.errors):
            parts = reading.split((train, dev, test), share, seed)
    return parts, reading.errors


@dataclass
class _Reading:
    """The files of a run as they are read.

    Attributes:
        columns: Names of columns, and how labels are read.
        rules: The label rules of the task.
        files: The examples of each file, without the rows that are wrong.
        errors: What is wrong.
        known: The label names of train; None where it could not be read.
    """

    columns: Columns
    rules: type[LabelRules]
    files: dict[str, Examples] = field(default_factory=dict)
    errors: list[UserError] = field(default_factory=list)
    known: set[str] | None = None

    def read_train(self, path: str, cut: bool) -> None:
        """Read the train file; cut: whether dev is cut off it. Raises UserError."""
        rare, rules = self.columns.rare_labels, self.rules
        whole = self._read(path)
        self.known = find_names(whole.parsed or (), rules)
        try:
            part = self.files[path] = fit_train(whole, rare, cut, rules)
        except RowsError as error:
            # What the other rows hold is not judged: a label in one row may be mended.
            self.files[path] = without_rows(whole, [error])
            raise
        self.known = find_names(part.parsed or (), rules)
        rules.check(part, to_learn=True)

    def read_other(self, path: str) -> None:
        """Read dev or test; raises UserError."""
        part = self._read(path)
        train = next(iter(self.files.values()))
        if self.known is None or train is part:
            return
        refuse_other_inputs(part, pairs=train.text_pairs is not None)
        self.rules.refuse_unlike(part, train)
        part = self.files[path] = fit_names(part, self.known, self.columns.rare_labels, self.rules)
        try:
            refuse_unknown(part, self.known, self.rules)
        except RowsError as error:
            self.files[path] = without_rows(part, [error])
            raise

    def _read(self, path: str) -> Examples:
        part = self.files[path] = read_labelled(path, self.columns, self.rules, self.errors)
        self.errors += long_words(part)
        return part

    def split(self, names: tuple[str, str, str | None], share: float | None, seed: int) -> Splits:
        """Build the parts; raises UserError where no dev can be cut.

        Args:
            names: The files of train, dev and test.
            share: Of train that becomes dev; None for a file.
            seed: Of the cut.
        """
        (train, dev, test), read, rules = names, self.files, self.rules
        notes = LabelNotes(
            {path: examples.stripped for path, examples in read.items() if examples.stripped},
            find_near_labels(read[train].parsed or (), rules.names_in),
        )
        train_part, dev_part = read[train], read.get(dev)
        if share:
            may_lack = self.columns.rare_labels != "error"
            train_part, dev_part = split_off_dev(train_part, share, seed, rules, may_lack)
            dev_part = replace(dev_part, path=f"{dev} of {train}, cut with seed {seed}")
            rules.check(dev_part, to_learn=False)
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
    faults: list[UserError] = []
    examples = read_labelled(path, columns, rules, faults)
    raise_all(faults)
    if known is not None:
        names = rules.names_of_columns([*known])
        examples = fit_names(examples, names, columns.rare_labels, rules)
    rules.check(examples, to_learn=False)
    return examples


def read_labelled(
    path: str,
    columns: Columns,
    rules: type[LabelRules],
    faults: list[UserError] | None = None,
) -> Examples:
    """Read a labelled file of any part, and parse its labels.

    Args:
        path: The file.
        columns: Names of columns, and how labels are read.
        rules: The label rules of the task.
        faults: Where errors of single rows are added, which are then left out; None raises them.

    Raises:
        UserError: The file cannot be read, or its labels are not of the task.
    """
    # Before it is read: errors of another task's reader would mislead.
    spec = task_of_format(Path(path))
    if spec is not None and spec.name != rules.name:
        raise UserError(
            f"the file's format is that of --task {spec.name}",
            f"{path} with --task {rules.name}",
            f"use --task {spec.name}, or give a file with a label column, such as .tsv",
        )
    found = [] if faults is None else faults
    examples = read_examples(path, columns, rules.needs_labels, rules.optional_label, rules, found)
    if examples.labels is None:
        examples = replace(examples, labels=[""] * len(examples))
    if columns.offsets != DEFAULT:
        examples = rules.in_characters(examples, columns.offsets)
    examples = parse_rows(examples, rules, found)
    if faults is None:
        raise_all(found)
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

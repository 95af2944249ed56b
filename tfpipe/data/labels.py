"""Label rules of a task: how a row's label is parsed, checked, shown and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from tfpipe.config import TrainConfig
from tfpipe.data.changes.edits import Edits
from tfpipe.data.examples import Examples
from tfpipe.data.label_values import one_choice
from tfpipe.data.near_labels import fold
from tfpipe.data.row_errors import RowsError, RowsOf
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.token_counts import TokenCounts, count_tokens
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.errors import UserError
from tfpipe.text_display import list_few


class LabelSummary(NamedTuple):
    """What doctor shows of a data file's labels: a name, a sentence, and the value for scripts."""

    name: str
    sentence: str
    value: Any


class LabelRules(Protocol):
    """What reading, checking and splitting of data files need of a task, without a model.

    The rules of a task are a module of their own, for they answer questions about data before
    TensorFlow is imported; the class of the task inherits them.

    Attributes:
        name: The task's, as on the command line.
        needs_labels: Whether a data file must have a label column.
        optional_label: Whether a row without a label is an example.
        labels_from_data: Whether label names are those of the data; else they are the task's own.
        noun: What the label names are of, in the plural.
        one_name: Whether a label is one name, so that a row without it is no example.
        has_places: Whether a label has places of its texts, which move when these are edited.
    """

    name: ClassVar[str]
    needs_labels: ClassVar[bool] = True
    optional_label: ClassVar[bool] = False
    labels_from_data: ClassVar[bool] = True
    noun: ClassVar[str] = "labels"
    one_name: ClassVar[bool] = False
    has_places: ClassVar[bool] = False

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[Any]:
        """Parse the labels into hashable values, such as tuples of entities.

        Returns:
            One value for each label.

        Raises:
            UserError: A label cannot be parsed; the message has its row.
        """

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Refuse labels that the task cannot use.

        Args:
            examples: Labelled examples.
            to_learn: Whether they are those to train on, which must hold enough to learn.

        Raises:
            UserError: A label cannot be parsed, or of train, cannot be learnt.
        """

    @classmethod
    def strip_label(cls, label: str) -> str:
        """Remove blanks around the label as written, and around the names in it."""

    @classmethod
    def write_label(cls, value: list[Any] | dict[str, Any], remarks: Counter[str]) -> str:
        """Write a list or table of a data file as a label in a table is written.

        Args:
            value: As JSON holds it.
            remarks: Counts, under a sentence about it, what is read otherwise than written.

        Raises:
            UnreadableLabel: It is no label of the task.
        """

    @classmethod
    def names_in(cls, label: Any) -> Sequence[str]:
        """Label names in a parsed label, by which rows are counted and dev is cut; may be none."""

    @classmethod
    def names_of_columns(cls, columns: Sequence[str]) -> Sequence[str]:
        """Return the label names that a model can answer, by the names of its head's columns."""
        return columns

    @classmethod
    def rewrite(cls, label: Any, names: Mapping[str, str | None]) -> str | None:
        """Write a parsed label with other names.

        Args:
            label: One that has some of the names.
            names: The new name by the old one, None for one that is taken out.

        Returns:
            The label as a table has it; None where nothing is left of the example.
        """
        return None

    @classmethod
    def moved(cls, label: Any, texts: Sequence[str], edits: Sequence[Edits]) -> str | None:
        """Write a parsed label that `has_places` for texts that were edited.

        Args:
            label: The label.
            texts: The edited text, or the two of a pair.
            edits: Of each.

        Returns:
            The label as a table has it; None where one of its places is lost.
        """
        return None

    @classmethod
    def in_characters(cls, examples: Examples, unit: str) -> Examples:
        """Return examples whose places count a unit of `offset_units`, counted in characters.

        Raises:
            UserError: Labels have no places, or one is inside of a character.
        """
        raise UserError(
            f"labels of --task {cls.name} have no places of entities to count",
            f"--offsets {unit} with {examples.path}",
            "leave out --offsets",
        )

    @classmethod
    def refuse_settings(cls, train: Examples, config: TrainConfig) -> None:
        """Raise UserError for settings of training that do not fit the examples."""
        refuse_pairs(train, config.long_text)

    @classmethod
    def refuse_unlike(cls, part: Examples, train: Examples) -> None:
        """Raise UserError for examples of dev or test that are of another kind than train's."""

    @classmethod
    def best_metric(cls, train: Examples) -> str | None:
        """Return the dev metric that chooses the best epoch where train decides it, else None."""
        return None

    @classmethod
    def served_texts(cls, examples: Examples) -> Examples:
        """Return the texts that serving_default is asked about, for `judge` and `costs`."""
        return examples

    @classmethod
    def count_tokens(
        cls, examples: Examples, tokenizer: FastTokenizer, max_length: int
    ) -> TokenCounts:
        """Count the tokens of the examples in the inputs that training makes of them."""
        return count_tokens(examples, tokenizer, max_length)

    @classmethod
    def find_lost(
        cls, examples: Examples, tokenizer: FastTokenizer, max_length: int
    ) -> Sequence[str]:
        """Return what cannot be learnt of the labels, as the task's `notes` say it."""
        return ()

    @classmethod
    def show_label(cls, examples: Examples, row: int) -> str:
        """Format a row's label for people; as written, unless the task has a better form."""
        return (examples.labels or ())[row]

    @classmethod
    def describe_labels(cls, parts: Sequence[Examples]) -> LabelSummary | None:
        """Summarise the labels of a data file for doctor; None for names that are counted."""
        return None


def parsed_labels(examples: Examples, rules: type[LabelRules]) -> Sequence[Any]:
    """Labels as `rules.parse_labels` returns them, parsed now unless reading has done so.

    Raises:
        UserError: A label cannot be parsed.
    """
    return rules.parse_labels(examples) if examples.parsed is None else examples.parsed


def find_names(labels: Collection[Any], rules: type[LabelRules]) -> set[str]:
    """Return the label names in parsed labels."""
    # Millions of rows share a few labels.
    return {name for label in set(labels) for name in rules.names_in(label)}


def find_unknown(
    examples: Examples, known: Collection[str], rules: type[LabelRules]
) -> dict[str, list[int]]:
    """Find the label names that a model cannot answer.

    Args:
        examples: Labelled examples.
        known: The names that it can answer: those in the labels of train.
        rules: The label rules of the task.

    Returns:
        The rows, from 0, of each unknown name; names in sorted order. Empty where names are not
        those of the data.

    Raises:
        UserError: A label cannot be parsed.
    """
    labels = parsed_labels(examples, rules)
    if not rules.labels_from_data:
        return {}
    rows: dict[str, list[int]] = {}
    for name in sorted(find_names(labels, rules) - {*known}):
        rows[name] = []
    for row, label in enumerate(labels) if rows else ():
        for name in rules.names_in(label):
            if name in rows:
                rows[name].append(row)
    return rows


def refuse_unknown(examples: Examples, known: Collection[str], rules: type[LabelRules]) -> None:
    """Raise UserError for label names that a model cannot answer; arguments as `find_unknown`."""
    found = find_unknown(examples, known, rules)
    unknown = [*found]
    if unknown:
        by_key = {fold(name): name for name in known}
        pairs = [(name, by_key[fold(name)]) for name in unknown if fold(name) in by_key]
        near = [f"{name!r} is perhaps {other!r}" for name, other in pairs]
        hints = f"; {'; '.join(near[:3])}" if near else ""
        raise RowsError(
            "unknown_label",
            f"{examples.path} has {rules.noun} that the model was not trained on",
            f"{list_few(unknown)}{hints}; known are {list_few(sorted(known), 10)}; rows",
            "remove these rows, correct the names, or add such examples to train; --rare-labels"
            " drop leaves them out",
            RowsOf(examples, sorted({row for rows in found.values() for row in rows})),
        )


def refuse_pairs(examples: Examples, long_text: str) -> None:
    """Raise UserError for pairs of texts that are to be read otherwise than by their head."""
    if long_text != "head" and examples.text_pairs is not None:
        columns = examples.columns
        raise UserError(
            "of pairs of texts only the head can be read",
            f"--long-text {long_text} with the columns {columns.text!r} and"
            f" {columns.text_pair!r} of {examples.path}",
            "leave out --long-text, or give a file of single texts",
        )


class OneLabel(LabelRules):
    """Rules for labels that are one name each."""

    name: ClassVar[str] = "classify"
    one_name: ClassVar[bool] = True

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[str]:
        """Return the labels: a label is its name."""
        return examples.labels or ()

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Accept any name; those of train must differ."""
        if to_learn:
            refuse_untrainable(examples)

    @classmethod
    def strip_label(cls, label: str) -> str:
        """Remove blanks around the label."""
        return strip_blanks(label)

    @classmethod
    def write_label(cls, value: list[Any] | dict[str, Any], remarks: Counter[str]) -> str:
        """Return the one name in `["name"]` or `{"choices": ["name"]}`."""
        return one_choice(value)

    @classmethod
    def names_in(cls, label: str) -> Sequence[str]:
        """Return the label itself."""
        return (label,)

    @classmethod
    def rewrite(cls, label: str, names: Mapping[str, str | None]) -> str | None:
        """Return the new name."""
        return names[label]


def refuse_untrainable(train: Examples) -> None:
    """Raise UserError for labels of which nothing can be learnt."""
    labels = set(train.labels or ())
    if len(labels) == 1:
        raise UserError(
            "there is only one label, so there is nothing to learn",
            f"{next(iter(labels))!r} in all {len(train)} rows of {train.path}",
            "check the label column, or add examples of other labels",
        )

"""Label rules of a task: how a row's label is parsed, and which names are in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from tfpipe.data.examples import Examples
from tfpipe.data.label_values import one_choice
from tfpipe.data.near_labels import find_near_labels
from tfpipe.data.tabular import strip_blanks
from tfpipe.errors import UserError, raise_all
from tfpipe.text_display import list_few


class LabelRules(Protocol):
    """Class methods of a task that reading and splitting of data files need, without a model.

    Attributes:
        name: The task's, as on the command line.
        optional_label: Whether a row without a label is an example.
    """

    name: ClassVar[str]
    optional_label: ClassVar[bool]

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
            remarks: Counts, under a sentence that follows a number, what is read otherwise.

        Raises:
            UnreadableLabel: It is no label of the task.
        """

    @classmethod
    def names_in(cls, label: Any) -> Sequence[str]:
        """Label names in a parsed label, by which rows are counted and dev is cut; may be none."""


def parsed_labels(examples: Examples, rules: type[LabelRules]) -> Sequence[Any]:
    """Labels as `rules.parse_labels` returns them, parsed now unless reading has done so.

    Raises:
        UserError: A label cannot be parsed.
    """
    return rules.parse_labels(examples) if examples.parsed is None else examples.parsed


class OneLabel:
    """Rules for labels that are one name each."""

    name: ClassVar[str] = "classify"
    optional_label: ClassVar[bool] = False

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[str]:
        """Return the labels: a label is its name."""
        return examples.labels or ()

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Accept any name; those of train must differ and occur more than once."""
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


def refuse_untrainable(train: Examples) -> None:
    """Raise UserError for labels that cannot be learnt."""
    assert train.labels is not None
    errors: list[UserError] = []
    counts = Counter(train.labels)
    if len(counts) == 1:
        errors.append(
            UserError(
                "there is only one label, so there is nothing to learn",
                f"{next(iter(counts))!r} in all {len(train)} rows of {train.path}",
                "check the label column, or add examples of other labels",
            )
        )
    single = sorted(label for label, count in counts.items() if count == 1)
    if single and len(counts) > 1:
        near = [str(pair) for pair in find_near_labels(train.labels) if pair.rare.count == 1]
        more = f"; {near[0]}" if near else ""
        errors.append(
            UserError(
                "a label that occurs once cannot be learnt and checked",
                f"{list_few(single)} in {train.path}{more}",
                "add examples of it, merge it with another label, or remove the row",
            )
        )
    raise_all(errors)

"""Label rules of the task `multilabel`: names joined by `|`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tfpipe.data.examples import Examples
from tfpipe.data.label_values import UnreadableLabel, choices_of
from tfpipe.data.labels import LabelRules, parsed_labels
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.values import show_few
from tfpipe.errors import UserError, raise_all

SEPARATOR = "|"
WRONG_LABELS = (
    ("a label between bars is empty", lambda names: not all(names)),
    ("a row has a label twice", lambda names: len(set(names)) < len(names)),
)


class LabelSets(LabelRules):
    """Rules for labels that are any number of names each."""

    name: ClassVar[str] = "multilabel"
    optional_label: ClassVar[bool] = True

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[tuple[str, ...]]:
        """Split each label at its bars.

        Raises:
            UserError: A name is empty, or occurs twice in a row.
        """
        labels, errors = examples.labels or [], []
        # Millions of rows share a few labels: one tuple for each.
        split = {label: tuple(label.split(SEPARATOR)) if label else () for label in set(labels)}
        for wrong, is_wrong in WRONG_LABELS:
            rows = [i for i, label in enumerate(labels, 1) if is_wrong(split[label])]
            if rows:
                first = labels[rows[0] - 1]
                errors.append(
                    UserError(
                        f"{wrong}; labels are joined by {SEPARATOR!r}, which no label can hold",
                        f"{examples.path}, rows {show_few(rows)}: {first!r}",
                        f"write them as in 'sports{SEPARATOR}weather', and none as an empty field",
                    )
                )
        raise_all(errors)
        return [split[label] for label in labels]

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Refuse labels that cannot be parsed, and of train, names in all rows or none at all."""
        labels = parsed_labels(examples, cls)
        counts = Counter(name for label in labels for name in label)
        constant = sorted(name for name, count in counts.items() if count == len(labels))
        if to_learn and (constant or not counts):
            shown = ", ".join(map(repr, constant[:5])) + " in every row"
            raise UserError(
                "there is nothing to learn about a label that all texts have, or none has",
                f"{examples.path}: {shown if constant else 'no label in any row'}",
                "check the label column, or add examples of another kind",
            )

    @classmethod
    def strip_label(cls, label: str) -> str:
        """Remove blanks around the labels between the bars."""
        return SEPARATOR.join(map(strip_blanks, label.split(SEPARATOR)))

    @classmethod
    def write_label(cls, value: list[Any] | dict[str, Any], remarks: Counter[str]) -> str:
        """Join the names in `["a", "b"]` or `{"choices": ["a", "b"]}`.

        Raises:
            UnreadableLabel: The value does not hold names, or one of them holds a bar.
        """
        names = choices_of(value)
        if names is None:
            raise UnreadableLabel(
                "a label is a list or table that does not hold names", 'write ["a", "b"], or a|b'
            )
        if any(SEPARATOR in name for name in names):
            raise UnreadableLabel(
                f"a label holds {SEPARATOR!r}, by which labels are joined", "rename the label"
            )
        return SEPARATOR.join(names)

    @classmethod
    def names_in(cls, label: tuple[str, ...]) -> Sequence[str]:
        """Return the names themselves."""
        return label

    @classmethod
    def rewrite(cls, label: tuple[str, ...], names: Mapping[str, str | None]) -> str:
        """Join the new names, each once, and the others."""
        rest = (names.get(name, name) for name in label)
        return SEPARATOR.join(dict.fromkeys(name for name in rest if name is not None))

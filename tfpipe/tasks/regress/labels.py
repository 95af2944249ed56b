"""Label rules of the task `regress`: numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from tfpipe.data.examples import Examples
from tfpipe.data.label_values import choices_of, dump
from tfpipe.data.labels import LabelRules, LabelSummary, parsed_labels
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.values import show_few
from tfpipe.errors import UserError


class Numbers(LabelRules):
    """Rules for labels that are a number each."""

    name: ClassVar[str] = "regress"

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[float]:
        """Parse the labels as finite numbers; raise UserError for others."""
        labels = examples.labels or []
        numbers = [_as_number(label) for label in labels]
        wrong = [row for row, number in enumerate(numbers, 1) if number is None]
        if wrong:
            raise UserError(
                "a label is not a number",
                f"{examples.path}, rows {show_few(wrong)}: {labels[wrong[0] - 1]!r}",
                "write them as 3.5 or 1e3, without unit or thousands separator, or use another"
                " --task",
            )
        return [number for number in numbers if number is not None]

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Refuse labels that are not numbers, and of train, labels that do not differ."""
        numbers, labels = parsed_labels(examples, cls), examples.labels or ()
        if to_learn and len(set(numbers)) == 1:
            raise UserError(
                "all labels are the same number, so there is nothing to learn",
                f"{labels[0]!r} in all {len(labels)} rows of {examples.path}",
                "check the label column, or add examples with other values",
            )

    @classmethod
    def describe_labels(cls, parts: Sequence[Examples]) -> LabelSummary:
        """Return the range and the mean of the numbers."""
        numbers = [number for part in parts for number in parsed_labels(part, cls)]
        value = {"least": min(numbers), "most": max(numbers), "mean": sum(numbers) / len(numbers)}
        ends = f"from {value['least']:g} to {value['most']:g}"
        return LabelSummary(
            "labels", f"The labels lie {ends}, {value['mean']:g} on average.", value
        )

    @classmethod
    def strip_label(cls, label: str) -> str:
        """Remove blanks around the number."""
        return strip_blanks(label)

    @classmethod
    def write_label(cls, value: list[Any] | dict[str, Any], remarks: Counter[str]) -> str:
        """Return the one number in `[3.5]` or Label Studio's `{"rating": 4}`."""
        names = choices_of(value) or ()
        return names[0] if len(names) == 1 else dump(value)

    @classmethod
    def names_in(cls, label: float) -> Sequence[str]:
        """Return none: a number is not a name."""
        return ()


def _as_number(label: str) -> float | None:
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in label else None

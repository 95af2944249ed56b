"""What the values of a column without a name are: texts, labels or numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Words: what stands between spaces, or a Chinese, Japanese or Thai character.
WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]|\S+")
TEXT_WORDS = 3
FEWEST_REPEATED = 2


@dataclass(frozen=True)
class Kind:
    """The values of a column.

    Attributes:
        values: Different ones.
        rows: Number of rows that have one.
        empty: Number of rows without one.
        numbers: Whether all are numbers.
        counts: Whether they are consecutive integers, as of rows.
        words: Mean number of words.
        length: Mean number of characters.
    """

    values: frozenset[str]
    rows: int
    empty: int
    numbers: bool
    counts: bool
    words: float
    length: float

    @property
    def repeats(self) -> bool:
        """Whether few values occur again and again."""
        return self.rows >= FEWEST_REPEATED and 2 * len(self.values) <= self.rows

    @property
    def is_text(self) -> bool:
        """Whether they are texts of several words, most of them different."""
        return self.words >= TEXT_WORDS and not self.repeats

    @property
    def is_label(self) -> bool:
        """Whether they may be labels: every row has one, and several repeat or are numbers."""
        several = self.empty == 0 and len(self.values) > 1
        return several and not self.counts and (self.repeats or self.numbers)

    def fits(self, value: str) -> bool | None:
        """Return whether another value is of the same kind; None where that cannot be decided."""
        if not value:
            return None if self.empty else False
        if not self.rows:
            return None
        if self.numbers:
            return _is_number(value)
        if value in self.values:
            return True
        if self.repeats and self.empty == 0:
            return False
        words = len(WORD.findall(value))
        return False if self.is_text and words == 1 and self.words > TEXT_WORDS else None


def kind_of(values: Sequence[str]) -> Kind:
    """Return the kind of a column's values."""
    filled = [value.strip() for value in values if value.strip()]
    rows = max(1, len(filled))
    numbers = bool(filled) and all(map(_is_number, filled))
    return Kind(
        frozenset(filled),
        len(filled),
        len(values) - len(filled),
        numbers,
        numbers and len(filled) > 2 and _are_consecutive(filled),
        sum(len(WORD.findall(value)) for value in filled) / rows,
        sum(map(len, filled)) / rows,
    )


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return value.lower().strip("+-") not in ("nan", "inf", "infinity")


def _are_consecutive(values: Sequence[str]) -> bool:
    if not all(value.isdecimal() for value in values):
        return False
    numbers = [*map(int, values)]
    return all(b - a == 1 for a, b in zip(numbers, numbers[1:], strict=False))

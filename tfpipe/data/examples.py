"""Examples in memory: texts or pairs of texts, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Columns:
    """Names of the columns; None is found by name."""

    text: str | None = None
    text_pair: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Examples:
    """N texts, or N pairs of texts, with their labels where the file has them.

    Attributes:
        texts: The texts, or the first of each pair.
        text_pairs: The second text of each pair; None for single texts.
        labels: As the file writes them; None where it has none.
        path: The file, for messages.
        columns: The names of the columns that were read.
        stripped: Labels of the file from which blanks were removed, 0 for a selection of its rows.
        parsed: The labels as the task works with them, see `tfpipe.data.labels.parsed_labels`;
            None where they have not been parsed.
    """

    texts: Sequence[str]
    text_pairs: Sequence[str] | None
    labels: Sequence[str] | None
    path: str
    columns: Columns
    stripped: int = 0
    parsed: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Examples:
        """Select rows, in this order."""

        def pick(column: Sequence[T] | None) -> list[T] | None:
            return None if column is None else [column[row] for row in rows]

        texts = [self.texts[row] for row in rows]
        pairs, labels, parsed = pick(self.text_pairs), pick(self.labels), pick(self.parsed)
        return Examples(texts, pairs, labels, self.path, self.columns, parsed=parsed)

    def joined(self) -> Sequence[str]:
        """Return one string an example, pairs with ` | ` between: for tables and reports."""
        if self.text_pairs is None:
            return self.texts
        return [f"{a} | {b}" for a, b in zip(self.texts, self.text_pairs, strict=True)]

"""Examples in memory: texts or pairs of texts, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """Names of the columns; None is found by name."""

    text: str | None = None
    text_pair: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Examples:
    """N texts, or N pairs of texts, with their labels where the file has them.

    stripped: labels of the file from which blanks were removed, 0 for a selection of its rows.
    """

    texts: Sequence[str]
    text_pairs: Sequence[str] | None
    labels: Sequence[str] | None
    path: str
    columns: Columns
    stripped: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Examples:
        """The examples of these rows, in this order."""

        def pick(column: Sequence[str] | None) -> list[str] | None:
            return None if column is None else [column[row] for row in rows]

        texts = [self.texts[row] for row in rows]
        return Examples(texts, pick(self.text_pairs), pick(self.labels), self.path, self.columns)

    def joined(self) -> Sequence[str]:
        """One string an example, pairs with ` | ` between: for tables and reports."""
        if self.text_pairs is None:
            return self.texts
        return [f"{a} | {b}" for a, b in zip(self.texts, self.text_pairs, strict=True)]

"""Rows that annotators did not accept, which no benchmark and no training counts as examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfpipe.data.column_names import fold_name
from tfpipe.data.columns import is_prodigy
from tfpipe.data.examples import Columns

SNLI_PAIRS = {("sentence1", "sentence2"), ("premise", "hypothesis")}


@dataclass
class LeftOut:
    """The rows that are left out, by the values of one column.

    Attributes:
        place: Of the column.
        values: Those that leave a row out.
        reason: Of which rows, said behind their number and the file.
        count: The rows found so far.
    """

    place: int
    values: frozenset[str]
    reason: str
    count: int = 0

    def holds(self, row: Sequence[Any]) -> bool:
        """Return whether a row is left out, and count it."""
        value = row[self.place]
        found = isinstance(value, str) and value.strip() in self.values
        self.count += found
        return found

    def sentence(self, path: str) -> str:
        """Return how many rows of a file were left out and why, without a full stop."""
        rows, are = ("row", "is") if self.count == 1 else ("rows", "are")
        return f"{self.count:,} {rows} of {path} {are} {self.reason}, and left out"


def find_left_out(
    header: Sequence[str], sample: Sequence[Sequence[Any]], found: Columns
) -> LeftOut | None:
    """Return which rows are left out: those rejected in Prodigy, and those of SNLI without gold.

    Args:
        header: The names of the columns.
        sample: The first rows.
        found: The columns that are read.
    """
    if is_prodigy(header, sample) and found.label != "answer":
        values = frozenset(("reject", "ignore"))
        return LeftOut(header.index("answer"), values, "rejected or ignored in Prodigy")
    texts = (fold_name(found.text or ""), fold_name(found.text_pair or ""))
    if found.label and fold_name(found.label) == "goldlabel" and texts in SNLI_PAIRS:
        reason = "without a gold label ('-', as annotators did not agree)"
        return LeftOut(header.index(found.label), frozenset("-"), reason)
    return None

"""Examples in memory: texts or pairs of texts, with their labels."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Columns:
    """What is read of a file: the names of its columns, and how their values are taken.

    Attributes:
        text: Name of the column of the text, or of the first of a pair.
        text_pair: Of the second text. None, here and for the others, is found by name.
        label: Of the label.
        header: Whether the file's first row has the names; None is found by its content.
        offsets: What the places of entities in labels count, see `offset_units`.
        rare_labels: What becomes of labels that train or the other files lack, see `rare_labels`.
    """

    text: str | None = None
    text_pair: str | None = None
    label: str | None = None
    header: bool | None = None
    offsets: str = "characters"
    rare_labels: str = "error"

    @classmethod
    def of(cls, settings: Any) -> Columns:
        """Return the columns that the fields of a configuration name."""
        known = {field.name for field in fields(cls)} & {*vars(settings)}
        return cls(**{name: getattr(settings, name) for name in known})

    @property
    def names(self) -> dict[str, str | None]:
        """The names by role."""
        return {"text": self.text, "text_pair": self.text_pair, "label": self.label}


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
        decisions: How the file was read where that is not evident: sentences without a full stop;
            none for a selection of its rows.
        lines: The line of the file, counted from 1, at which each example begins; None where a
            file has no lines, as parquet.
        rows: The row of a spreadsheet that opens the file, counted from 1 with the header, or of a
            parquet file the row; None for files that are no tables.
    """

    texts: Sequence[str]
    text_pairs: Sequence[str] | None
    labels: Sequence[str] | None
    path: str
    columns: Columns
    stripped: int = 0
    parsed: Sequence[Any] | None = None
    decisions: Sequence[str] = ()
    lines: Sequence[int] | None = None
    rows: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> Examples:
        """Select rows, in this order."""

        def pick(column: Sequence[T] | None) -> list[T] | None:
            return None if column is None else [column[row] for row in rows]

        texts = [self.texts[row] for row in rows]
        pairs, labels, parsed = pick(self.text_pairs), pick(self.labels), pick(self.parsed)
        lines, numbers = (
            None if values is None else array("q", (values[row] for row in rows))
            for values in (self.lines, self.rows)
        )
        return Examples(
            *(texts, pairs, labels, self.path, self.columns),
            parsed=parsed,
            lines=lines,
            rows=numbers,
        )

    def without(self, rows: Collection[int]) -> Examples:
        """Return the other rows, with what is known about the file."""
        rest = self.take([row for row in range(len(self)) if row not in rows])
        return replace(rest, stripped=self.stripped, decisions=self.decisions)

    def joined(self) -> Sequence[str]:
        """Return one string an example, pairs with ` | ` between: for tables and reports."""
        if self.text_pairs is None:
            return self.texts
        return [f"{a} | {b}" for a, b in zip(self.texts, self.text_pairs, strict=True)]

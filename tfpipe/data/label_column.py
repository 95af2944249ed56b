"""The label column of a data file: values to labels, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tfpipe.data.examples import Examples
from tfpipe.data.label_values import UnreadableLabel, dump, is_dump, parse_literal
from tfpipe.data.labels import LabelRules
from tfpipe.data.row_errors import SHOWN, RowsError, RowsOf, in_several
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.values import as_text
from tfpipe.errors import UserError


@dataclass
class _Fault:
    """Rows whose values are no labels, for one reason, and the first of these values."""

    error: UnreadableLabel
    rows: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


class LabelColumn:
    """Reads labels, and keeps one string for all equal ones: millions of rows share a few.

    Args:
        rules: The label rules of the task; None leaves lists and tables as JSON.
        needed: Whether rows without a label are counted as missing one.

    Attributes:
        missing: Numbers of the rows without a label.
        stripped: Labels that had blanks around them.
        remarks: Numbers of labels that were read otherwise than written, by how.
    """

    def __init__(self, rules: type[LabelRules] | None, needed: bool):
        self._rules, self._needed = rules, needed
        self._strip = rules.strip_label if rules else strip_blanks
        self._label_of: dict[str, str] = {}
        self._faults: dict[str, _Fault] = {}
        self.missing: list[int] = []
        self.stripped = 0
        self.remarks = Counter[str]()

    def read(self, value: Any, number: int) -> str:
        """Return the label of a row; "" for a missing one.

        Args:
            value: As the file holds it.
            number: The row's, from 0.

        Raises:
            TypeError, UnicodeError: The value is no text.
        """
        try:
            written = self._write(value)
        except UnreadableLabel as error:
            fault = self._faults.setdefault(error.wrong, _Fault(error))
            fault.rows.append(number)
            if len(fault.values) < SHOWN:
                fault.values.append(str(value)[:80])
            return ""
        if written not in self._label_of:
            stripped = self._strip(written)
            self._label_of[written] = self._label_of.setdefault(stripped, stripped)
        label = self._label_of[written]
        if self._needed and label.lower() in ("", "nan"):
            self.missing.append(number)
            return ""
        self.stripped += bool(label) and label != written
        return label

    def _write(self, value: Any) -> str:
        """Return a value as a label is written in a table; raises UnreadableLabel."""
        parsed = parse_literal(value) if isinstance(value, str) else value
        if not isinstance(parsed, list | dict):
            return as_text(value) or ""
        if self._rules is None:
            return as_text(value if isinstance(value, str) else dump(value)) or ""
        label = self._rules.write_label(parsed, self.remarks)
        # As the file has it, unless that is another form.
        unchanged = isinstance(value, str) and label == dump(parsed) and is_dump(value, parsed)
        return as_text(value if unchanged else label) or ""

    def errors(self, examples: Examples, optional: bool) -> list[UserError]:
        """Return what is wrong with the labels that were read.

        Args:
            examples: The examples with these labels.
            optional: Whether rows may have no label.
        """
        column, rows = f"{examples.path}, column {examples.columns.label!r}", len(examples)
        errors: list[UserError] = [
            RowsError(
                *("bad_label", f"{fault.error.wrong}{in_several(len(fault.rows), rows)}", column),
                *(fault.error.fix, RowsOf(examples, fault.rows, fault.values)),
            )
            for fault in self._faults.values()
        ]
        if self.missing and not optional:
            errors.append(
                RowsError(
                    "missing_label",
                    f"{len(self.missing):,} of {rows:,} rows have no label",
                    f"{column}, empty or NaN",
                    "fill in the labels or remove these rows",
                    RowsOf(examples, self.missing),
                )
            )
        return errors

    def sentences(self, path: str) -> Sequence[str]:
        """Return how labels were read otherwise than written, as sentences without a full stop."""
        return [f"{path}: {remark}: {count:,}" for remark, count in self.remarks.items()]

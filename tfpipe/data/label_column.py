"""The label column of a data file: values to labels, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tfpipe.data.label_values import UnreadableLabel, dump, is_dump, parse_literal
from tfpipe.data.labels import LabelRules
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.values import as_text, show_few
from tfpipe.errors import UserError


@dataclass
class _Fault:
    """Rows whose values are no labels, for one reason."""

    error: UnreadableLabel
    first: Any
    rows: list[int] = field(default_factory=list)


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
            number: The row's.

        Raises:
            TypeError, UnicodeError: The value is no text.
        """
        try:
            written = self._write(value)
        except UnreadableLabel as error:
            fault = self._faults.setdefault(error.wrong, _Fault(error, value))
            fault.rows.append(number)
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

    def errors(self, path: str, name: str, rows: int, optional: bool) -> list[UserError]:
        """Return what is wrong with the labels that were read.

        Args:
            path: The file.
            name: The column.
            rows: The number of rows.
            optional: Whether rows may have no label.
        """
        errors = [
            UserError(
                f"{fault.error.wrong}, in {len(fault.rows):,} of {rows:,} rows",
                f"{path}, column {name!r}, rows {show_few(fault.rows)}: {str(fault.first)[:80]}",
                fault.error.fix,
            )
            for fault in self._faults.values()
        ]
        if self.missing and not optional:
            errors.append(
                UserError(
                    f"{len(self.missing)} of {rows} rows have no label",
                    f"{path}: empty or NaN in column {name!r}, rows {show_few(self.missing)}",
                    "fill in the labels or remove these rows",
                )
            )
        return errors

    def sentences(self, path: str) -> Sequence[str]:
        """Return how labels were read otherwise than written, as sentences without a full stop."""
        return [f"{path}: {count:,} {remark}" for remark, count in self.remarks.items()]

"""Parsing of labels row by row, so that the rows whose labels cannot be parsed are known."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules
from tfpipe.data.row_errors import RowsError, RowsOf, in_several
from tfpipe.errors import UserError

# How an error names the one row that was parsed alone, before what it says of it.
ALONE = re.compile(r".*?\brows? 1(?:: |$)", re.DOTALL)
NAMES_ROW = re.compile(r"\brows? \d")


@dataclass
class _Kind:
    """Rows with one kind of error."""

    error: UserError
    rows: list[int] = field(default_factory=list)
    details: list[str] = field(default_factory=list)


def parse_rows(examples: Examples, rules: type[LabelRules], faults: list[UserError]) -> Examples:
    """Return examples with parsed and checked labels.

    Args:
        examples: Labelled examples.
        rules: The label rules of the task.
        faults: Where an error is added for each kind of row whose label the task refuses; such rows
            are left out.

    Raises:
        UserError: The error is not one of single rows, or all rows have it.
    """
    try:
        return _parse(examples, rules)
    except UserError as error:
        whole = error
    kinds: dict[str, _Kind] = {}
    wrong: set[int] = set()
    for row in range(len(examples)) if NAMES_ROW.search(str(whole)) else ():
        try:
            _parse(examples.take([row]), rules)
        except UserError as error:
            wrong.add(row)
            for one in getattr(error, "errors", [error]):
                kind = kinds.setdefault(one.wrong, _Kind(one))
                kind.rows.append(row)
                kind.details.append(ALONE.sub("", one.found, count=1))
    if not wrong or len(wrong) == len(examples):
        raise whole
    for name, kind in kinds.items():
        several = in_several(len(kind.rows), len(examples))
        of = RowsOf(examples, kind.rows, kind.details)
        fix = kind.error.fix
        faults.append(RowsError("bad_label", f"{name}{several}", examples.path, fix, of))
    return _parse(examples.without(wrong), rules)


def _parse(examples: Examples, rules: type[LabelRules]) -> Examples:
    parsed = replace(examples, parsed=rules.parse_labels(examples))
    rules.check(parsed, to_learn=False)
    return parsed

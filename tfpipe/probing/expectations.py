"""A file of expectations: a text, the same changed, and what the answer is then to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfpipe.data.table_rows import read_table
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.predicting.answer_texts import answer_texts, names_of
from tfpipe.predicting.predictor import Predictor
from tfpipe.report.sections import ExpectationRow

COLUMNS = ("text", "changed", "expect")
SAME, DIFFER = "same", "differ"


@dataclass(frozen=True)
class Expectation:
    """A row of the file.

    Attributes:
        text: A text.
        changed: The text, changed.
        expect: `same`, `differ`, or the label that `changed` is to get.
    """

    text: str
    changed: str
    expect: str


def read_expectations(path: str, label_names: Sequence[str]) -> list[Expectation]:
    """Read the file; raises UserError, for all that is wrong together."""
    table = read_table(path)
    missing = [name for name in COLUMNS if name not in table.header]
    if missing:
        raise UserError(
            f"the file of expectations lacks the column {missing[0]}",
            f"{path} has {', '.join(table.header)}",
            f"give the columns {', '.join(COLUMNS)}",
        )
    columns = [table.column(name) for name in COLUMNS]
    found = [Expectation(*row) for row in zip(*columns, strict=True)]
    errors: list[UserError] = []
    empty = [row for row, one in enumerate(found) if not (one.text and one.changed)]
    if empty:
        errors.append(table.error("texts of expectations are empty", empty, "remove these rows"))
    known = (SAME, DIFFER, *label_names)
    unknown = [row for row, one in enumerate(found) if one.expect not in known]
    if unknown:
        first = found[unknown[0]].expect
        fix = f"{did_you_mean(first, known)}write {SAME}, {DIFFER}, or a label of the model"
        errors.append(table.error(f"{first!r} cannot be expected", unknown, fix))
    raise_all(errors)
    return found


def find_failures(
    predictor: Predictor, expectations: Sequence[Expectation]
) -> list[ExpectationRow]:
    """Return the expectations that a model does not meet, in their order."""
    before, after = (
        names_of(predictor, answer_texts(predictor, texts))
        for texts in zip(*[(one.text, one.changed) for one in expectations], strict=True)
    )
    return [
        ExpectationRow(one.text, one.changed, one.expect, own, new)
        for one, own, new in zip(expectations, before, after, strict=True)
        if not is_met(one.expect, own, new)
    ]


def is_met(expect: str, answer: str, changed_answer: str) -> bool:
    """Return whether the answers to a text and to the changed text are as expected."""
    if expect in (SAME, DIFFER):
        return (answer == changed_answer) == (expect == SAME)
    return changed_answer == expect

"""Columns of a data file by their names: texts, pairs of texts and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfpipe.data.column_names import (
    LABEL_COLUMNS,
    LAST_TEXT_COLUMNS,
    PAIRS,
    TEXT_COLUMNS,
    TOKEN_COLUMNS,
    find_name,
    fold_name,
    is_unnamed,
)
from tfpipe.data.examples import Columns
from tfpipe.data.formats.header import show_first_row
from tfpipe.data.rows import Rows
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.tasks import TASKS
from tfpipe.tasks.spec import TaskSpec

# Columns of Label Studio's tables beside the data and the labels.
LABEL_STUDIO = ("annotation_id", "annotator", "lead_time", "created_at", "updated_at", "id")
PRODIGY_ANSWERS = {"accept", "reject", "ignore"}


def find_columns(
    opened: Rows,
    path: Path,
    asked: Columns,
    labelled: bool | None,
    spec: TaskSpec | None = None,
    sample: Sequence[Sequence[Any]] = (),
) -> Columns:
    """Find the columns to read: those given by the user, the others by their usual names.

    Args:
        opened: The open file.
        path: The file, for messages.
        asked: Names given by the user.
        labelled: Whether a label column is needed; None reads none.
        spec: The task that the columns are for; None for any.
        sample: The first rows, by which columns of annotation tools are distinguished from others.

    Raises:
        UserError: All errors of the columns at once.
    """
    table = _Table(opened.header, sample)
    text, text_pair = _find_texts(table, asked, spec)
    label = asked.label
    if labelled is not None and label is None:
        label = _find_label(table, spec, (text, text_pair))
    roles = [("text", text, True, TEXT_COLUMNS), ("text_pair", text_pair, False, ())]
    if labelled is not None:
        roles.append(("label", label, labelled, LABEL_COLUMNS))
    errors = [
        error
        for role, name, needed, usual in roles
        if name is not None or needed
        for error in _column_errors(opened, path, role, name, usual)
    ]
    label = None if labelled is None else label
    chosen = [name for name in (text, text_pair, label) if name is not None]
    if len(set(chosen)) < len(chosen) and not errors:
        errors.append(
            UserError(
                f"one column of {path} is to be both text and label, or both texts",
                f"text {text!r}, text_pair {text_pair!r}, label {label!r}",
                "name other columns with --text, --text-pair and --label",
            )
        )
    raise_all(errors)
    return Columns(text, text_pair, label, asked.header)


class _Table(NamedTuple):
    header: Sequence[str]
    sample: Sequence[Sequence[Any]]

    def values(self, name: str) -> list[Any]:
        """The values of a column in the first rows."""
        place = self.header.index(name)
        return [row[place] for row in self.sample]

    def without(self, *names: str | None) -> list[str]:
        """The names of the other columns."""
        return [name for name in self.header if name not in names]


def _find_texts(
    table: _Table, asked: Columns, spec: TaskSpec | None
) -> tuple[str | None, str | None]:
    """Return the columns of the texts, None for those that are missing."""
    free = table.without(asked.text_pair, asked.label)
    first, second = asked.text, asked.text_pair
    if second is None and (spec is None or spec.pairs != "never"):
        first, second = _find_pair(table, free, asked.text, spec)
    usual = (*TEXT_COLUMNS, *LAST_TEXT_COLUMNS, *TOKEN_COLUMNS)
    return first or asked.text or find_name(free, usual) or find_name(table.header, usual), second


def _find_pair(
    table: _Table, free: Sequence[str], asked: str | None, spec: TaskSpec | None
) -> tuple[str | None, str | None]:
    """Return the two columns of the first known pair, of which a text that is asked for is one."""
    by_key = {fold_name(name): name for name in reversed(free)}
    if asked is not None:
        by_key[fold_name(asked)] = asked
    labels = {fold_name(name) for name in (spec.label_columns if spec else ())}
    if is_prodigy(table.header, table.sample):
        labels.add("answer")
    # One column with the plainest name of all is the text, whatever is beside it.
    alone = "text" in by_key and not (spec and spec.pairs == "needed")
    for names in PAIRS:
        one, other = map(fold_name, names)
        if one not in by_key or other not in by_key or other in labels:
            continue
        if asked == by_key[one] or (asked is None and (one == "text" or not alone)):
            return by_key[one], by_key[other]
    return None, None


def _find_label(table: _Table, spec: TaskSpec | None, texts: Sequence[str | None]) -> str | None:
    free = table.without(*texts)
    if is_prodigy(table.header, table.sample):
        # The choices of Prodigy's annotators are in `accept`, `answer` is about the whole row.
        free = [name for name in free if name != "answer"]
        if "accept" in free:
            return "accept"
    if spec is not None:
        found = find_name(free, (*LABEL_COLUMNS, *spec.label_columns))
    else:
        special = [name for one in TASKS.values() for name in one.label_columns]
        marked = [name for name in free if any(map(is_json, table.values(name)))]
        found = find_name(free, LABEL_COLUMNS) or find_name(marked, special)
    found = found or _label_studio_control(table, free)
    return found or find_name(table.header, LABEL_COLUMNS)


def _label_studio_control(table: _Table, free: Sequence[str]) -> str | None:
    """Return the column of a table of Label Studio that alone can hold the labels."""
    if not {"annotation_id", "lead_time"} <= set(table.header):
        return None
    others = [name for name in free if name not in LABEL_STUDIO]
    marked = [name for name in others if any(map(is_json, table.values(name)))]
    return next((names[0] for names in (others, marked) if len(names) == 1), None)


def is_prodigy(header: Sequence[str], sample: Sequence[Sequence[Any]]) -> bool:
    """Return whether the column `answer` holds Prodigy's decisions on the rows."""
    if "answer" not in header:
        return False
    place = header.index("answer")
    answers = {row[place] for row in sample if isinstance(row[place], str)}
    return bool(answers) and answers <= PRODIGY_ANSWERS


def is_json(value: Any) -> bool:
    """Return whether a value is a list or table, or looks like one in JSON."""
    return isinstance(value, list | dict) or (
        isinstance(value, str) and value.lstrip()[:1] in ("[", "{")
    )


def _column_errors(
    opened: Rows, path: Path, role: str, name: str | None, usual: Sequence[str]
) -> Iterator[UserError]:
    """Yield what is wrong with the column of a role; no name: none of the usual ones was found."""
    header = opened.header
    named = [column for column in header if not is_unnamed(column)]
    found = f"columns {', '.join(map(repr, named[:20])) or 'none'}"
    flag = "--" + role.replace("_", "-")
    if opened.first_row is not None:
        found = f"no header, first row: {show_first_row(opened.first_row)}"
    if name is None and opened.first_row is not None:
        wrong = f"which column of {path} is the {role} is not evident"
        fix = f"name it by its number, as in {flag} {len(header)}, or add --header if the first row"
        yield UserError(wrong, found, f"{fix} has the names of the columns")
    elif name is None:
        wrong = f"no {role} column was found in {path}"
        fix = f"name it with {flag}, or call it {' or '.join(usual[:2])}"
        if opened.may_lack_header:
            fix += "; if the first row is data, add --no-header"
        yield UserError(wrong, found, fix)
    elif name not in header:
        fix = f"{did_you_mean(name, header)}name the {role} column with {flag}"
        yield UserError(f"{path} has no column {name!r}", found, fix)
    elif header.count(name) > 1:
        wrong = f"{path} has {header.count(name)} columns {name!r}"
        yield UserError(wrong, found, f"rename one, or name another {role} column with {flag}")

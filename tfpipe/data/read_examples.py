"""Data files to examples: columns by name or found, missing values refused."""

from __future__ import annotations

from pathlib import Path

from tfpipe.data.columns import find_columns
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.label_column import LabelColumn
from tfpipe.data.labels import LabelRules
from tfpipe.data.left_out import LeftOut, find_left_out
from tfpipe.data.picked import Picked, other_widths, places_of
from tfpipe.data.row_errors import without_rows
from tfpipe.data.rows import Trace, hold_rows
from tfpipe.data.tabular import open_rows, split_ending
from tfpipe.data.token_columns import find_token_columns, read_tagged_rows
from tfpipe.data.unread_columns import note_unread
from tfpipe.errors import UserError, raise_all
from tfpipe.tasks import TASKS
from tfpipe.tasks.spec import TaskSpec


def read_examples(
    path: str | Path,
    columns: Columns,
    labelled: bool = True,
    optional_label: bool = False,
    rules: type[LabelRules] | None = None,
    faults: list[UserError] | None = None,
) -> Examples:
    """Read a data file.

    Args:
        path: The file.
        columns: Names given by the user; those that are None are found by name.
        labelled: Whether a label column is needed.
        optional_label: Whether a row may have an empty label.
        rules: The label rules of the task that the file is for; None for any.
        faults: Where errors of single rows are added, which are then left out; None raises them.

    Raises:
        UserError: The file is missing or unreadable, has no rows, lacks a column, has rows of
            another width, missing values or labels that are not of the task.
    """
    path = Path(path)
    if marked := task_of_format(path):
        return _read_marked(path, marked, columns, labelled)
    spec = TASKS[rules.name] if rules else None
    trace = Trace(other_width=[])
    opened, sample = hold_rows(open_rows(path, columns=columns, trace=trace))
    tagged = find_token_columns(opened.header, sample, columns)
    if tagged and (spec is None or spec.reads_tokens):
        return read_tagged_rows(path, opened, tagged)
    found = find_columns(opened, path, columns, labelled, spec, sample)
    left_out = find_left_out(opened.header, sample, found)
    labels = LabelColumn(rules, labelled)
    picked = Picked()
    picked.read(opened, found, labels, left_out)
    errors = [other_widths(path, opened, trace)] if trace.other_width else []
    if not picked.columns[0]:
        raise errors[0] if errors else _no_rows(path, left_out)
    decisions = [*opened.decisions, *labels.sentences(str(path))]
    if left_out and left_out.count:
        decisions.append(left_out.sentence(str(path)))
    decisions += note_unread(path, opened.header, sample, found, columns, spec)
    texts, text_pairs, written = picked.columns
    lines, rows = places_of(picked, trace, opened)
    examples = Examples(
        *(texts, text_pairs if found.text_pair else None, written if found.label else None),
        *(str(path), found, labels.stripped),
        decisions=decisions,
        lines=lines,
        rows=rows,
    )
    errors += [*picked.errors(examples), *labels.errors(examples, optional_label)]
    if faults is None:
        raise_all(errors)
        return examples
    faults.extend(errors)
    return without_rows(examples, errors)


def _no_rows(path: Path, left_out: LeftOut | None) -> UserError:
    if left_out and left_out.count:
        return UserError(
            "no row of the data file is left", left_out.sentence(str(path)), "accept some rows"
        )
    return UserError("the data file has a header and no rows", str(path), "add one example a line")


def task_of_format(path: Path) -> TaskSpec | None:
    """Return the task whose own format a file has; None for files with columns.

    Raises:
        UserError: The file's ending does not say which, and it cannot be read.
    """
    ending = split_ending(path)[0]
    for spec in TASKS.values():
        if spec.file_format and ending in spec.file_format.endings:
            is_other = spec.file_format.is_other
            return None if is_other and is_other.load()(path) else spec
    return None


def _read_marked(path: Path, spec: TaskSpec, columns: Columns, labelled: bool) -> Examples:
    """Read a file without columns, in the format of one task."""
    assert spec.file_format is not None
    given = {f"--{name.replace('_', '-')}": value for name, value in columns.names.items()}
    named = [f"{flag} {value}" for flag, value in given.items() if value is not None]
    if named:
        raise UserError(
            "a file of this format has no columns to name",
            f"{path} with {', '.join(named)}",
            "leave these out",
        )
    examples: Examples = spec.file_format.read.load()(path, labelled)
    return examples

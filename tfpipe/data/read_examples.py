"""Data files to examples: columns by name or found, missing values refused."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.formats.header import show_first_row
from tfpipe.data.rows import Rows
from tfpipe.data.tabular import open_rows, split_ending, strip_blanks
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.tasks import TASKS
from tfpipe.tasks.spec import TaskSpec

# In the order in which they are looked for when no column is named.
TEXT_COLUMNS = (
    *("text", "sentence", "text_a", "sentence1", "message", "utterance", "query"),
    "question",
)
PAIR_COLUMNS = {
    "text_a": "text_b",
    "sentence1": "sentence2",
    "text": "text_pair",
    "question": "context",
}
LABEL_COLUMNS = ("label", "category", "intent", "class")


def read_examples(
    path: str | Path,
    columns: Columns,
    labelled: bool = True,
    optional_label: bool = False,
    strip_label: Callable[[str], str] = strip_blanks,
) -> Examples:
    """Read a data file.

    Args:
        path: The file.
        columns: Names given by the user; those that are None are found by name.
        labelled: Whether a label column is needed.
        optional_label: Whether a row may have an empty label.
        strip_label: Removes the blanks that are not part of a label.

    Raises:
        UserError: The file is missing or unreadable, has no rows, lacks a column, has rows of
            another width or missing values.
    """
    path = Path(path)
    if spec := task_of_format(path):
        return _read_marked(path, spec, columns, labelled)
    opened = open_rows(path, columns=columns)
    header, lines = opened.header, array("q")
    found = find_columns(opened, path, columns, labelled)
    names = [name for name in (found.text, found.text_pair, found.label) if name is not None]
    picked: list[list[str]] = [[] for _ in names]
    places = [header.index(name) for name in names]
    labels = _LabelColumn(strip_label)
    for number, row in enumerate(opened.rows, start=1):
        lines.append(opened.line() or 0)
        try:
            values = [as_text(row[place]) for place in places]
        except (TypeError, UnicodeError) as error:
            raise UserError(
                "a value is not text", f"{path}, row {number}: {error}", "mend or remove the row"
            ) from None
        if found.label is not None:
            values[-1] = labels.read(values[-1] or "", number if labelled else None)
        for column, value in zip(picked, values, strict=True):
            column.append(value or "")
    if not picked[0]:
        raise UserError(
            "the data file has a header and no rows", str(path), "add one example a line"
        )
    if labels.missing and not optional_label:
        raise UserError(
            f"{len(labels.missing)} of {len(picked[0])} rows have no label",
            f"{path}: empty or NaN in column {found.label!r}, rows {show_few(labels.missing)}",
            "fill in the labels or remove these rows",
        )
    by_name = dict(zip(names, picked, strict=True))
    return Examples(
        by_name[found.text or ""],
        by_name.get(found.text_pair or ""),
        by_name.get(found.label or ""),
        str(path),
        found,
        labels.stripped,
        decisions=opened.decisions,
        lines=lines if opened.line() else None,
    )


class _LabelColumn:
    """Strips labels, and keeps one string for all equal ones: millions of rows share a few.

    Attributes:
        missing: Numbers of the rows without a label.
        stripped: Labels that had blanks around them.
    """

    def __init__(self, strip_label: Callable[[str], str]):
        self._strip = strip_label
        self._label_of: dict[str, str] = {}
        self.missing: list[int] = []
        self.stripped = 0

    def read(self, written: str, number: int | None) -> str:
        """Return the label; "" for a missing one, where `number`, the row's, is given."""
        if written not in self._label_of:
            stripped = self._strip(written)
            self._label_of[written] = self._label_of.setdefault(stripped, stripped)
        label = self._label_of[written]
        if number is not None and label.lower() in ("", "nan"):
            self.missing.append(number)
            return ""
        self.stripped += bool(label) and label != written
        return label


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
    given = {f"--{role.replace('_', '-')}": name for role, name in columns.names.items()}
    named = [f"{flag} {value}" for flag, value in given.items() if value is not None]
    if named:
        raise UserError(
            "a file of this format has no columns to name",
            f"{path} with {', '.join(named)}",
            "leave these out",
        )
    examples: Examples = spec.file_format.read.load()(path, labelled)
    return examples


def show_few(numbers: Sequence[int]) -> str:
    """List the first five numbers, and how many more there are."""
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return ", ".join(map(str, numbers[:5])) + more


def as_text(value: Any) -> str | None:
    """Convert a value to text; None for a missing one (null, or NaN as pandas writes it).

    Raises:
        TypeError: The value is a list or a table.
        UnicodeError: It is not valid Unicode.
    """
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        raise TypeError(f"a {type(value).__name__}, {str(value)[:60]}")
    if isinstance(value, bytes):
        return value.decode("utf-8")
    text = value if isinstance(value, str) else str(value)
    if not text.isascii():
        text.encode("utf-8")  # half of a surrogate pair, as JSON can spell it, is no character
    return text


def _column_errors(
    opened: Rows, path: Path, role: str, name: str | None, usual: Sequence[str]
) -> Iterator[UserError]:
    """Yield what is wrong with the column of a role; no name: none of the usual ones was found."""
    header = opened.header
    found = f"columns {', '.join(map(repr, header[:20])) or 'none'}"
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


def find_columns(opened: Rows, path: Path, asked: Columns, labelled: bool | None) -> Columns:
    """Find the columns to read: those given by the user, the others by their usual names.

    Args:
        opened: The open file.
        path: The file, for messages.
        asked: Names given by the user.
        labelled: Whether a label column is needed; None reads none.

    Raises:
        UserError: All errors of the columns at once.
    """
    errors: list[UserError] = []
    header = opened.header

    def choose(role: str, name: str | None, usual: Sequence[str], needed: bool) -> str | None:
        if name is None:
            name = next((h for n in usual for h in header if h.lower() == n), None)
        if name is not None or needed:
            errors.extend(_column_errors(opened, path, role, name, usual))
        return name

    text = choose("text", asked.text, TEXT_COLUMNS, needed=True)
    pair = PAIR_COLUMNS.get((text or "").lower())
    text_pair = choose("text_pair", asked.text_pair, (pair,) if pair else (), needed=False)
    label = None
    if labelled is not None:
        label = choose("label", asked.label, LABEL_COLUMNS, needed=labelled)
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

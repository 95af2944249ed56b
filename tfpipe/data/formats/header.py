"""Whether the first row of a table has the names of its columns, and names where it has not."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfpipe.data.column_names import (
    LABEL_COLUMNS,
    LAST_TEXT_COLUMNS,
    PAIRS,
    TEXT_COLUMNS,
    TOKEN_COLUMNS,
    fold_name,
)
from tfpipe.data.examples import Columns
from tfpipe.data.formats.column_kinds import Kind, kind_of
from tfpipe.errors import UserError

# What is no text and no label, and may be the only usual name of a header.
OTHER_NAMES = (
    *(
        "id",
        "idx",
        "index",
        "uid",
        "guid",
        "source",
        "channel",
        "lang",
        "language",
        "date",
        "split",
    ),
    *("score", "rating", "stars", "编号", "序号", "来源"),
)
PAIRED = tuple(name for pair in PAIRS for name in pair)
USUAL_NAMES = {
    *map(fold_name, (*TEXT_COLUMNS, *LAST_TEXT_COLUMNS, *TOKEN_COLUMNS, *PAIRED)),
    *map(fold_name, (*LABEL_COLUMNS, *OTHER_NAMES)),
}
SAMPLE = 1000
SHOWN = 40
TAG = re.compile(r"O|[BIESLUM]-\S+")


class Table(NamedTuple):
    """A table without its header.

    Attributes:
        header: The names of the columns.
        rows: The rows, of any width, with the lines where they begin.
        decisions: How it was read where that is not evident.
        first_row: Of a file without a header, for messages; None with one.
        may_lack_header: Whether the header was taken from a first row that might be data.
    """

    header: list[str]
    rows: Iterator[tuple[int, Sequence[Any]]]
    decisions: list[str]
    first_row: list[str] | None = None
    may_lack_header: bool = False


def split_header(
    path: Path, numbered: Iterable[tuple[int, Sequence[Any]]], columns: Columns
) -> Table:
    """Separate the header from the rows after it; blank lines are passed over.

    Args:
        path: The file, for messages.
        numbered: The rows, with the lines where they begin.
        columns: Names given by the user, and whether there is a header.

    Raises:
        UserError: The file holds tags of tokens.
    """
    rows = iter(numbered)
    line, first = next(((n, row) for n, row in rows if "".join(map(_shown, row)).strip()), (0, []))
    # In a file of one column a field of spaces is a row.
    filled = (
        (number, row)
        for number, row in rows
        if row and (len(row) != 1 or len(first) == 1 or _shown(row[0]).strip())
    )
    written = [*map(_shown, first)]
    if columns.header or (columns.header is None and has_known_name(written, columns)):
        return Table(written, filled, [])
    sample = list(itertools.islice(filled, SAMPLE))
    every = itertools.chain(sample, filled)
    below = [[*map(_shown, row)] for _, row in sample if len(row) == len(first)]
    in_columns = [*zip(written, *below, strict=True)]
    if len(first) == 2 and below and any(all(map(TAG.fullmatch, one)) for one in in_columns):
        raise _holds_tags(path, line, written)
    if columns.header is None and not _is_like(written, below):
        return Table(written, every, [], may_lack_header=True)
    kinds = [kind_of(values) for values in in_columns]
    names, decision = _name(path.name, kinds, columns)
    whole = itertools.chain([(line, first)], every)
    return Table(names, whole, [decision], written)


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def has_known_name(first: Sequence[str], asked: Columns) -> bool:
    """Return whether a row has a usual name of a column or one that the user gave."""
    given = {name for name in asked.names.values() if name is not None} - {*_numbers(first)}
    names = {*map(fold_name, first)}
    # pandas numbers columns that have no name.
    numbers = [str(place) for place in range(len(first))]
    return [*first] == numbers or bool(names & (USUAL_NAMES | {*map(fold_name, given)}))


def _is_like(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row looks like those below it, and in no column like a name."""
    if not below:
        return False
    kinds = [kind_of(values) for values in zip(*below, strict=True)]
    fits = [kind.fits(value.strip()) for kind, value in zip(kinds, first, strict=True)]
    return True in fits and False not in fits


def _numbers(row: Sequence[Any]) -> list[str]:
    return [str(place) for place in range(1, len(row) + 1)]


def _name(name: str, kinds: Sequence[Kind], asked: Columns) -> tuple[list[str], str]:
    """Return names for the columns, and the sentence about them: numbers but for evident ones."""
    names = _numbers(kinds)
    given = {role: name for role, name in asked.names.items() if name in names}
    roles = {
        role: place
        for role, place in _find_roles(kinds).items()
        if names[place] not in given.values()
        and not (role.startswith("text") and {"text", "text_pair"} & given.keys())
        and role not in given
    }
    for role, place in roles.items():
        names[place] = role
    found = [f"column {place + 1} is {role}" for role, place in roles.items()]
    columns = ", ".join(found) or "its columns are numbered"
    return names, f"read {name} as a table without a header: {columns}"


def _find_roles(kinds: Sequence[Kind]) -> dict[str, int]:
    """Return the columns that are evidently texts and label, by role."""
    places = range(len(kinds))
    texts = [place for place in places if kinds[place].is_text]
    if not texts:
        # Short ones: the only column of different strings, beside one that repeats.
        differing = [one for one in places if not (kinds[one].repeats or kinds[one].numbers)]
        texts = differing if len(differing) == 1 else []
    labels = [place for place in places if place not in texts and kinds[place].is_label]
    if not labels and len(kinds) == len(texts) + 1:
        labels = [place for place in places if place not in texts]
    roles = {"text": texts[0]} if len(texts) == 1 else {}
    if len(texts) == 2:
        roles = {"text_a": texts[0], "text_b": texts[1]}
    return roles | ({"label": labels[0]} if roles and len(labels) == 1 else {})


def show_first_row(row: Sequence[str]) -> str:
    """Return the first row of a file without a header with the numbers of its columns."""
    shown = (value if len(value) <= SHOWN else f"{value[:SHOWN]}..." for value in row)
    return ", ".join(f"{place} {value!r}" for place, value in enumerate(shown, start=1))


def _holds_tags(path: Path, line: int, first: Sequence[str]) -> UserError:
    return UserError(
        "the file holds a token and its tag a line, not texts",
        f"{path}, line {line}: {show_first_row(first)}",
        "name it .conll, and train with --task tag",
    )

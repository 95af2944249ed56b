"""Columns of a data file that look like text and are not read."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfpipe.data.column_names import LABEL_COLUMNS, fold_name
from tfpipe.data.examples import Columns
from tfpipe.tasks.spec import TaskSpec

LONG, SEVERAL = 15, 3
# Shares of a column's values: that are filled in, that differ, and that have blanks or no ASCII.
FILLED = DIFFERENT = 0.5
READABLE = 0.8
# Share of letters among characters that are no blanks; dates and tables of numbers have fewer.
LETTERS = 0.6
# What names and notes of annotators, places and machines are called, however long they are.
NO_TEXT = re.compile(
    r"(id|ids|hash|uuid|guid|url|uri|link|date|time|timestamp|at|author|user|username|name|names|"
    r"annotator|annotators|file|filename|path|source|parse|tree|tokens|pos|keywords|desc|meta|"
    r"options|labels|comments)$"
)
MARKUP = {"(": ")", "[": "]", "{": "}", "<": ">"}


def note_unread(
    path: Path,
    header: Sequence[str],
    sample: Sequence[Sequence[Any]],
    read: Columns,
    asked: Columns,
    spec: TaskSpec | None = None,
) -> list[str]:
    """Return a sentence, without a full stop, about columns that look like text and are not read.

    Args:
        path: The file.
        header: The names of the columns.
        sample: The first rows.
        read: The columns that are read.
        asked: Those that the user named.
        spec: The task that reads them; None for any.
    """
    if (spec is not None and spec.pairs != "optional") or (asked.text and asked.text_pair):
        return []
    texts = [_strings(header, sample, name) for name in (read.text, read.text_pair) if name]
    found = [
        name
        for name in header
        if name not in (read.text, read.text_pair, read.label)
        and not _is_named_otherwise(name)
        and _looks_like_text(_strings(header, sample, name), texts)
    ]
    if not found:
        return []
    shown = ", ".join(map(repr, found))
    looks = f"column {shown} of {path} looks like text and is not read"
    if found[1:]:
        looks = f"columns {shown} of {path} look like text and are not read"
    both = f"to read it as the second text, give --text-pair {shlex.quote(found[0])}"
    if read.text_pair is not None or found[1:]:
        both = "to read other columns, give --text and --text-pair"
    return [f"{looks}; {both}"]


def _strings(header: Sequence[str], sample: Sequence[Sequence[Any]], name: str) -> list[str]:
    place = header.index(name)
    return [row[place].strip() if isinstance(row[place], str) else "" for row in sample]


def _is_named_otherwise(name: str) -> bool:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    last = re.split(r"[\s_-]+", words.strip())[-1]
    is_label = fold_name(name) in map(fold_name, LABEL_COLUMNS)
    return is_label or NO_TEXT.match(last) is not None


def _looks_like_text(values: Sequence[str], texts: Sequence[Sequence[str]]) -> bool:
    filled = [value for value in values if value]
    if len(filled) < max(2, FILLED * len(values)):
        return False
    lengths = sum(map(len, filled)) / len(filled)
    words = sum(map(_count_words, filled)) / len(filled)
    if lengths <= LONG and words < SEVERAL:
        return False
    if len(set(filled)) < max(2, DIFFERENT * len(filled)):
        return False
    readable = sum(not value.isascii() or " " in value for value in filled)
    marked = sum(MARKUP.get(value[0]) == value[-1] for value in filled)
    if readable < READABLE * len(filled) or marked > FILLED * len(filled):
        return False
    characters = "".join("".join(value.split()) for value in filled)
    letters = sum(unicodedata.category(character)[0] in "LM" for character in characters)
    if letters < LETTERS * len(characters):
        return False
    return not any(_are_copies(values, others) for others in texts)


def _count_words(value: str) -> int:
    """Count words; Chinese and Japanese ones have no blanks between them, and two characters."""
    wide = sum(unicodedata.east_asian_width(character) == "W" for character in value)
    return len(value.split()) + wide // 2


def _are_copies(values: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether most values are the same text but for case, signs and blanks."""
    same = sum(_letters(a) == _letters(b) for a, b in zip(values, others, strict=True))
    return same > FILLED * len(values)


def _letters(value: str) -> str:
    return "".join(filter(str.isalnum, value)).casefold()

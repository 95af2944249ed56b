"""Labels that are probably one: equal but for case, width and spaces, or one typing error apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfpipe.data.tabular import INVISIBLE

ROWS_SHOWN = 3
PAIRS_SHOWN = 10
# A label is compared for typing errors with those that are so many times as frequent.
TIMES_AS_FREQUENT = 10
# In shorter labels, and in words of one or two letters (type_a, type_b), one letter is no error
# but another name; longer ones than these are texts.
SHORTEST, SHORTEST_WORD, LONGEST = 4, 3, 60
BETWEEN_WORDS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
# What is written where there is no label, besides dashes and question marks.
NO_LABEL = {"n/a", "na", "#n/a", "null", "none", "nil", "无", "空", "未标注"}
UNSEEN = dict.fromkeys(map(ord, INVISIBLE))


@dataclass(frozen=True)
class Occurrences:
    """A label, the number of its rows, and the first of them, counted from 1."""

    label: str
    count: int
    rows: Sequence[int]

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.rows)) + (", ..." if self.count > len(self.rows) else "")
        return f"{self.label!r} ({self.count:,} row{'s' if self.count > 1 else ''}: {rows})"


@dataclass(frozen=True)
class NearLabels:
    """Two labels that are probably one.

    Attributes:
        frequent: The label with more rows.
        rare: The other one.
        typo: Whether they are one edit apart; otherwise they differ in case, width or spaces alone.
    """

    frequent: Occurrences
    rare: Occurrences
    typo: bool

    def __str__(self) -> str:
        if self.typo:
            return (
                f"the label {self.rare} is one edit from {self.frequent}: correct it if it is a"
                " typing error"
            )
        return (
            f"the labels {self.frequent} and {self.rare} differ in case, width or spaces alone:"
            " write them alike if they are one label"
        )


@dataclass(frozen=True)
class LabelNotes:
    """What reading changed about labels, and what the user may want to correct.

    Attributes:
        stripped: By file, the number of labels that had blanks around them, where there are any.
        near: Nearly equal labels of the train file.
    """

    stripped: Mapping[str, int] = field(default_factory=dict)
    near: Sequence[NearLabels] = ()

    def __iter__(self) -> Iterator[str]:
        """Sentences without a full stop."""
        for path, count in self.stripped.items():
            yield describe_stripped(path, count)
        yield from map(str, self.near[:PAIRS_SHOWN])
        if self.near[PAIRS_SHOWN:]:
            yield f"{len(self.near) - PAIRS_SHOWN:,} more pairs of labels are nearly equal"


def describe_stripped(path: str, count: int) -> str:
    """Return the sentence about `count` labels of a file that had blanks around them."""
    labels, them = ("label", "it") if count == 1 else ("labels", "them")
    return f"{count:,} {labels} of {path} had blanks around {them}; they were removed"


def find_near_labels(
    labels: Iterable[Any], names_in: Callable[[Any], Sequence[str]] = lambda label: (label,)
) -> list[NearLabels]:
    """Find the pairs of labels that are probably one, those with the most rows first.

    Args:
        labels: Parsed labels of the rows of a file, in order.
        names_in: Returns the label names in a parsed label.
    """
    groups: dict[str, list[Occurrences]] = {}
    for found in _count(labels, names_in):
        groups.setdefault(fold(found.label), []).append(found)
    near, spelled = [], {}
    for key, group in groups.items():
        spelled[key], *others = sorted(group, key=lambda found: -found.count)
        near += [NearLabels(spelled[key], other, typo=False) for other in others]
    near += _find_typos(spelled)
    return sorted(near, key=lambda pair: (pair.typo, -pair.rare.count))


def note_marks(
    path: str, labels: Iterable[Any], names_in: Callable[[Any], Sequence[str]]
) -> list[str]:
    """Return a sentence, without a full stop, about each label that may mean that there is none.

    Args:
        path: The file, for messages.
        labels: Its parsed labels, in order.
        names_in: Returns the label names in a parsed label.
    """
    found = list(_count(labels, names_in))
    # A minus beside a plus is a sign.
    signs = {"-"} if any(one.label == "+" for one in found) else set()
    return [
        f"the label {one} of {path} may stand for no label: leave these rows out if it does"
        for one in found
        if one.label not in signs
        and (one.label.casefold() in NO_LABEL or not one.label.strip("-?"))
    ]


def fold(label: str) -> str:
    """Return a key that is equal for labels that differ in case, width and spaces alone."""
    folded = unicodedata.normalize("NFKC", label.translate(UNSEEN)).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _count(
    labels: Iterable[Any], names_in: Callable[[Any], Sequence[str]]
) -> Iterator[Occurrences]:
    counts: dict[str, int] = {}
    first_rows: dict[str, list[int]] = {}
    # Millions of rows share a few labels.
    known: dict[Any, Sequence[str]] = {}
    for row, label in enumerate(labels, start=1):
        if label not in known:
            known[label] = names_in(label)
        for name in known[label]:
            count = counts[name] = counts.get(name, 0) + 1
            if count <= ROWS_SHOWN:
                first_rows.setdefault(name, []).append(row)
    return (Occurrences(name, count, first_rows[name]) for name, count in counts.items())


def _find_typos(spelled: Mapping[str, Occurrences]) -> Iterator[NearLabels]:
    """Yield the labels one edit from a much more frequent one; spelled: labels by `fold`."""
    able = {key: found for key, found in spelled.items() if SHORTEST <= len(key) <= LONGEST}
    fewest = min((found.count for found in able.values()), default=0)
    # Two strings that are one edit apart, or equal, share one of those that lack a character of
    # them: so no label is compared with all others.
    index: dict[str, list[str]] = {}
    for key, found in able.items():
        if found.count >= TIMES_AS_FREQUENT * fewest:
            for part in _shortened(key):
                index.setdefault(part, []).append(key)
    for key, rare in able.items():
        near = {other for part in _shortened(key) for other in index.get(part, ())}
        frequent = [
            spelled[other]
            for other in sorted(near)
            if spelled[other].count >= TIMES_AS_FREQUENT * rare.count
            and _are_one_edit_apart(key, other)
            and _may_be_typo(rare.label, spelled[other].label)
        ]
        if frequent:
            yield NearLabels(max(frequent, key=lambda found: found.count), rare, typo=True)


def _shortened(key: str) -> set[str]:
    """Return the string, and all that lack one of its characters."""
    return {key, *(key[:place] + key[place + 1 :] for place in range(len(key)))}


def _are_one_edit_apart(one: str, other: str) -> bool:
    """Return whether a character was added, removed or replaced, or two were exchanged."""
    start = _common_length(one, other)
    one, other = one[start:], other[start:]
    end = _common_length(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    exchanged = len(one) == len(other) == 2 and one == other[::-1]
    return one != other and (max(len(one), len(other)) == 1 or exchanged)


def _common_length(one: str, other: str) -> int:
    """Count the characters that the strings have in common from the start."""
    differing = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _may_be_typo(one: str, other: str) -> bool:
    """Return whether two labels differ in more than numbers and words of one or two letters."""
    digits = ([c for c in fold(label) if c.isnumeric()] for label in (one, other))
    if next(digits) != next(digits):
        return False
    words = [[*map(fold, BETWEEN_WORDS.split(label))] for label in (one, other)]
    if len(words[0]) != len(words[1]):
        return True
    differing = [pair for pair in zip(*words, strict=True) if pair[0] != pair[1]]
    return all(max(map(len, pair)) >= SHORTEST_WORD for pair in differing)

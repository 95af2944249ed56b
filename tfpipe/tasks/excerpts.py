"""Excerpts of a long text around its marked answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

AROUND = 120
# Of one marked stretch, and of the beginning of a text in which nothing is marked.
MOST_MARKED = 300
# How far a cut may move so that it does not go through a word.
WORD = 20
GOLD, PREDICTED = 1, 2
GAP = " … "


class Mark(NamedTuple):
    """`text[start:end]`, in code points, is GOLD or PREDICTED."""

    start: int
    end: int
    kind: int


@dataclass(frozen=True)
class Piece:
    """A piece of a text, and whether it belongs to the gold and to the predicted answer."""

    text: str
    gold: bool = False
    predicted: bool = False


def excerpt(text: str, marks: Iterable[Mark]) -> list[Piece]:
    """Cut a text to its marked pieces with 120 characters on either side, gaps as an ellipsis.

    Of a text without marks the first 300 characters are kept.
    """
    kinds = np.zeros(len(text), np.int8)
    near = np.zeros(len(text), bool)
    for start, limit, kind in marks:
        end = min(limit, start + MOST_MARKED)
        kinds[start:end] |= kind
        near[_before(text, start - AROUND) : _after(text, end + AROUND)] = True
    if not near.any():
        near[: _after(text, MOST_MARKED)] = True
    state = np.where(near, kinds, -1)
    edges = [0, *(np.flatnonzero(np.diff(state)) + 1).tolist(), len(text)]
    pieces = []
    for start, end in zip(edges, edges[1:], strict=False):
        kind = int(state[start]) if start < end else 0
        gap = GAP[start == 0 : len(GAP) - (end == len(text))]
        shown = text[start:end] if kind >= 0 else gap
        marked = max(kind, 0)
        pieces.append(Piece(shown, bool(marked & GOLD), bool(marked & PREDICTED)))
    return pieces


def _before(text: str, place: int) -> int:
    """Return the position, or the beginning of the word around it."""
    if place <= WORD:
        return 0
    found = max(text.rfind(" ", place - WORD, place), text.rfind("\n", place - WORD, place))
    return place if found < 0 else found + 1


def _after(text: str, place: int) -> int:
    """Return the position, or the end of the word around it."""
    if place >= len(text) - WORD:
        return len(text)
    ends = [text.find(space, place, place + WORD) for space in " \n"]
    return min((end for end in ends if end >= 0), default=place)


def find_words(text: str, words: Sequence[str], kind: int) -> list[Mark]:
    """Mark the words in the text, at most two places each and four in all.

    Parts of longer words count only where a word occurs nowhere alone, as in Chinese.
    """
    marks: list[Mark] = []
    for wanted in dict.fromkeys(word for word in words if word.strip()):
        plain = re.escape(wanted)
        for pattern in (rf"(?<!\w){plain}(?!\w)", plain):
            places = [*islice(re.finditer(pattern, text), 2)]
            marks += [Mark(place.start(), place.end(), kind) for place in places]
            if places:
                break
    return marks[:4]

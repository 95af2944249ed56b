"""The words that entities cover, and what is lost of entities in the words of a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfpipe.data.spans import Span

# All that the tokenizer reads as a space.
SPACES = [9, 10, 13, 0x20, 0xA0, 0x1680, *range(0x2000, 0x200B)]
SPACES += [0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
# Spaces, and what the tokenizer drops: controls, formats such as joiners, marks such as accents.
NO_LETTERS = {"Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Mn"}


class Cover(NamedTuple):
    """The words first <= w < limit that a span covers; exact: whether they are just the span."""

    first: int
    limit: int
    exact: bool


def cover_spans(
    spans: Sequence[Span], text: str, start: np.ndarray, end: np.ndarray
) -> list[Cover]:
    """Find the words that each span covers, also in part; a word belongs to the first such span.

    A span of no word has first == limit.

    Args:
        spans: Sorted, without overlap.
        start: int [W], of the words of the text.
        end: int [W].
        text: The text.
    """
    covers: list[Cover] = []
    free = 0
    for span in spans:
        touched = int(np.searchsorted(end, span.start, "right"))
        first = max(free, touched)
        limit = max(first, int(np.searchsorted(start, span.end, "left")))
        exact = touched == first < limit
        if exact:
            whole = Span(int(start[first]), int(end[limit - 1]), span.type)
            exact = trim_span(whole, text) == trim_span(span, text)
        covers.append(Cover(first, limit, exact))
        free = limit
    return covers


def trim_span(span: Span, text: str) -> Span:
    """Trim spaces, marks and invisible characters at the ends of a span.

    No word differs by them alone: a file's tokens may end with an accent or joiner of their own.
    """
    start, end = span.start, span.end
    while start < end and unicodedata.category(text[start]) in NO_LETTERS:
        start += 1
    while start < end and unicodedata.category(text[end - 1]) in NO_LETTERS:
        end -= 1
    return span if start == end else Span(start, end, span.type)


def is_cut_off(span: Span, ends: np.ndarray, truncated: bool) -> bool:
    """Return whether truncation left an entity without all its words, of which these are left."""
    return truncated and (not len(ends) or span.end > ends[-1])


def describe_lost(total: int, cut: int, torn: int) -> list[str]:
    """Report entities that cannot be learnt: truncated ones, and parts of words."""
    notes = []
    if cut:
        notes.append(
            f"{cut:,} of {total:,} entities lie behind --max-length, wholly or in part, and cannot"
            " be found"
        )
    if torn:
        notes.append(
            f"{torn:,} of {total:,} entities begin or end inside a word, as the tokenizer divides"
            " the text; whole words are tagged"
        )
    return notes

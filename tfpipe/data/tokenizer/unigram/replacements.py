"""What becomes of the code points of a text, as arrays that fit into a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfpipe.data.arrays import Int32Array, Int64Array
from tfpipe.data.tokenizer.unigram import graphemes
from tfpipe.data.tokenizer.unigram.tables import UNKNOWN_SYMBOL, WORD_SYMBOL

CODE_POINTS = 0x110000
CODE_BITS = 21
# Of fewer than 6 bytes are a letter of ASCII with two marks, and nothing with more.
MOST_CODES = 3
# Unicode's White_Space, at which `tokenizers` splits.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)

# What becomes of a code point.
LETTER = 0  # a symbol
SPACE = 1  # the start of a word
RARE = 2  # none of these, or several
JOINS = 3  # as RARE, and it can be part of a character of several code points
KIND_BITS = 2
# Rows of `Replacements.splits`.
ITSELF = 0
NOTHING = 1
TAKEN = 2  # nothing, because it is replaced together with the code point in front


@dataclass(frozen=True)
class Replacements:
    """The graph's tables of a normalisation.

    Attributes:
        outcomes: int32 [CODE_POINTS], symbol << KIND_BITS | kind.
        rows: int32 [CODE_POINTS], the row of `splits` for a code point of kind RARE or JOINS, else
            ITSELF.
        splits: int32 [rows + 1], where the outcomes of a row begin in `parts`.
        parts: int32 [parts], the outcomes.
        keys: int64 [keys], ascending, what is replaced as a whole if it begins a character of
            several code points: the code points, CODE_BITS for each, the last one lowest.
        key_rows: int32 [keys], the row of each.
    """

    outcomes: Int32Array
    rows: Int32Array
    splits: Int32Array
    parts: Int32Array
    keys: Int64Array
    key_rows: Int32Array


def compose(charsmap: Mapping[str, str], symbols: Mapping[str, int]) -> Replacements:
    """Compose the tables.

    Args:
        charsmap: What is replaced by what; a key of several characters is one with its marks.
        symbols: The symbols of the characters that are not unknown.
    """
    plain = np.full(CODE_POINTS, UNKNOWN_SYMBOL << KIND_BITS | LETTER, np.int32)
    plain[[ord(c) for c in symbols]] = np.array([*symbols.values()], np.int32) << KIND_BITS
    plain[[ord(c) for c in SPACES]] = WORD_SYMBOL << KIND_BITS | SPACE
    outcomes = plain.copy()
    rows = np.full(CODE_POINTS, ITSELF, np.int32)
    parts: list[list[int]] = [[0], [], []]
    # A line feed joins a carriage return. Few texts have that one.
    joins = graphemes.load() & (graphemes.ATTACHES | graphemes.PREPENDS) > 0
    joins[ord("\r")] = True
    key_rows: dict[int, int] = {}
    whole = {chr(c): chr(c) for c in np.flatnonzero(joins)} | dict(charsmap)
    for key, outcome in whole.items():
        part = [int(plain[ord(c)]) for c in outcome]
        row, first = NOTHING, ord(key[0])
        if len(key) == 1 and len(part) == 1 and not joins[first]:
            row, outcomes[first] = ITSELF, part[0]
        elif part:
            row = len(parts)
            parts.append(part)
        if len(key) == 1 and row != ITSELF:
            outcomes[first], rows[first] = (JOINS if joins[first] else RARE), row
        if key in charsmap and len(key) <= MOST_CODES:
            key_rows[_number(key)] = row
    splits = np.cumsum([0] + [len(part) for part in parts], dtype=np.int32)
    keys = np.array(sorted(key_rows), np.int64)
    found = np.array([key_rows[key] for key in keys.tolist()], np.int32)
    flat = np.array([one for part in parts for one in part], np.int32)
    return Replacements(outcomes, rows, splits, flat, keys, found)


def _number(key: str) -> int:
    number = 0
    for character in key:
        number = number << CODE_BITS | ord(character)
    return number

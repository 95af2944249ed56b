"""What becomes of each code point of a text, as arrays that fit into a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfpipe.data.arrays import Int32Array
from tfpipe.data.tokenizer.unigram.tables import UNKNOWN_SYMBOL, WORD_SYMBOL

CODE_POINTS = 0x110000
# Unicode's White_Space, at which `tokenizers` splits.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)

# What becomes of a code point.
LETTER = 0  # a symbol
SPACE = 1  # the start of a word
RARE = 2  # none or several of these
KIND_BITS = 2
# Rows of `Replacements.splits`.
ITSELF = 0
NOTHING = 1


@dataclass(frozen=True)
class Replacements:
    """The graph's tables of a normalisation.

    Attributes:
        outcomes: int32 [CODE_POINTS], symbol << KIND_BITS | kind.
        rows: int32 [CODE_POINTS], the row of `splits` for a code point of kind RARE, else ITSELF.
        splits: int32 [rows + 1], where the outcomes of a row begin in `parts`.
        parts: int32 [parts], the outcomes.
    """

    outcomes: Int32Array
    rows: Int32Array
    splits: Int32Array
    parts: Int32Array


def compose(charsmap: Mapping[str, str], symbols: Mapping[str, int]) -> Replacements:
    """Compose the tables.

    Args:
        charsmap: What is replaced by what; only keys of one character count here.
        symbols: The symbols of the characters that are not unknown.
    """
    outcomes = np.full(CODE_POINTS, UNKNOWN_SYMBOL << KIND_BITS | LETTER, np.int32)
    for character, symbol in symbols.items():
        outcomes[ord(character)] = symbol << KIND_BITS | LETTER
    outcomes[[ord(c) for c in SPACES]] = WORD_SYMBOL << KIND_BITS | SPACE
    kept = outcomes.copy()
    rows = np.full(CODE_POINTS, ITSELF, np.int32)
    parts: list[list[int]] = [[0], []]
    for key, outcome in charsmap.items():
        if len(key) > 1:
            continue
        part = [int(kept[ord(c)]) for c in outcome]
        if len(part) == 1:
            outcomes[ord(key)] = part[0]
        else:
            outcomes[ord(key)] = RARE
            rows[ord(key)] = len(parts) if part else NOTHING
            parts += [part] if part else []
    splits = np.cumsum([0] + [len(part) for part in parts], dtype=np.int32)
    return Replacements(outcomes, rows, splits, np.concatenate(parts).astype(np.int32))

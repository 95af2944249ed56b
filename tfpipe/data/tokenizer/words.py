"""Where the words of a text begin among its tokens, in a graph or by numpy.

A word is what BERT's basic tokenizer makes: a run of letters, one sign of punctuation, one Chinese
character. A token that holds several of them, as those of XLM-R may, is one word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpipe.data.arrays import UInt8Array
from tfpipe.data.tokenizer.wordpiece import unicode_tables

CONTINUATION = "##"
SPACE = "\u2581"
# What a token is, as bits: a word begins at it; one begins behind it; it is part of no word.
BEGINS, CLOSES, BLANK = 1, 2, 4


def classify_wordpieces(tokens: Sequence[str]) -> UInt8Array:
    """Return the bits of the tokens, uint8 [N]: each word is divided into tokens of its own."""
    return np.array([0 if t.startswith(CONTINUATION) else BEGINS for t in tokens], np.uint8)


def classify_pieces(pieces: Sequence[str], unknown_id: int) -> UInt8Array:
    """Return the bits of Unigram's pieces, uint8 [N].

    A word begins with U+2581, which stands for a space, and on both sides of a character that BERT
    sets apart. The unknown piece is often such a character, and is taken for one.
    """
    facts = unicode_tables.load()
    apart = (facts["chinese"] == 1) | (facts["split"] == unicode_tables.ISOLATED)
    # No piece is empty.
    codes = np.frombuffer("".join(pieces).encode("utf-32-le"), "<u4")
    limits = np.cumsum([len(piece) for piece in pieces])
    first, last = codes[[0, *limits[:-1]]], codes[limits - 1]
    bits = np.where((first == ord(SPACE)) | apart[first], BEGINS, 0)
    bits |= np.where(apart[last], CLOSES, 0)
    bits[last == ord(SPACE)] = CLOSES | BLANK
    bits[unknown_id] = BEGINS | CLOSES
    return bits.astype(np.uint8)


def mark_words(ops: Any, bits: Any) -> tuple[Any, Any]:
    """Return whether a word begins at each token, and whether it is part of a word: bool [T].

    Args:
        ops: The module `tensorflow` or `numpy`, whose operations have the same names.
        bits: uint8 [T], of the tokens of all texts, end to end.
    """
    before = ops.pad(bits, [[1, 0]])[:-1]
    inside = (bits & BLANK) == 0
    return inside & (((bits & BEGINS) | (before & CLOSES)) != 0), inside

"""The tables of a Unigram tokenizer, as arrays that fit into a graph.

The characters that occur in pieces are numbered, the most frequent first; these numbers are the
symbols that the graph works with. All other characters are symbol 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfpipe.data.arrays import AnyArray, Int32Array, Int64Array
from tfpipe.data.tokenizer.unigram import trie
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary

# Stands for a space, and before each word.
WORD_START = "\u2581"
UNKNOWN_SYMBOL = 0
WORD_SYMBOL = 1
# `tokenizers`: how much less than the lowest score of a piece an unknown character scores.
UNKNOWN_PENALTY = 10.0
FIRST_SURROGATE, SURROGATES = 0xD800, 0x800
# Sums of this many scores must be exact for the order of the additions not to matter.
MOST_ADDITIONS = 2**22


@dataclass(frozen=True)
class PieceTables:
    """The pieces of a vocabulary.

    Attributes:
        symbols: The symbol of each character that occurs in a piece.
        trie: The pieces, and each symbol by itself.
        ids: int32 [slots], the id of the piece that ends in a slot of the trie; the unknown id for
            a symbol that is no piece, -1 for other slots.
        scores: float32 or float64 [slots], the score of the piece; -inf where there is none.
        longest: The symbols of the longest piece.
        exact: Whether sums of scores are exact, and so the same in every order.
    """

    symbols: dict[str, int]
    trie: trie.Trie
    ids: Int32Array
    scores: AnyArray
    longest: int
    exact: bool


def compose(vocabulary: UnigramVocabulary) -> PieceTables:
    """Compose the tables of the pieces that can occur in a text."""
    special = set(vocabulary.special_ids)
    # A word has no WORD_START but at its first place.
    ids = [
        i
        for i, piece in enumerate(vocabulary.pieces)
        if i not in special and WORD_START not in piece[1:]
    ]
    pieces = [vocabulary.pieces[i] for i in ids]
    codes = np.frombuffer("".join(pieces).encode("utf-32-le"), "<u4").astype(np.int64)
    symbols, sequence = _number(codes)
    alphabet = 1 + max(symbols.values())

    # Every symbol by itself is in the trie: one that is no piece is an unknown character.
    known = {symbols[piece] for piece in pieces if len(piece) == 1}
    unknown = np.array([s for s in range(alphabet) if s not in known], np.int32)
    lengths = [*map(len, pieces), *[1] * len(unknown)]
    splits = np.concatenate([[0], np.cumsum(lengths)])
    built = trie.build(np.concatenate([sequence, unknown]), splits, alphabet)

    slot_ids = np.full(len(built.checks), -1, np.int32)
    slot_ids[built.ends] = [*ids, *[vocabulary.unk_id] * len(unknown)]
    scores = vocabulary.scores.copy()
    scores[vocabulary.unk_id] = scores.min() - UNKNOWN_PENALTY
    slot_scores = np.where(slot_ids < 0, -np.inf, scores[slot_ids])
    single = slot_scores.astype(np.float32)
    return PieceTables(
        symbols=symbols,
        trie=built,
        ids=slot_ids,
        scores=single if (single == slot_scores).all() else slot_scores,
        longest=max(lengths),
        exact=_sums_are_exact(slot_scores[slot_ids >= 0]),
    )


def _number(codes: Int64Array) -> tuple[dict[str, int], Int32Array]:
    """The symbols of the code points, and for each of these its symbol: int32 [codes]."""
    different, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    # WORD_START has its symbol whether it occurs or not.
    order = np.argsort(-counts, kind="stable")
    order = order[different[order] != ord(WORD_START)]
    numbers = np.full(len(different), WORD_SYMBOL, np.int32)
    numbers[order] = WORD_SYMBOL + 1 + np.arange(len(order))
    # The graph makes strings of symbols, and no string has surrogates.
    numbers[numbers >= FIRST_SURROGATE] += SURROGATES
    symbols = {chr(c): n for c, n in zip(different.tolist(), numbers.tolist(), strict=True)}
    return {WORD_START: WORD_SYMBOL} | symbols, numbers[inverse]


def _sums_are_exact(scores: AnyArray) -> bool:
    """Whether sums of the scores need no rounding in float64, as for scores that were float32."""
    largest = max(float(np.abs(scores).max()), 1.0)
    step = 2.0 ** np.ceil(np.log2(largest * MOST_ADDITIONS / 2.0**53))
    return bool((np.round(scores / step) * step == scores).all())

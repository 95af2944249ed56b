"""The tables of a Unigram tokenizer, as arrays that fit into a graph.

The characters that occur in pieces are numbered, the most frequent first; these numbers are the
symbols that the graph works with. All other characters are symbol 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfpipe.data.arrays import AnyArray, Int32Array
from tfpipe.data.tokenizer.unigram import trie
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary

# Stands for a space, and before each word.
WORD_START = "\u2581"
UNKNOWN_SYMBOL = 0
WORD_SYMBOL = 1
# `tokenizers`: how much less than the lowest score of a piece an unknown character scores.
UNKNOWN_PENALTY = 10.0
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
    special = {vocabulary.cls_id, vocabulary.sep_id, vocabulary.pad_id, vocabulary.unk_id}
    special.add(-1 if vocabulary.mask_id is None else vocabulary.mask_id)
    # Of equal pieces the last one counts, as in `tokenizers`. A word has no WORD_START but at its
    # first place.
    ids = {
        piece: i
        for i, piece in enumerate(vocabulary.pieces)
        if piece and i not in special and WORD_START not in piece[1:]
    }
    codes = np.frombuffer("".join(ids).encode("utf-32-le"), "<u4").astype(np.int32)
    different, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    order = np.argsort(-np.where(different == ord(WORD_START), len(codes) + 1, counts))
    rank = np.empty(len(different), np.int32)
    has_word_symbol = ord(WORD_START) in different
    rank[order] = np.arange(len(order)) + (1 if has_word_symbol else 2)
    alphabet = int(rank.max(initial=WORD_SYMBOL)) + 1

    # Every symbol by itself is in the trie: one that is no piece is an unknown character.
    singles = {piece for piece in ids if len(piece) == 1}
    names = {int(r): chr(c) for r, c in zip(rank, different, strict=True)}
    unknown = [s for s in range(alphabet) if names.get(s) not in singles]
    lengths = [*map(len, ids), *[1] * len(unknown)]
    splits = np.concatenate([[0], np.cumsum(lengths)])
    symbols = np.concatenate([rank[inverse], np.array(unknown, np.int32)]).astype(np.int32)
    built = trie.build(symbols, splits, alphabet)

    scores = np.asarray(vocabulary.scores, np.float64)
    unknown_score = scores.min() - UNKNOWN_PENALTY
    piece_ids = np.array(list(ids.values()), np.int32)
    by_end = np.concatenate([scores[piece_ids], np.full(len(unknown), unknown_score)])
    slot_scores = np.full(len(built.checks), -np.inf)
    slot_scores[built.ends] = by_end
    slot_ids = np.full(len(built.checks), -1, np.int32)
    slot_ids[built.ends[: len(ids)]] = piece_ids
    slot_ids[built.ends[len(ids) :]] = vocabulary.unk_id
    if (slot_scores.astype(np.float32) == slot_scores).all():
        slot_scores = slot_scores.astype(np.float32)
    symbol_of = {name: r for r, name in names.items()} | {WORD_START: WORD_SYMBOL}
    return PieceTables(
        symbol_of, built, slot_ids, slot_scores, max(lengths), _sums_are_exact(by_end)
    )


def _sums_are_exact(scores: AnyArray) -> bool:
    """Whether sums of the scores need no rounding in float64, as for scores that were float32."""
    largest = max(float(np.abs(scores).max()), 1.0)
    unit = largest * MOST_ADDITIONS / 2.0**53
    step = 2.0 ** np.ceil(np.log2(unit))
    return bool((np.round(scores / step) * step == scores).all())

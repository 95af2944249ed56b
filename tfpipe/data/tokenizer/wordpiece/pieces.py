"""Words to token ids, inside the graph: WordPiece, the longest piece first (Wu et al. 2016).

Most words are in the vocabulary whole: one lookup for all of them. The others, each different one
once, are cut into all the pieces they could contain, looked up together, and
chosen from left to right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from tfpipe.data.tokenizer.tokens import rows_of
from tfpipe.data.tokenizer.wordpiece.normalizer import NormalizedWords
from tfpipe.data.tokenizer.words import CONTINUATION

# HuggingFace's limit, counted in normalised characters: a longer word is unknown, unseen.
LONGEST_WORD = 100
# A hit is kept as one number, length and id, so that the largest one is the longest piece.
ID_BITS = 24


class Pieces(NamedTuple):
    """The tokens of a batch's words, end to end.

    Attributes:
        ids: int32 [tokens].
        word_splits: int64 [words + 1], the tokens of each word.
        firsts: int64 [tokens], the first character of a token.
        limits: int64 [tokens], the character after its last one.
    """

    ids: tf.Tensor
    word_splits: tf.Tensor
    firsts: tf.Tensor
    limits: tf.Tensor


class PieceLookup(tf.Module):
    """Vocabulary lookup of words, whole or in pieces."""

    def __init__(self, vocabulary: Mapping[str, int], unknown_id: int):
        super().__init__()
        suffixes = {
            token.removeprefix(CONTINUATION): i
            for token, i in vocabulary.items()
            if token.startswith(CONTINUATION)
        }
        self._unknown_id = unknown_id
        self._longest = min(max(map(len, vocabulary)), LONGEST_WORD)
        self._words = _string_table(vocabulary)
        self._suffixes = _string_table(suffixes)

    def encode(self, words: NormalizedWords) -> Pieces:
        """Return the tokens of the words."""
        # TensorFlow's tables take strings, not sequences of code points.
        strings = tf.strings.unicode_encode(
            tf.RaggedTensor.from_row_splits(words.codes, words.splits, validate=False), "UTF-8"
        )
        firsts, limits = words.splits[:-1], words.splits[1:]
        too_long = limits - firsts > LONGEST_WORD
        ids = tf.where(too_long, self._unknown_id, self._words.lookup(strings))
        whole = Pieces(ids, tf.range(tf.size(ids, tf.int64) + 1), firsts, limits)
        missing = tf.where(ids < 0)[:, 0]
        pieces: Pieces = tf.cond(
            tf.size(missing) > 0,
            lambda: self._replace_missing(whole, strings, missing),
            lambda: whole,
        )
        return pieces

    def _replace_missing(self, whole: Pieces, strings: tf.Tensor, missing: tf.Tensor) -> Pieces:
        """The tokens, with those of the `missing` words replaced by the words' pieces."""
        # Rare words come in herds: a name, a product, a typing error of the day.
        different, which = tf.unique(tf.gather(strings, missing), out_idx=tf.int64)
        cut = self._cut(different)

        # Tokens are drawn from one pool: first the whole words, behind them the pieces.
        words, rows = tf.size(whole.ids, tf.int64), missing[:, None]
        itself = tf.range(words)
        begin = tf.gather(cut.word_splits, which) + words
        end = tf.gather(cut.word_splits, which + 1) + words
        drawn = tf.raw_ops.RaggedRange(
            starts=tf.tensor_scatter_nd_update(itself, rows, begin),
            limits=tf.tensor_scatter_nd_update(itself + 1, rows, end),
            deltas=tf.ones([], tf.int64),
        )
        word_splits, token = drawn.rt_nested_splits, drawn.rt_dense_values
        word = rows_of(word_splits, tf.size(token, tf.int64))

        # A piece counts its characters from the start of its word.
        offset = tf.gather(whole.firsts, word)
        lengths = whole.limits - whole.firsts
        firsts = tf.concat([tf.zeros_like(lengths), cut.firsts], 0)
        limits = tf.concat([lengths, cut.limits], 0)
        return Pieces(
            ids=tf.gather(tf.concat([whole.ids, cut.ids], 0), token),
            word_splits=word_splits,
            firsts=offset + tf.gather(firsts, token),
            limits=offset + tf.gather(limits, token),
        )

    def _cut(self, strings: tf.Tensor) -> Pieces:
        """The pieces of words, with `firsts` and `limits` counted from the start of each word.

        A word that cannot be cut to its end has one piece: [UNK], from its start to its end.
        """
        # One place for each character of each word: a piece could begin there.
        lengths = tf.cast(tf.strings.length(strings, unit="UTF8_CHAR"), tf.int64)
        places = tf.raw_ops.RaggedRange(
            starts=tf.zeros([], tf.int64), limits=lengths, deltas=tf.ones([], tf.int64)
        )
        splits, start = places.rt_nested_splits, places.rt_dense_values
        word = tf.repeat(tf.range(tf.size(lengths, tf.int64)), lengths)
        length_here = tf.gather(lengths, word)
        hit = self._longest_pieces(tf.gather(strings, word), start, length_here - start)
        step = tf.cast(tf.bitwise.right_shift(hit, ID_BITS), tf.int64)
        reached = _walk(splits[:-1], step, tf.gather(splits[1:], word))

        # Where the walk met a place without a hit, the whole word is unknown.
        stuck = tf.boolean_mask(word, reached & (hit == 0))
        unknown = tf.tensor_scatter_nd_update(
            tf.zeros_like(lengths, tf.bool), stuck[:, None], tf.ones_like(stuck, tf.bool)
        )
        unknown_here = tf.gather(unknown, word)
        ids = tf.bitwise.bitwise_and(hit, (1 << ID_BITS) - 1)
        ids = tf.where(unknown_here, self._unknown_id, ids)
        limits = tf.where(unknown_here, length_here, start + step)
        piece = tf.where(reached & ((start == 0) | ~unknown_here))[:, 0]
        return Pieces(
            ids=tf.gather(ids, piece),
            word_splits=tf.searchsorted(piece, splits, out_type=tf.int64),
            firsts=tf.gather(start, piece),
            limits=tf.gather(limits, piece),
        )

    def _longest_pieces(self, strings: tf.Tensor, start: tf.Tensor, room: tf.Tensor) -> tf.Tensor:
        """Return the longest piece that begins at each place as length << ID_BITS | id, or 0.

        Args:
            strings: string [places], the word.
            start: int64 [places], the characters before the place.
            room: int64 [places], the characters from the place on.

        Returns:
            int32 [places].
        """
        tries = tf.minimum(room, self._longest)
        lengths = tf.raw_ops.RaggedRange(
            starts=tf.ones([], tf.int64), limits=tries + 1, deltas=tf.ones([], tf.int64)
        ).rt_dense_values
        place = tf.repeat(tf.range(tf.size(tries)), tries)
        start, length = tf.cast(tf.gather(start, place), tf.int32), tf.cast(lengths, tf.int32)
        pieces = tf.strings.substr(tf.gather(strings, place), start, length, unit="UTF8_CHAR")
        ids = tf.where(start == 0, self._words.lookup(pieces), self._suffixes.lookup(pieces))
        hits = tf.bitwise.bitwise_or(tf.bitwise.left_shift(length, ID_BITS), ids)
        return tf.math.segment_max(tf.where(ids < 0, 0, hits), place)


def _walk(firsts: tf.Tensor, step: tf.Tensor, limits: tf.Tensor) -> tf.Tensor:
    """Walk from `firsts`, each time by the place's step; bool [places], the places met.

    A walk ends at a place whose step is 0 and before its limit, the end of its word.
    """

    def advance(place: tf.Tensor, reached: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        reached = tf.tensor_scatter_nd_update(reached, place[:, None], tf.ones_like(place, tf.bool))
        following = place + tf.gather(step, place)
        moving = (following > place) & (following < tf.gather(limits, place))
        return tf.boolean_mask(following, moving), reached

    _, reached = tf.while_loop(
        lambda place, reached: tf.size(place) > 0,
        advance,
        (firsts, tf.zeros_like(step, tf.bool)),
        shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None])),
    )
    return reached


def _string_table(ids: Mapping[str, int]) -> tf.lookup.StaticHashTable:
    """A table from string to int32 id, -1 for what is not in it; its content is in the graph."""
    # TensorFlow refuses an empty table, and no word or piece is the empty string.
    ids = {**ids, "": -1}
    keys = tf.constant(list(ids), tf.string)
    values = tf.constant(list(ids.values()), tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -1)

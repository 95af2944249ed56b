"""A Unigram tokenizer as a graph: texts to the ids and places of their tokens."""

from __future__ import annotations

import tensorflow as tf

from tfpipe.data.tokenizer.tokens import RaggedTokens, rows_of
from tfpipe.data.tokenizer.unigram import replacements, tables
from tfpipe.data.tokenizer.unigram.normalizer import Normalizer, keep_first
from tfpipe.data.tokenizer.unigram.pieces import PieceSearch
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary


class UnigramGraph(tf.Module):
    """Tokenizes like a Unigram model of `tokenizers`; texts never become special tokens.

    Args:
        vocabulary: The pieces with their scores, and how texts are normalised.
    """

    def __init__(self, vocabulary: UnigramVocabulary):
        super().__init__()
        pieces = tables.compose(vocabulary)
        replaced = replacements.compose(vocabulary.charsmap, pieces.symbols)
        self._normalizer = Normalizer(replaced, vocabulary.trailing_space)
        self._search = PieceSearch(pieces, vocabulary.unk_id)

    def tokenize(self, texts: tf.Tensor, most_words: int | None = None) -> RaggedTokens:
        """Tokenize UTF-8 texts, string [texts].

        Args:
            texts: The texts; invalid bytes count like `bytes.decode("utf-8", "replace")`.
            most_words: Words of a text to look at; None for all.
        """
        characters = self._normalizer.split(texts)
        if most_words is not None:
            characters = keep_first(characters, most_words)
        pieces = self._search.encode(characters.symbols)
        firsts = pieces.firsts
        limits = tf.concat([firsts, tf.size(characters.symbols, tf.int64)[None]], 0)[1:]
        row_splits = tf.searchsorted(
            tf.gather(characters.owners, firsts), characters.text_splits, out_type=tf.int64
        )
        text = rows_of(row_splits, tf.size(firsts, tf.int64))
        # Code points are numbered with a space in front of each text.
        origin = tf.gather(characters.text_splits, text) + 1
        return RaggedTokens(
            ids=pieces.ids,
            row_splits=row_splits,
            starts=tf.gather(characters.sources, firsts) - origin,
            ends=tf.gather(characters.sources, limits - 1) - origin + 1,
        )

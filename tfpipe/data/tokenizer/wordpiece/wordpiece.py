"""BERT's WordPiece tokenizer as a TensorFlow graph.

Its ids and offsets equal those of transformers' BertTokenizerFast, which the tests compare with.

    strings -> code points -> words -> pieces
               normalizer.py           pieces.py
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import tensorflow as tf

from tfpipe.data.arrays import UInt8Array
from tfpipe.data.tokenizer.tokens import RaggedTokens, rows_of
from tfpipe.data.tokenizer.wordpiece import unicode_tables
from tfpipe.data.tokenizer.wordpiece.new_words import find_new_words
from tfpipe.data.tokenizer.wordpiece.normalizer import Normalizer, keep_first
from tfpipe.data.tokenizer.wordpiece.pieces import PieceLookup
from tfpipe.data.tokenizer.wordpiece.vocabulary import (
    UNK,
    Rules,
    Vocabulary,
    read_folder,
    write_folder,
)
from tfpipe.data.tokenizer.words import classify_wordpieces


class WordPiece(tf.Module):
    """One of the two kinds of tokenizer, see `Kind` in ../tokenizer.py.

    Args:
        vocabulary: The tokens in the order of their ids.
        lower_case: Whether texts are lower-cased.
        strip_accents: Whether accents are removed; None follows lower_case.
        split_chinese: Whether Chinese characters are words of their own.

    Raises:
        UserError: The vocabulary lacks [CLS], [SEP], [PAD] or [UNK].
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        lower_case: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
    ):
        super().__init__()
        self._vocabulary = Vocabulary(vocabulary)
        self._rules = Rules(lower_case, strip_accents, split_chinese)
        self.frame = self._vocabulary.frame
        self.unk_id = self._vocabulary.ids[UNK]
        # A tokenizer may be made while a graph is being traced; its tables belong to no graph.
        with tf.init_scope(), tf.device("CPU:0"):
            self._normalizer = Normalizer(lower_case, self._rules.strips_accents, split_chinese)
            self._lookup = PieceLookup(self._vocabulary.ids, self.unk_id)

    @classmethod
    def from_folder(cls, folder: Path) -> WordPiece:
        """Read vocab.txt or tokenizer.json, and tokenizer_config.json; raises UserError."""
        vocabulary, rules = read_folder(folder)
        return cls(vocabulary.tokens, rules.lower_case, rules.strip_accents, rules.split_chinese)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files."""
        write_folder(folder, self._vocabulary, self._rules)

    def find_new_words(self, texts: Iterable[str], most: int) -> list[str]:
        """Find the most frequent words of texts that are no token, see new_words.py."""
        return find_new_words(self._vocabulary, self._rules, texts, most)

    def with_words(self, words: Sequence[str]) -> WordPiece:
        """Return a tokenizer with these words as further tokens, behind its own."""
        rules = self._rules
        tokens = [*self._vocabulary.tokens, *words]
        return WordPiece(tokens, rules.lower_case, rules.strip_accents, rules.split_chinese)

    @property
    def vocabulary(self) -> list[str]:
        """The tokens in the order of their ids."""
        return list(self._vocabulary.tokens)

    @property
    def word_bits(self) -> UInt8Array:
        """The bits of the tokens by id, uint8 [N], see words.py."""
        return classify_wordpieces(self._vocabulary.tokens)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over vocabulary, rules and Unicode tables."""
        rules = [self._rules.lower_case, self._rules.strips_accents, self._rules.split_chinese]
        content = json.dumps([self._vocabulary.tokens, rules, unicode_tables.digest()])
        return hashlib.sha256(content.encode()).hexdigest()

    def tokenize(self, texts: tf.Tensor, most_words: int | None = None) -> RaggedTokens:
        """Return the tokens of the texts, string [B], or of their first `most_words` words."""
        words = self._normalizer.split(texts)
        words = words if most_words is None else keep_first(words, most_words)
        pieces = self._lookup.encode(words)
        row_splits = tf.gather(pieces.word_splits, words.row_splits)
        row = rows_of(row_splits, tf.size(pieces.ids, tf.int64))
        text_start = tf.gather(words.text_starts, row)
        starts = tf.gather(words.sources, pieces.firsts) - text_start
        ends = tf.gather(words.sources, pieces.limits - 1) - text_start + 1
        return RaggedTokens(pieces.ids, row_splits, starts, ends)

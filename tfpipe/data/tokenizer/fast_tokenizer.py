"""BERT's tokenizer by the library `tokenizers`, for counts before TensorFlow is imported.

Its ids and offsets equal those of data/tokenizer.py, which trains and serves; the tests compare
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpipe.data.arrays import BoolArray, Int32Array, Int64Array, IntArray
from tfpipe.data.tokenizer.wordpiece.vocabulary import UNK, Rules, Vocabulary, read_folder
from tfpipe.data.tokenizer.words import classify_wordpieces, mark_words

CHUNK = 4096


@dataclass(frozen=True)
class Tokens:
    """Tokens of N texts, end to end, without special ones.

    Attributes:
        ids: int32 [T].
        splits: int64 [N + 1], text i has ids[splits[i]:splits[i + 1]].
        starts: int32 [T], the code point of its text where a token starts; empty unless asked for.
        ends: int32 [T], the code point behind it; empty unless asked for.
    """

    ids: Int32Array
    splits: Int64Array
    starts: Int32Array
    ends: Int32Array

    @property
    def lengths(self) -> Int64Array:
        """int64 [N]: tokens of each text."""
        return np.diff(self.splits)

    def take(self, rows: IntArray) -> Tokens:
        """Select the tokens of some texts, in this order."""
        lengths = self.lengths[rows]
        splits = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(self.splits[rows] - splits[:-1], lengths) + np.arange(splits[-1])
        starts, ends = (x[places] if len(x) else x for x in (self.starts, self.ends))
        return Tokens(self.ids[places], splits, starts, ends)


class FastTokenizer:
    """Tokenizer from texts to token ids; what spells a special token is text like any other.

    Args:
        vocabulary: The tokens.
        rules: How texts are normalised.
    """

    def __init__(self, vocabulary: Vocabulary, rules: Rules):
        from tokenizers import Tokenizer
        from tokenizers.models import WordPiece
        from tokenizers.normalizers import BertNormalizer
        from tokenizers.pre_tokenizers import BertPreTokenizer

        model = WordPiece(vocabulary.ids, unk_token=UNK, max_input_chars_per_word=100)
        self._tokenizer = Tokenizer(model)
        self._tokenizer.normalizer = BertNormalizer(
            clean_text=True,
            handle_chinese_chars=rules.split_chinese,
            strip_accents=rules.strip_accents,
            lowercase=rules.lower_case,
        )
        self._tokenizer.pre_tokenizer = BertPreTokenizer()
        self.frame, self.unk_id = vocabulary.frame, vocabulary.ids[UNK]
        self._word_bits = classify_wordpieces(vocabulary.tokens)

    @classmethod
    def from_folder(cls, folder: Path) -> FastTokenizer:
        """Load the tokenizer of a model's folder; raises UserError if it is not BERT's."""
        return cls(*read_folder(folder))

    def mark_words(self, ids: Int32Array) -> tuple[BoolArray, BoolArray]:
        """Return whether a word begins at each token, and whether it is part of one: bool [T]."""
        begins, inside = mark_words(np, self._word_bits[ids])
        return begins, inside

    def tokenize(self, texts: Sequence[str], offsets: bool = False) -> Tokens:
        """Return the tokens of the texts, with their offsets where asked for."""
        ids: list[Int32Array] = [np.zeros(0, np.int32)]
        places: list[Int32Array] = [np.zeros([0, 2], np.int32)]
        lengths: list[int] = []
        encode = self._tokenizer.encode_batch if offsets else self._tokenizer.encode_batch_fast
        for first in range(0, len(texts), CHUNK):
            chunk = [*texts[first : first + CHUNK]]
            for one in encode(chunk, add_special_tokens=False):
                ids.append(np.array(one.ids, np.int32))
                lengths.append(len(one.ids))
                if offsets:
                    places.append(np.array(one.offsets, np.int32).reshape(-1, 2))
        splits = np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]).astype(np.int64)
        starts, ends = np.concatenate(places).T
        return Tokens(np.concatenate(ids), splits, starts, ends)

"""A model's tokenizer by the library `tokenizers`, for counts before TensorFlow is imported.

Its ids and offsets equal those of tokenizer.py, which trains and serves; the tests compare them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfpipe.data.arrays import BoolArray, Int32Array, Int64Array, IntArray, UInt8Array
from tfpipe.data.tokenizer.frame import Frame
from tfpipe.data.tokenizer.unigram.folder import has_unigram
from tfpipe.data.tokenizer.unigram.folder import read_folder as read_unigram
from tfpipe.data.tokenizer.unigram.tokenizer_json import make_pipeline
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary
from tfpipe.data.tokenizer.wordpiece.vocabulary import (
    UNK,
    Rules,
    Vocabulary,
    make_normalizer,
    read_folder,
)
from tfpipe.data.tokenizer.words import classify_pieces, classify_wordpieces, mark_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Pipeline

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
        pipeline: A tokenizer of the library `tokenizers`, without special tokens.
        frame: The special tokens of an input.
        unk_id: The id of the unknown token.
        word_bits: uint8 [tokens], what each token is to words, see words.py.
    """

    def __init__(self, pipeline: Pipeline, frame: Frame, unk_id: int, word_bits: UInt8Array):
        self._pipeline, self.frame, self.unk_id = pipeline, frame, unk_id
        self._word_bits = word_bits

    @classmethod
    def from_folder(cls, folder: Path) -> FastTokenizer:
        """Load the tokenizer of a model's folder; raises UserError if it is of no known kind."""
        if has_unigram(folder):
            return cls.of_pieces(read_unigram(folder))
        return cls.of_wordpieces(*read_folder(folder))

    @classmethod
    def of_wordpieces(cls, vocabulary: Vocabulary, rules: Rules) -> FastTokenizer:
        """Make BERT's tokenizer."""
        from tokenizers import Tokenizer
        from tokenizers.models import WordPiece
        from tokenizers.pre_tokenizers import BertPreTokenizer

        model = WordPiece(vocabulary.ids, unk_token=UNK, max_input_chars_per_word=100)
        pipeline = Tokenizer(model)
        pipeline.normalizer = make_normalizer(rules)
        pipeline.pre_tokenizer = BertPreTokenizer()
        bits = classify_wordpieces(vocabulary.tokens)
        return cls(pipeline, vocabulary.frame, vocabulary.ids[UNK], bits)

    @classmethod
    def of_pieces(cls, vocabulary: UnigramVocabulary) -> FastTokenizer:
        """Make XLM-R's tokenizer."""
        bits = classify_pieces(vocabulary.pieces, vocabulary.unk_id)
        return cls(make_pipeline(vocabulary), vocabulary.frame, vocabulary.unk_id, bits)

    def mark_words(self, ids: Int32Array) -> tuple[BoolArray, BoolArray]:
        """Return whether a word begins at each token, and whether it is part of one: bool [T]."""
        begins, inside = mark_words(np, self._word_bits[ids])
        return begins, inside

    def tokenize(self, texts: Sequence[str], offsets: bool = False) -> Tokens:
        """Return the tokens of the texts, with their offsets where asked for."""
        ids: list[Int32Array] = [np.zeros(0, np.int32)]
        places: list[Int32Array] = [np.zeros([0, 2], np.int32)]
        lengths: list[int] = []
        encode = self._pipeline.encode_batch if offsets else self._pipeline.encode_batch_fast
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

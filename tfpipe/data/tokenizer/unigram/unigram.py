"""XLM-R's SentencePiece Unigram tokenizer as a TensorFlow graph.

Its ids and offsets equal those of transformers' XLMRobertaTokenizerFast.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

import tensorflow as tf

from tfpipe.data.arrays import UInt8Array
from tfpipe.data.tokenizer.tokens import RaggedTokens
from tfpipe.data.tokenizer.unigram import graphemes
from tfpipe.data.tokenizer.unigram.folder import read_folder, write_folder
from tfpipe.data.tokenizer.unigram.graph import UnigramGraph
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary
from tfpipe.data.tokenizer.words import classify_pieces


class Unigram(tf.Module):
    """One of the two kinds of tokenizer, see `Kind` in ../tokenizer.py.

    Args:
        vocabulary: The pieces, their scores, and the rules of normalisation.
    """

    def __init__(self, vocabulary: UnigramVocabulary):
        super().__init__()
        self._vocabulary = vocabulary
        self.frame = vocabulary.frame
        self.unk_id = vocabulary.unk_id
        # A tokenizer may be made while a graph is being traced; its tables belong to no graph.
        with tf.init_scope(), tf.device("CPU:0"):
            self._graph = UnigramGraph(vocabulary)

    @classmethod
    def from_folder(cls, folder: Path) -> Unigram:
        """Read tokenizer.json or sentencepiece.bpe.model; raises UserError."""
        return cls(read_folder(folder))

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files."""
        write_folder(folder, self._vocabulary)

    @property
    def vocabulary(self) -> list[str]:
        """The pieces in the order of their ids."""
        return list(self._vocabulary.pieces)

    @property
    def word_bits(self) -> UInt8Array:
        """The bits of the pieces by id, uint8 [N], see words.py."""
        return classify_pieces(self._vocabulary.pieces, self.unk_id)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over pieces, scores, special ids, normalisation and Unicode tables."""
        known = vars(self._vocabulary)
        # The order of replacements means nothing.
        values = known | {"charsmap": sorted(known["charsmap"].items())}
        values["graphemes"] = graphemes.digest()
        content = json.dumps(values, default=lambda scores: scores.tolist(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def tokenize(self, texts: tf.Tensor, most_words: int | None = None) -> RaggedTokens:
        """Return the tokens of the texts, string [B], or of their first `most_words` words."""
        return self._graph.tokenize(texts, most_words)

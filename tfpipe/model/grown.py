"""A pretrained model with further words in its vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.model.checkpoint_folder import read_tokenizer
from tfpipe.model.stored_weights import WORD_EMBEDDING, StoredTensor, StoredWeights

# Of an output layer of masked language modelling: a value for each token.
OUTPUT_BIAS = "cls.predictions.bias"


@dataclass(frozen=True)
class Growth:
    """A tokenizer with further words, and what the weights gain with it.

    Attributes:
        tokenizer: With the words behind the tokens that it had.
        whole: The number of tokens that it had.
        pieces: Of each word, the ids of the pieces that it was divided into.
    """

    tokenizer: Tokenizer
    whole: int
    pieces: Sequence[Sequence[int]]

    def select(self, stored: StoredWeights) -> StoredWeights:
        """Return the weights with a row for each word, the mean of its pieces' rows.

        Rows behind the vocabulary, which belong to no token, are left out.
        """
        grown = {
            key: self._grow(stored.tensors[key])
            for key in (WORD_EMBEDDING, OUTPUT_BIAS)
            if key in stored.tensors
        }
        return replace(stored, tensors={**stored.tensors, **grown})

    def _grow(self, tensor: StoredTensor) -> StoredTensor:
        def read() -> np.ndarray:
            rows = np.asarray(tensor.read(), np.float32)
            new = [rows[list(pieces)].mean(axis=0) for pieces in self.pieces]
            return np.concatenate([rows[: self.whole], np.stack(new)])

        shape = (self.whole + len(self.pieces), *tensor.shape[1:])
        return replace(tensor, shape=shape, read=read)

    def describe(self, stored: StoredWeights) -> str:
        """Return a note for the log."""
        return f"; {len(self.pieces)} words added, each as the mean of its pieces"


def grow(folder: Path, words: Sequence[str]) -> Growth:
    """Add words to the tokenizer of a model's folder; raises UserError where it is no WordPiece."""
    before = read_tokenizer(folder)
    pieces = before.tokenize(words).to_list()
    return Growth(before.with_words(words), len(before.vocabulary), pieces)

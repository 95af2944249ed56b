"""Encoded data sets of texts to compare: their inputs, and who is similar to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfpipe.data.encoded import EncodedDataset, encode
from tfpipe.data.examples import Examples
from tfpipe.data.labels import parsed_labels
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.tasks.embed.labels import Similarity, apart, distinct_texts


@dataclass(frozen=True)
class EncodedPairs(EncodedDataset):
    """N pairs as 2 N inputs, the two of a pair one after the other."""

    @property
    def together(self) -> int:
        """The two texts of a pair."""
        return 2

    @property
    def example_of(self) -> np.ndarray:
        """The pair of each input: int [2 N]."""
        return np.arange(len(self.encoded)) // 2

    @property
    def full_lengths(self) -> np.ndarray:
        """Tokens of the longer text of each pair, before anything is cut off: int32 [N]."""
        return self.encoded.full_lengths.reshape(-1, 2).max(axis=1)


def label_pairs(examples: Examples, tokenizer: Tokenizer, max_length: int) -> EncodedDataset:
    """Encode pairs or single texts, with the targets of `targets_of`."""
    kind = EncodedDataset if examples.text_pairs is None else EncodedPairs
    encoded = encode(apart(examples), tokenizer, max_length)
    return kind(examples, encoded, targets_of(examples))


def targets_of(examples: Examples) -> dict[str, np.ndarray]:
    """Return the target columns of the texts of `apart`.

    Returns:
        `text` int32, the place of each text in `distinct_texts`; of graded pairs `similarity`
        float32, of others `label` int32, -1 for none; of pairs `place` int32, 0 for the first text
        and 1 for the second.
    """
    per_example = 1 if examples.text_pairs is None else 2
    place_of = {text: place for place, text in enumerate(distinct_texts(examples))}
    found = {"text": np.array([place_of[text] for text in apart(examples).texts], np.int32)}
    if per_example == 2:
        found["place"] = np.tile(np.arange(2, dtype=np.int32), len(examples))
    parsed = parsed_labels(examples, Similarity) if examples.labels else [None] * len(examples)
    if any(isinstance(label, float) for label in parsed):
        found["similarity"] = np.repeat(np.array(parsed, np.float32), per_example)
    else:
        number_of: dict[Any, int] = {None: -1}
        labels = [number_of.setdefault(label, len(number_of)) for label in parsed]
        found["label"] = np.repeat(np.array(labels, np.int32), per_example)
    return found

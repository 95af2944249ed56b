"""Encoded data sets of texts that are read as several inputs, or as head and tail."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpipe.data.encoded import Chunk, Encoded, EncodedDataset, flatten, hash_inputs, keep
from tfpipe.data.examples import Examples
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.tasks.long_text import CUTS

CHUNK = 256


@dataclass(frozen=True)
class EncodedTexts(Encoded):
    """N texts as W inputs, end to end.

    Attributes:
        owner: int32 [W], the text of each input, in order.
        text_lengths: int32 [N], tokens of each text with specials before anything was cut off.
    """

    owner: np.ndarray
    text_lengths: np.ndarray


@dataclass(frozen=True)
class EncodedTextDataset(EncodedDataset):
    """N examples as W inputs, each with the targets of its text."""

    encoded: EncodedTexts

    @property
    def example_of(self) -> np.ndarray:
        """The example of each input, in order: int32 [W]."""
        return self.encoded.owner

    @property
    def full_lengths(self) -> np.ndarray:
        """Tokens of each example with specials, before anything is cut off: int32 [N]."""
        return self.encoded.text_lengths


def label_texts(
    examples: Examples,
    targets: Mapping[str, np.ndarray],
    tokenizer: Tokenizer,
    max_length: int,
    long_text: str,
) -> EncodedTextDataset:
    """Encode single texts, or read them from the cache when the same texts were cut so before.

    Args:
        examples: N single texts.
        targets: Columns [N, ...], a row for each example.
        tokenizer: The model's.
        max_length: Tokens of an input, specials included.
        long_text: One of CUTS.
    """
    key = hash_inputs(examples, tokenizer, max_length, long_text)
    encoded = keep(key, EncodedTexts, lambda: _cut(examples, tokenizer, max_length, long_text))
    owned = {name: column[encoded.owner] for name, column in targets.items()}
    return EncodedTextDataset(examples, encoded, owned)


def _cut(examples: Examples, tokenizer: Tokenizer, max_length: int, long_text: str) -> EncodedTexts:
    owner, text_lengths = array("i"), array("i")

    def chunks() -> Iterator[Chunk]:
        for start in range(0, len(examples), CHUNK):
            texts = tf.constant(list(examples.texts[start : start + CHUNK]), tf.string)
            cut = CUTS[long_text](tokenizer, texts, max_length)
            owner.frombytes((cut.owner.numpy() + start).astype(np.int32).tobytes())
            text_lengths.frombytes(cut.full_lengths.numpy().tobytes())
            # An input is a text's one head and tail, or a window, of which nothing is missing.
            yield cut.inputs, tf.reduce_sum(cut.inputs["attention_mask"], 1).numpy()

    inputs = flatten(chunks(), tokenizer.frame.pad)
    return EncodedTexts(
        **vars(inputs),
        owner=np.frombuffer(owner, np.int32),
        text_lengths=np.frombuffer(text_lengths, np.int32),
    )

"""Encoded data set for tagging: tokens, the words that begin at them, and their tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpipe.data.encoded import EncodedDataset, encode
from tfpipe.data.examples import Examples
from tfpipe.data.spans import Span
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.tasks.tag.covers import cover_spans, is_cut_off
from tfpipe.tasks.tag.words import WordPositions, find_words

CHUNK = 1024
# Where no word begins: the continuation of one, a special token, padding.
NO_WORD = -100


@dataclass(frozen=True)
class EncodedTagDataset(EncodedDataset):
    """N texts of T tokens end to end.

    Attributes:
        targets: `tags` int32 [N, L] of the longest text's L tokens, the column of each word's tag
            at its first token, NO_WORD elsewhere.
        starts: int32 [T], the code point at which the word that begins at a token starts, -1
            elsewhere.
        ends: int32 [T], the code point after that word, -1 elsewhere.
        cut: Entities that truncation left without all their words.
        torn: Other entities that are not just whole words, such as half a compound.
    """

    starts: np.ndarray
    ends: np.ndarray
    cut: int
    torn: int

    def words(self, first: int, limit: int) -> WordPositions:
        """Return the words of the texts from `first` up to `limit`."""
        splits = self.encoded.splits[first : limit + 1]
        starts, ends = (x[splits[0] : splits[-1]] for x in (self.starts, self.ends))
        (places,) = np.nonzero(starts >= 0)
        row = np.searchsorted(splits - splits[0], places, "right") - 1
        counts = np.bincount(row, minlength=limit - first)
        used = np.arange(counts.max(initial=0)) < counts[:, np.newaxis]
        token, start, end = (np.full(used.shape, fill, np.int32) for fill in (0, -1, -1))
        token[used] = places - (splits[row] - splits[0])
        start[used], end[used] = starts[places], ends[places]
        return WordPositions(*map(tf.constant, (used, token, start, end)))


def label_words(
    examples: Examples,
    spans: Sequence[Sequence[Span]],
    column: Mapping[str, int],
    tokenizer: Tokenizer,
    max_length: int,
) -> EncodedTagDataset:
    """Encode the words of the examples and their tags.

    Args:
        examples: N texts.
        spans: The entities of each text.
        column: Of O and of each type's B- and I-.
        tokenizer: The model's.
        max_length: Tokens of an input, specials included.
    """
    encoded = encode(examples, tokenizer, max_length)
    lengths, splits = encoded.lengths, encoded.splits
    gold = np.full([len(encoded), lengths.max(initial=0)], NO_WORD, np.int32)
    starts, ends = (np.full(len(encoded.ids), -1, np.int32) for _ in range(2))
    cut = torn = 0
    for begin in range(0, len(examples), CHUNK):
        rows = slice(begin, begin + CHUNK)
        texts = tf.constant(list(examples.texts[rows]), tf.string)
        kept = tf.constant(lengths[rows] - tokenizer.frame.text_specials)
        found = find_words(tokenizer, texts, kept)
        used, token, start, end = (values.numpy() for values in found)
        row, word = np.nonzero(used)
        token = token.astype(np.int64)
        gold[begin + row, token[row, word]] = column["O"]
        places = splits[begin + row] + token[row, word]
        starts[places], ends[places] = start[row, word], end[row, word]
        for i, entities in enumerate(spans[rows]):
            if not entities:
                continue
            count = int(used[i].sum())
            here, limits = start[i, :count], end[i, :count]
            is_cut = encoded.full_lengths[begin + i] > lengths[begin + i]
            covers = cover_spans(entities, examples.texts[begin + i], here, limits)
            for span, cover in zip(entities, covers, strict=True):
                if is_cut_off(span, limits, is_cut):
                    cut += 1
                elif not cover.exact:
                    torn += 1
                tokens = token[i, cover.first : cover.limit]
                gold[begin + i, tokens[1:]] = column[f"I-{span.type}"]
                gold[begin + i, tokens[:1]] = column[f"B-{span.type}"]
    return EncodedTagDataset(examples, encoded, {"tags": gold}, starts, ends, cut, torn)

"""Entities that cannot be learnt, found without TensorFlow as training finds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpipe.data.examples import Examples
from tfpipe.data.spans import Span
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.tasks.tag.covers import SPACES, cover_spans, describe_lost, is_cut_off


def find_lost(
    examples: Examples,
    spans: Sequence[Sequence[Span]],
    tokenizer: FastTokenizer,
    max_length: int,
) -> list[str]:
    """Report truncated entities, and those that begin or end inside a word.

    Args:
        examples: N texts.
        spans: The entities of each text.
        tokenizer: The model's.
        max_length: Tokens of an input, specials included.
    """
    rows = [row for row, entities in enumerate(spans) if entities]
    texts = [examples.texts[row] for row in rows]
    tokens = tokenizer.tokenize(texts, offsets=True)
    begins, inside = tokenizer.mark_words(tokens.ids)
    # The end of a token that is part of no word is not one of the word before it.
    all_ends = np.where(inside, tokens.ends, 0)
    capacity = max_length - tokenizer.frame.text_specials
    cut = torn = 0
    for i, (row, text) in enumerate(zip(rows, texts, strict=True)):
        part = slice(*tokens.splits[i : i + 2])
        first = np.flatnonzero(begins[part])
        starts = tokens.starts[part][first]
        ends = np.maximum.reduceat(all_ends[part], first) if len(first) else starts
        kept = first < capacity
        starts, ends = starts[kept], extend_words(text, starts, ends)[kept]
        truncated = part.stop - part.start > capacity
        covers = cover_spans(spans[row], text, starts, ends)
        for span, cover in zip(spans[row], covers, strict=True):
            is_cut = is_cut_off(span, ends, truncated)
            cut += is_cut
            torn += not is_cut and not cover.exact
    return describe_lost(sum(map(len, spans)), cut, torn)


def extend_words(text: str, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the ends of a text's words, int [W], moved on to the next word, space or its end."""
    limits = [*starts[1:].tolist(), len(text)]
    extended = ends.copy()
    for i, limit in enumerate(limits[: len(ends)]):
        while extended[i] < limit and ord(text[extended[i]]) not in SPACES:
            extended[i] += 1
    return extended

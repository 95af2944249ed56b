"""Tokens of examples, known and unknown ones, counted without TensorFlow as training has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfpipe.data.arrays import Int64Array
from tfpipe.data.examples import Examples
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer, Tokens
from tfpipe.data.tokenizer.truncation import truncate_pairs


@dataclass(frozen=True)
class TokenCounts:
    """The tokens of N examples.

    Attributes:
        full_lengths: int64 [N], tokens with specials before anything is cut off.
        tokens: int64 [N], tokens over all inputs of an example, without specials.
        unknown: int64 [N], the unknown ones among them.
        inputs: The number of inputs.
    """

    full_lengths: Int64Array
    tokens: Int64Array
    unknown: Int64Array
    inputs: int


def count_tokens(examples: Examples, tokenizer: FastTokenizer, max_length: int) -> TokenCounts:
    """Count the tokens of texts, or pairs of texts, of which the head is read.

    Args:
        examples: N examples.
        tokenizer: The model's.
        max_length: Tokens of an input, specials included.
    """
    frame = tokenizer.frame
    first = tokenizer.tokenize(examples.texts)
    if examples.text_pairs is None:
        kept = np.minimum(first.lengths, max_length - frame.text_specials)
        unknown = count_unknown_in(first, tokenizer, first.splits[:-1], kept)
        full_lengths = first.lengths + frame.text_specials
        return TokenCounts(full_lengths, kept, unknown, len(examples))
    second = tokenizer.tokenize(examples.text_pairs)
    capacity = max_length - frame.pair_specials
    kept, kept_second = truncate_pairs(np, first.lengths, second.lengths, capacity)
    unknown = count_unknown_in(first, tokenizer, first.splits[:-1], kept)
    unknown += count_unknown_in(second, tokenizer, second.splits[:-1], kept_second)
    full_lengths = first.lengths + second.lengths + frame.pair_specials
    return TokenCounts(full_lengths, kept + kept_second, unknown, len(examples))


def count_unknown_in(
    tokens: Tokens, tokenizer: FastTokenizer, begins: Int64Array, lengths: Int64Array
) -> Int64Array:
    """Count the unknown tokens in slices of tokens, int64 [slices].

    Args:
        tokens: Of the texts.
        tokenizer: Theirs.
        begins: int64 [slices], the first token of each.
        lengths: int64 [slices].
    """
    before = np.concatenate([[0], np.cumsum(tokens.ids == tokenizer.unk_id)]).astype(np.int64)
    counts: Int64Array = before[begins + lengths] - before[begins]
    return counts

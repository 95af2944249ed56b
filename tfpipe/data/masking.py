"""Rows of tokens for masked language modelling, masked by whole words and anew in each epoch.

Sources: Devlin et al. 2019, section 3.1 (https://arxiv.org/abs/1810.04805), for the shares; Liu et
al. 2019, section 4.1 (https://arxiv.org/abs/1907.11692), for new masks in each epoch; Cui et al.
2019 (https://arxiv.org/abs/1906.08101) for whole words, of Chinese those of a segmenter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfpipe.data.arrays import BoolArray, Int32Array, Int64Array
from tfpipe.data.encoded import Encoded, EncodedDataset
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.segmenter import Segmenter
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.errors import UserError

CHUNK = 1024
# Columns of a batch: where the masked tokens are, -1 for none, and what they are.
PLACES, TOKENS = "masked_places", "masked_tokens"
MASK_TOKENS = ("[MASK]", "<mask>")
# Shares of the masked tokens that become the mask token, and another token; the others stay.
HIDDEN, REPLACED = 0.8, 0.1
_SPECIAL = re.compile(r"\[.+\]|<.+>")


@dataclass(frozen=True)
class MaskableRows:
    """Rows of tokens and their words.

    Attributes:
        encoded: N rows, T tokens; no row is without a word.
        words: int64 [T], the number of each token's word over all rows; -1 for special tokens and
            what is no part of a word.
        mask_id: The id of the mask token.
        others: int32, the ids that may take the place of a token.
    """

    encoded: Encoded
    words: Int64Array
    mask_id: int
    others: Int32Array

    def mask(self, share: float, seed: Sequence[int]) -> EncodedDataset:
        """Mask words: of each row in random order as many as have `share` of its tokens.

        At least one word of a row is masked. Equal seeds give equal masks.

        Returns:
            The rows with tokens replaced, and the columns PLACES and TOKENS, int32 [N, P].
        """
        random, encoded = np.random.default_rng(seed), self.encoded
        rows = np.repeat(np.arange(len(encoded)), encoded.lengths)
        at = np.flatnonzero(self._choose(rows, share, random)[self.words] & (self.words >= 0))
        owners = rows[at]
        rank = np.arange(len(at)) - np.searchsorted(owners, owners)
        places = np.full([len(encoded), self._most(rows, share)], -1, np.int32)
        tokens = np.zeros_like(places)
        places[owners, rank] = at - encoded.splits[owners]
        tokens[owners, rank] = encoded.ids[at]
        way, ids = random.random(len(at)), encoded.ids.copy()
        ids[at] = np.where(way < HIDDEN, self.mask_id, ids[at])
        replaced = (way >= HIDDEN) & (way < HIDDEN + REPLACED)
        ids[at[replaced]] = random.choice(self.others, int(replaced.sum()))
        # What is asked of examples is their number alone.
        examples = Examples([""] * len(encoded), None, None, "", Columns())
        targets = {PLACES: places, TOKENS: tokens}
        return EncodedDataset(examples, replace(encoded, ids=ids), targets)

    def _choose(self, rows: Int64Array, share: float, random: np.random.Generator) -> BoolArray:
        """Choose words, bool [words]; `rows` is the row of each token."""
        sizes, owners = self._words_of(rows)
        order = np.lexsort((random.random(len(sizes)), owners))
        # Words of a row stay together in this order, so that their owners are the same as before.
        counted = np.cumsum(sizes[order])
        first = np.searchsorted(owners, owners)
        counted -= counted[first] - sizes[order][first]
        chosen = np.zeros(len(sizes), bool)
        is_first = first == np.arange(len(sizes))
        chosen[order] = (counted <= self._budgets(rows, share)[owners]) | is_first
        return chosen

    def _words_of(self, rows: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Return the number of tokens and the row of each word, int64 [words]."""
        inside = self.words >= 0
        _, first, sizes = np.unique(self.words[inside], return_index=True, return_counts=True)
        return sizes, rows[inside][first]

    def _budgets(self, rows: Int64Array, share: float) -> Int64Array:
        counts = np.bincount(rows[self.words >= 0], minlength=len(self.encoded))
        budgets: Int64Array = np.maximum(1, np.rint(share * counts)).astype(np.int64)
        return budgets

    def _most(self, rows: Int64Array, share: float) -> int:
        """The most tokens that any mask of a row may have, so that all epochs have one shape."""
        sizes, _ = self._words_of(rows)
        return int(max(self._budgets(rows, share).max(), sizes.max()))


def make_rows(
    texts: Sequence[str], tokenizer: Tokenizer, max_length: int, segmenter: Segmenter | None
) -> MaskableRows:
    """Divide texts into rows of at most `max_length` tokens, specials included.

    A longer text becomes several rows, so that all of it is trained on.

    Args:
        texts: The texts.
        tokenizer: The model's.
        max_length: Tokens of a row.
        segmenter: Finds the words of Chinese; None where each character is one.

    Raises:
        UserError: The vocabulary has no mask token, or no text has a word.
    """
    vocabulary = tokenizer.vocabulary
    mask = next((token for token in MASK_TOKENS if token in vocabulary), None)
    if mask is None:
        raise UserError(
            "the model's vocabulary has no token for what is masked",
            f"{len(vocabulary):,} tokens without {' or '.join(MASK_TOKENS)}",
            "choose another --model",
        )
    others = [i for i, token in enumerate(vocabulary) if not _SPECIAL.fullmatch(token)]
    parts = [
        _divide(texts[start : start + CHUNK], tokenizer, max_length - 2, segmenter)
        for start in range(0, len(texts), CHUNK)
    ]
    ids, begins, inside, lengths = map(np.concatenate, zip(*parts, strict=True))
    flat = (ids, begins, inside, lengths)
    return _frame(flat, tokenizer, vocabulary.index(mask), others)


def _divide(
    texts: Sequence[str], tokenizer: Tokenizer, longest: int, segmenter: Segmenter | None
) -> tuple[Int32Array, BoolArray, BoolArray, Int64Array]:
    """Tokenise texts; returns ids, whether a word begins, whether in a word, and row lengths."""
    if segmenter is None:
        found = tokenizer.tokenize(list(texts))
    else:
        found, starts, _ = tokenizer.tokenize_with_offsets(list(texts))
    begins, inside = (marks.numpy() for marks in tokenizer.mark_words(found.values))
    lengths = found.row_lengths().numpy()
    if segmenter is not None:
        begins &= ~segmenter.find_continued(texts, starts.values.numpy(), lengths)
    counts = -(-lengths // longest)
    rows = np.full(counts.sum(), longest, np.int64)
    last = np.cumsum(counts)[counts > 0] - 1
    rows[last] = lengths[counts > 0] - (counts[counts > 0] - 1) * longest
    return found.values.numpy(), begins, inside, rows


def _frame(
    flat: tuple[Int32Array, BoolArray, BoolArray, Int64Array],
    tokenizer: Tokenizer,
    mask_id: int,
    others: Sequence[int],
) -> MaskableRows:
    """Put the special tokens around the rows of tokens that `_divide` found, end to end."""
    ids, begins, inside, lengths = flat
    owners = np.repeat(np.arange(len(lengths)), lengths)
    # Rows of blanks alone have no word.
    used = np.bincount(owners[inside], minlength=len(lengths)) > 0
    if not used.any():
        raise UserError(
            "no text has a word", f"{len(lengths)} rows without one", "give files with texts"
        )
    kept = used[owners]
    ids, inside, lengths = ids[kept], inside[kept], lengths[used]
    owners = np.repeat(np.arange(len(lengths)), lengths)
    # The first word of a row begins there, also where the row begins within a word.
    starts = np.flatnonzero(inside)
    begins = begins[kept]
    begins[starts[np.unique(owners[starts], return_index=True)[1]]] = True
    numbers = np.cumsum(begins & inside) - 1
    splits = np.concatenate([[0], np.cumsum(lengths + 2)])
    places = np.arange(len(ids)) + 2 * owners + 1
    framed = np.full(splits[-1], tokenizer.frame.sep, np.int32)
    framed[splits[:-1]] = tokenizer.frame.cls
    framed[places] = ids
    words = np.full(len(framed), -1, np.int64)
    words[places] = np.where(inside, numbers, -1)
    full = (lengths + 2).astype(np.int32)
    types = np.zeros(len(framed), np.uint8)
    encoded = Encoded(framed, types, splits, full, tokenizer.frame.pad)
    return MaskableRows(encoded, words, mask_id, np.array(others, np.int32))

"""BM25 over token ids: statistics of the entries, and the scores of questions, in a graph.

The score of an entry d for a question is the sum, over the question's tokens t, of
idf(t) * f / (f + k1 * (1 - b + b * |d| / mean |d|)), with f the times that t is in d and
idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5)) of a token that n of the N entries have. It is divided by
the sum of idf(t) over all tokens of the question, those that no entry has included: 0 to 1, the
share of the question's weight that the entry covers, and so comparable between questions.
Source: Robertson and Zaragoza 2009, section 3.4 (https://doi.org/10.1561/1500000019), with the idf
that Lucene uses, which is never negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

K1, B = 1.2, 0.75


@dataclass(frozen=True)
class Postings:
    """The entries that have each token, and what the token adds to their scores.

    Token ids are 0 to V - 1; V stands for all tokens that no entry has.

    Attributes:
        entries: N.
        splits: int64 [V + 2]; the postings of token t are splits[t] to splits[t + 1].
        entry: int32 [P], the number of the entry of each posting.
        impact: float32 [P], what it adds to the entry's score for each time that the question has
            the token.
        idf: float32 [V + 1], the weight of each token in a question.
    """

    entries: int
    splits: np.ndarray
    entry: np.ndarray
    impact: np.ndarray
    idf: np.ndarray


def build_postings(tokens: Sequence[np.ndarray], unknown: int | None) -> Postings:
    """Compute the statistics of N entries.

    Args:
        tokens: The token ids of each entry, int [.].
        unknown: The id of the unknown token, which says nothing and is left out; None for none.
    """
    lengths = np.array([len(row) for row in tokens], np.int64)
    entry, flat = np.repeat(np.arange(len(tokens)), lengths), np.concatenate(tokens).astype(int)
    size = int(flat.max(initial=0)) + 1
    kept = flat != (-1 if unknown is None else unknown)
    # By token, and within one by entry.
    keys, counts = np.unique(flat[kept] * len(tokens) + entry[kept], return_counts=True)
    token, entry = np.divmod(keys, len(tokens))
    having = np.bincount(token, minlength=size + 1)
    idf = np.log1p((len(tokens) - having + 0.5) / (having + 0.5))
    long = lengths[entry] / max(lengths.mean(), 1.0)
    impact = idf[token] * counts / (counts + K1 * (1 - B + B * long))
    return Postings(
        len(tokens),
        np.concatenate([[0], np.cumsum(having)]).astype(np.int64),
        entry.astype(np.int32),
        impact.astype(np.float32),
        idf.astype(np.float32),
    )


class Lexical(tf.Module):
    """The scores of questions in a graph.

    Args:
        postings: The statistics of the entries.
    """

    def __init__(self, postings: Postings):
        super().__init__()
        self._entries, self._absent = postings.entries, len(postings.idf) - 1
        self._splits = tf.Variable(postings.splits, trainable=False, name="splits")
        self._entry = tf.Variable(postings.entry, trainable=False, name="entry")
        self._impact = tf.Variable(postings.impact, trainable=False, name="impact")
        self._idf = tf.Variable(postings.idf, trainable=False, name="idf")

    def __call__(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        """Return the scores of all entries, float32 [B, N], for ragged int32 [B, tokens]."""
        rows, width = tokens.nrows(tf.int64), self._absent + 1
        ids = tf.cast(tf.minimum(tokens.values, self._absent), tf.int64)
        # Each token once with its count: a text that repeats a frequent one takes no more memory.
        of_row = tf.cast(tokens.value_rowids(), tf.int64)
        keys, _, counts = tf.unique_with_counts(of_row * width + ids)
        row, token, times = keys // width, keys % width, tf.cast(counts, tf.float32)
        whole = tf.math.unsorted_segment_sum(tf.gather(self._idf, token) * times, row, rows)

        start, end = tf.gather(self._splits, token), tf.gather(self._splits, token + 1)
        place = tf.ragged.range(start, end).flat_values
        first = tf.repeat(row * self._entries, end - start)
        added = tf.gather(self._impact, place) * tf.repeat(times, end - start)
        scores = tf.math.unsorted_segment_sum(
            added, first + tf.cast(tf.gather(self._entry, place), tf.int64), rows * self._entries
        )
        shaped = tf.reshape(scores, tf.stack([rows, self._entries]))
        return tf.math.divide_no_nan(shaped, whole[:, tf.newaxis])

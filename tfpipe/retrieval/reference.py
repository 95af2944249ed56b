"""The scores of an index computed by NumPy and SciPy in float64: what the graph is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from tfpipe.retrieval.lexical import K1, B
from tfpipe.retrieval.text_encoder import TextEncoder

BATCH = 64


@dataclass(frozen=True)
class Asked:
    """Q questions as the encoder gives them.

    Attributes:
        vectors: float32 [Q, H]; None without a dense half.
        tokens: The token ids of each; None without a lexical half.
        blank: bool [Q], whether nothing but blanks is asked.
    """

    vectors: np.ndarray | None
    tokens: Sequence[np.ndarray] | None
    blank: np.ndarray

    def part(self, rows: slice) -> Asked:
        """Select some of the questions."""
        vectors = None if self.vectors is None else self.vectors[rows]
        tokens = None if self.tokens is None else self.tokens[rows]
        return Asked(vectors, tokens, self.blank[rows])


def ask(encoder: TextEncoder, texts: Sequence[str | bytes], reference: Reference) -> Asked:
    """Encode questions for the halves that a reference has."""
    as_bytes = [text.encode() if isinstance(text, str) else text for text in texts]
    return Asked(
        encoder.embed_all(as_bytes, BATCH) if reference.has_dense else None,
        encoder.tokenize_all(as_bytes) if reference.has_lexical else None,
        np.array([not text.strip() for text in as_bytes], bool),
    )


class Reference:
    """Scores of N entries.

    Args:
        vectors: float32 [N, H]; None without a dense half.
        tokens: The token ids of each entry; None without a lexical half.
        unknown: The id of the unknown token; None for none.

    Attributes:
        entries: N.
        has_dense: Whether vectors are given.
        has_lexical: Whether tokens are given.
    """

    def __init__(
        self,
        vectors: np.ndarray | None,
        tokens: Sequence[np.ndarray] | None,
        unknown: int | None,
    ):
        self.entries = len(vectors if vectors is not None else tokens or ())
        self.has_dense, self.has_lexical = vectors is not None, tokens is not None
        self._vectors = None if vectors is None else vectors.astype(np.float64)
        self._unknown = -1 if unknown is None else unknown
        if tokens is None:
            return
        lengths = np.array([len(row) for row in tokens], float)
        self._size = int(max(row.max(initial=0) for row in tokens)) + 2
        counts = self._count(tokens)
        having = np.diff(counts.tocsc().indptr)
        # The last column has no entry: it stands for all tokens that none has.
        self._idf = np.log(1 + (len(tokens) - having + 0.5) / (having + 0.5))
        long = K1 * (1 - B + B * lengths / max(lengths.mean(), 1.0))
        found = counts.tocoo()
        impact = self._idf[found.col] * found.data / (found.data + long[found.row])
        self._impact = csr_matrix((impact, (found.row, found.col)), shape=counts.shape)

    def dense(self, asked: Asked) -> np.ndarray:
        """Return the cosines, negative ones as 0, float64 [Q, N]."""
        assert self._vectors is not None and asked.vectors is not None
        return np.clip(asked.vectors.astype(np.float64) @ self._vectors.T, 0.0, 1.0)

    def lexical(self, asked: Asked) -> np.ndarray:
        """Return the lexical scores, float64 [Q, N]."""
        assert asked.tokens is not None
        last = self._size - 1
        known = [np.minimum(row, last) for row in asked.tokens]
        unknown = [np.where(row == self._unknown, last, row) for row in known]
        counts = self._count(unknown)
        whole = (counts @ self._idf)[:, np.newaxis]
        covered = (counts @ self._impact.T).toarray()
        return np.divide(covered, whole, out=np.zeros_like(covered), where=whole > 0)

    def scores(self, asked: Asked, weight: float) -> np.ndarray:
        """Return the scores of all entries, float64 [Q, N]; 0 of a question without a text."""
        parts = []
        if asked.vectors is not None:
            parts.append(weight * self.dense(asked))
        if asked.tokens is not None:
            parts.append((1 - weight) * self.lexical(asked))
        return sum(parts) * ~asked.blank[:, np.newaxis]

    def _count(self, tokens: Sequence[np.ndarray]) -> csr_matrix:
        """Return how often each token is in each text, [texts, size]."""
        rows = np.repeat(np.arange(len(tokens)), [len(row) for row in tokens])
        flat = np.concatenate([*tokens, np.empty(0, int)]).astype(int)
        kept = flat != self._unknown
        ones = np.ones(int(kept.sum()))
        return csr_matrix((ones, (rows[kept], flat[kept])), shape=(len(tokens), self._size))

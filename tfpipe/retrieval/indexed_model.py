"""The graph of an index: a text in, the best entries out, in core TensorFlow operations."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.exporting.saved_model import make_info_table
from tfpipe.retrieval.entries import Entries
from tfpipe.retrieval.lexical import Lexical, Postings
from tfpipe.retrieval.text_encoder import TextEncoder

# Of the scores that are held at once: more texts are answered in parts.
MOST_SCORES = 2**20
NO_SCORE = -1.0


@dataclass(frozen=True)
class Search:
    """How entries are ranked.

    Attributes:
        weight: Share of the dense score in a score: 1 for it alone, 0 for the lexical one alone.
        floor: Least score of an entry in an answer.
        top_k: Entries in an answer.
    """

    weight: float
    floor: float
    top_k: int


@dataclass(frozen=True)
class Statistics:
    """What is computed of N entries before they can be searched.

    Attributes:
        vectors: float32 [N, H], of length 1; None without a dense half.
        postings: Of the tokens; None without a lexical half.
    """

    vectors: np.ndarray | None
    postings: Postings | None


class IndexedModel(tf.Module):
    """Encoder, vectors, token statistics, ids and answers in one SavedModel.

    `serving_default` takes `text` string [B] and gives `id`, `answer` (string), `score` (float32)
    and, of a table with further columns, `payload` (string), each [B, K]; unused places hold "" and
    -1. `info` takes nothing and gives one JSON string. A score is weight * max(0, cosine) +
    (1 - weight) * lexical score, from 0 to 1.

    Args:
        encoder: The encoder of entries and questions.
        entries: The N entries.
        statistics: Their vectors and token statistics.
        search: How they are ranked.
        info: The answer of `info`, as JSON can hold it.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        entries: Entries,
        statistics: Statistics,
        search: Search,
        info: Any,
    ):
        super().__init__()
        self._encoder, self._search = encoder, search
        # Of the opened export its weights and tables alone are tracked: not its `info`.
        self._vectors, self._lexical = _of_halves(statistics, search.weight)
        self.weights = None if self._vectors is None else encoder.module.weights
        self.tokenizer = encoder.module.tokenizer
        self._source = tempfile.TemporaryDirectory()
        self._info = make_info_table(Path(self._source.name), info)
        self._count = len(entries)
        with tf.device("CPU:0"):
            self._texts = {
                name: tf.Variable(tf.constant([*values, ""]), trainable=False)
                for name, values in _columns_of(entries)
            }
        compiled = partial(tf.function, autograph=False)
        texts = tf.TensorSpec([None], tf.string, name="text")
        self.serve = compiled(self._serve, input_signature=[texts])
        self.describe = compiled(self._describe, input_signature=[])

    def save(self, folder: str) -> None:
        """Write the SavedModel."""
        signatures = {"serving_default": self.serve, "info": self.describe}
        tf.saved_model.save(self, folder, signatures=signatures)

    def _serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = max(1, MOST_SCORES // self._count)
        parts = (tf.shape(text)[0] + rows - 1) // rows

        def answer(
            part: tf.Tensor, scores: tf.TensorArray, numbers: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.TensorArray, tf.TensorArray]:
            values, chosen = self._rank(text[part * rows : (part + 1) * rows])
            return part + 1, scores.write(part, values), numbers.write(part, chosen)

        width = [None, self._search.top_k]
        arrays = [
            tf.TensorArray(dtype, parts, infer_shape=False, element_shape=width)
            for dtype in (tf.float32, tf.int32)
        ]
        _, scores, numbers = tf.while_loop(
            lambda part, *_: part < parts, answer, (0, *arrays), parallel_iterations=1
        )
        score, number = scores.concat(), numbers.concat()
        columns = {name: tf.gather(values, number) for name, values in self._texts.items()}
        return {**columns, "score": score}

    def _rank(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the best scores and the numbers of their entries, both [B, K]; unused: -1, N."""
        search, found = self._search, min(self._search.top_k, self._count)
        score, number = tf.math.top_k(self._score(text), found)
        unused = [[0, 0], [0, search.top_k - found]]
        score = tf.pad(score, unused, constant_values=NO_SCORE)
        number = tf.pad(number, unused)
        blank = tf.equal(tf.strings.length(tf.strings.strip(text)), 0)[:, tf.newaxis]
        used = (score > 0) & (score >= search.floor) & ~blank
        return tf.where(used, score, NO_SCORE), tf.where(used, number, self._count)

    def _score(self, text: tf.Tensor) -> tf.Tensor:
        """Return the scores of all entries, float32 [B, N]."""
        scores = tf.zeros([])
        if self._vectors is not None:
            cosine = tf.matmul(self._encoder.embed(text), self._vectors, transpose_b=True)
            scores = self._search.weight * tf.clip_by_value(cosine, 0.0, 1.0)
        if self._lexical is not None:
            with tf.device("CPU:0"):
                lexical = self._lexical(self._encoder.tokenize(text))
            scores += (1 - self._search.weight) * lexical
        return scores

    def _describe(self) -> dict[str, tf.Tensor]:
        return {"info": self._info.lookup(tf.constant(0, tf.int64))}


def _of_halves(statistics: Statistics, weight: float) -> tuple[tf.Variable | None, Lexical | None]:
    """Return the vectors and the lexical scores, each None where it has no share in a score."""
    vectors, postings = statistics.vectors, statistics.postings
    return (
        None if vectors is None or weight == 0 else tf.Variable(vectors, trainable=False),
        None if postings is None or weight == 1 else Lexical(postings),
    )


def _columns_of(entries: Entries) -> list[tuple[str, Sequence[str]]]:
    columns = [("id", entries.ids), ("answer", entries.answers)]
    return columns + ([("payload", entries.payloads)] if entries.payloads else [])

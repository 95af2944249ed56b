"""BERT's tokenizer as a TensorFlow graph: the one tokenizer of training, evaluation and serving.

Its ids and offsets equal those of transformers' BertTokenizerFast, which the tests compare with.
Nothing but core TensorFlow operations is used and no file is needed beside the graph, so a model
exported with its tokenizer takes raw strings wherever TensorFlow runs.

    strings -> code points -> words -> pieces -> [CLS] ids [SEP]
               normalizer.py           wordpiece.py   packing.py
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import tensorflow as tf

from tfpipe.data.tokenizer.bert_inputs import SpecialIds, pack
from tfpipe.data.tokenizer.wordpiece import unicode_tables
from tfpipe.data.tokenizer.wordpiece.normalizer import Normalizer, keep_first
from tfpipe.data.tokenizer.wordpiece.pieces import WordPiece, rows_of
from tfpipe.data.tokenizer.wordpiece.vocabulary import (
    CLS,
    PAD,
    SEP,
    UNK,
    Rules,
    Vocabulary,
    read_folder,
    write_folder,
)
from tfpipe.errors import UserError

T = TypeVar("T")
Texts: TypeAlias = "Sequence[str] | Sequence[bytes] | tf.Tensor"


class Tokenizer(tf.Module):
    """Tokenizer from texts to token ids, eager and inside any graph.

    Texts are str, or bytes in UTF-8, where invalid bytes count like `bytes.decode("utf-8",
    "replace")`. A text that spells a special token, such as "[SEP]", is text like any other.

    Args:
        vocabulary: The tokens in the order of their ids.
        lower_case: Whether texts are lower-cased.
        strip_accents: Whether accents are removed; None follows lower_case.
        split_chinese: Whether Chinese characters are words of their own.

    Raises:
        UserError: The vocabulary lacks [CLS], [SEP], [PAD] or [UNK], or texts are not strings.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        lower_case: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
    ):
        super().__init__()
        self._vocabulary = Vocabulary(vocabulary)
        self._rules = Rules(lower_case, strip_accents, split_chinese)
        ids = self._vocabulary.ids
        self.cls_id, self.sep_id, self.pad_id, self.unk_id = (ids[t] for t in (CLS, SEP, PAD, UNK))
        # A tokenizer may be made while a graph is being traced; its tables belong to no graph.
        with tf.init_scope(), tf.device("CPU:0"):
            self._normalizer = Normalizer(lower_case, self._rules.strips_accents, split_chinese)
            self._wordpiece = WordPiece(ids, self.unk_id)
        self._compiled = _Compiled()

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> Tokenizer:
        """Load the tokenizer of a model's folder.

        It is read from vocab.txt or tokenizer.json, and tokenizer_config.json.

        Raises:
            UserError: It is not a BERT WordPiece tokenizer.
        """
        vocabulary, rules = read_folder(Path(folder))
        return cls(vocabulary.tokens, rules.lower_case, rules.strip_accents, rules.split_chinese)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the files from which `from_folder` and transformers load an equal tokenizer."""
        write_folder(Path(folder), self._vocabulary, self._rules)

    @property
    def vocabulary(self) -> list[str]:
        """The tokens in the order of their ids."""
        return list(self._vocabulary.tokens)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all that determines ids: vocabulary, rules and Unicode tables."""
        rules = [self._rules.lower_case, self._rules.strips_accents, self._rules.split_chinese]
        content = json.dumps([self._vocabulary.tokens, rules, unicode_tables.digest()])
        return hashlib.sha256(content.encode()).hexdigest()

    def tokenize(self, texts: Texts) -> tf.RaggedTensor:
        """Return token ids without special tokens: ragged int32 [texts, tokens]."""
        return self._run("tokenize", self._tokenize, [texts])

    def tokenize_with_offsets(
        self, texts: Texts
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Return token ids, and where each token starts and ends (exclusive) in its text.

        All are ragged int32 [texts, tokens]; offsets are in Unicode code points.
        """
        return self._run("tokenize_with_offsets", self._tokenize_with_offsets, [texts])

    def __call__(
        self, texts: Texts, text_pairs: Texts | None = None, max_length: int = 128
    ) -> dict[str, tf.Tensor]:
        """Return BERT's inputs: input_ids, token_type_ids, attention_mask: int32 [texts, longest].

        Inputs longer than `max_length` tokens lose the end of the longer text first; special tokens
        are never cut.

        Raises:
            UserError: `max_length` leaves no tokens for text.
        """
        least = 3 if text_pairs is None else 4
        if max_length < least:
            raise UserError(
                "The maximum length has no room for text.",
                f"max_length {max_length}, and {least - 1} tokens are special ones",
                f"Set it to {least} or more.",
            )

        special = SpecialIds(self.cls_id, self.sep_id, self.pad_id)

        def encode(texts: tf.Tensor) -> dict[str, tf.Tensor]:
            # A word is a token or more, so words beyond the room cannot matter.
            return pack(self._tokenize(texts, max_length - 2), None, special, max_length)

        def encode_pairs(texts: tf.Tensor, pairs: tf.Tensor) -> dict[str, tf.Tensor]:
            # Which text is cut depends on the true number of tokens of both.
            return pack(self._tokenize(texts), self._tokenize(pairs), special, max_length)

        if text_pairs is None:
            return self._run(f"text {max_length}", encode, [texts])
        return self._run(f"pair {max_length}", encode_pairs, [texts, text_pairs])

    def _run(self, name: str, function: Callable[..., T], columns: list[Texts]) -> T:
        """Call a function of string tensors: as part of the graph being built, or compiled."""
        tensors = [to_string_tensor(column) for column in columns]
        if not tf.executing_eagerly():
            return function(*tensors)
        compiled: Callable[..., T] = self._compiled.get(name, function, len(tensors))
        return compiled(*tensors)

    def _tokenize(self, texts: tf.Tensor, most_words: int | None = None) -> tf.RaggedTensor:
        # Strings live on the CPU; on another device the many small steps would only travel.
        with tf.device("CPU:0"):
            words = self._normalizer.split(texts)
            words = words if most_words is None else keep_first(words, most_words)
            pieces = self._wordpiece.encode(words)
            row_splits = tf.gather(pieces.word_splits, words.row_splits)
            return tf.RaggedTensor.from_row_splits(pieces.ids, row_splits, validate=False)

    def _tokenize_with_offsets(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        with tf.device("CPU:0"):
            words = self._normalizer.split(texts)
            pieces = self._wordpiece.encode(words)
            row_splits = tf.gather(pieces.word_splits, words.row_splits)
            row = rows_of(row_splits, tf.size(pieces.ids, tf.int64))
            text_start = tf.gather(words.text_starts, row)
            start = tf.gather(words.sources, pieces.firsts) - text_start
            end = tf.gather(words.sources, pieces.limits - 1) - text_start + 1
            ids, starts, ends = (
                tf.RaggedTensor.from_row_splits(tf.cast(x, tf.int32), row_splits, validate=False)
                for x in (pieces.ids, start, end)
            )
            return ids, starts, ends


class _Compiled:
    """Traced functions for eager calls, in a plain object so that no export saves them too."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}

    def get(self, name: str, function: Callable[..., Any], columns: int) -> Callable[..., Any]:
        """Return the compiled form of a function of `columns` string vectors, cached by name."""
        if name not in self._functions:
            signature = [tf.TensorSpec([None], tf.string)] * columns
            self._functions[name] = tf.function(function, signature, autograph=False)
        return self._functions[name]


def to_string_tensor(texts: Any) -> tf.Tensor:
    """Convert to string [texts]; raises UserError for anything but a list or vector of strings."""
    if tf.is_tensor(texts):
        if texts.dtype != tf.string or texts.shape.rank not in (None, 1):
            raise _not_texts(f"a tensor of {texts.dtype.name} with shape {texts.shape}")
        return texts
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise _not_texts(f"{texts!r} ({type(texts).__name__})")
    texts = list(texts)
    for i, text in enumerate(texts):
        if isinstance(text, str):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise UserError(
                    "A text is not valid Unicode.",
                    f"text number {i} (from 0): {error}",
                    "Remove its lone surrogates: text.encode('utf-8', 'replace').decode().",
                ) from error
        elif not isinstance(text, bytes):
            raise _not_texts(f"{text!r} ({type(text).__name__}) as number {i} (from 0)")
    return tf.constant(texts, tf.string, [len(texts)])


def _not_texts(found: str) -> UserError:
    return UserError(
        "Texts must be a list, or a vector, of strings.",
        found,
        "Give strings only; put an empty string where a text is missing.",
    )

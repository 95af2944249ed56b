"""A tokenizer as a TensorFlow graph: the one of training, evaluation and serving.

Nothing but core TensorFlow operations is used and no file is needed beside the graph, so a model
exported with its tokenizer takes raw strings wherever TensorFlow runs. There are two kinds of
tokenizers; nothing outside this package depends on which one it is.

    strings -> token ids             -> input_ids, token_type_ids, attention_mask
               wordpiece/, unigram/     bert_inputs.py
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import tensorflow as tf

from tfpipe.data.arrays import UInt8Array
from tfpipe.data.tokenizer.bert_inputs import pack
from tfpipe.data.tokenizer.frame import Frame
from tfpipe.data.tokenizer.tokens import RaggedTokens
from tfpipe.data.tokenizer.unigram.folder import has_unigram
from tfpipe.data.tokenizer.unigram.unigram import Unigram
from tfpipe.data.tokenizer.wordpiece.wordpiece import WordPiece
from tfpipe.data.tokenizer.words import mark_words
from tfpipe.errors import UserError

T = TypeVar("T")
Texts: TypeAlias = "Sequence[str] | Sequence[bytes] | tf.Tensor"


class Kind(Protocol):
    """What differs between the kinds of tokenizers.

    Attributes:
        frame: The special tokens of an input.
        unk_id: The id of the unknown token.
    """

    frame: Frame
    unk_id: int

    @property
    def vocabulary(self) -> list[str]:
        """The tokens in the order of their ids."""

    @property
    def word_bits(self) -> UInt8Array:
        """What each token is to words, by id: uint8 [N], see words.py."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all that determines ids."""

    def save(self, folder: Path) -> None:
        """Write the files from which `from_folder` and transformers load an equal tokenizer."""

    def tokenize(self, texts: tf.Tensor, most_words: int | None = None) -> RaggedTokens:
        """Return the tokens of the texts, string [B], or of the first words of each."""


class Tokenizer(tf.Module):
    """Tokenizer from texts to token ids, eager and inside any graph.

    Texts are str, or bytes in UTF-8, where invalid bytes count like `bytes.decode("utf-8",
    "replace")`. A text that spells a special token, such as "[SEP]", is text like any other.

    Args:
        kind: The tokenizer of its kind.

    Attributes:
        frame: The special tokens of an input.
        unk_id: The id of the unknown token.
    """

    def __init__(self, kind: Kind):
        super().__init__()
        self._kind = kind
        self.frame, self.unk_id = kind.frame, kind.unk_id
        with tf.init_scope(), tf.device("CPU:0"):
            self._word_bits = tf.constant(kind.word_bits)
        self._compiled = _Compiled()

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> Tokenizer:
        """Load the tokenizer of a model's folder.

        It is read from vocab.txt, tokenizer.json or sentencepiece.bpe.model, and
        tokenizer_config.json.

        Raises:
            UserError: It is neither BERT's WordPiece tokenizer nor XLM-R's Unigram tokenizer.
        """
        kind = Unigram if has_unigram(Path(folder)) else WordPiece
        return cls(kind.from_folder(Path(folder)))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the files from which `from_folder` and transformers load an equal tokenizer."""
        self._kind.save(Path(folder))

    def find_new_words(self, texts: Iterable[str], most: int) -> list[str]:
        """Find words of texts to be added, the most frequent first; raises UserError for Unigram.

        Args:
            texts: The texts.
            most: Words to find at most.
        """
        return self._wordpiece().find_new_words(texts, most)

    def with_words(self, words: Sequence[str]) -> Tokenizer:
        """Return a tokenizer with words as further tokens; raises UserError for Unigram."""
        return Tokenizer(self._wordpiece().with_words(words))

    def _wordpiece(self) -> WordPiece:
        if not isinstance(self._kind, WordPiece):
            raise UserError(
                "words cannot be added to a Unigram vocabulary",
                "a tokenizer of XLM-R, whose pieces have probabilities",
                "leave out --add-words, or choose a --model with BERT's WordPiece",
            )
        return self._kind

    @property
    def vocabulary(self) -> list[str]:
        """The tokens in the order of their ids."""
        return self._kind.vocabulary

    @property
    def vocabulary_sha256(self) -> str:
        """SHA-256 (hex) over the tokens, a line each: of the bytes of a vocab.txt."""
        lines = "".join(token + "\n" for token in self.vocabulary)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all that determines ids."""
        return self._kind.fingerprint

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

    def mark_words(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return whether a word begins at each token, and whether it is part of a word.

        Args:
            ids: int32 [T], the tokens of whole texts, end to end.

        Returns:
            Both bool [T].
        """
        return mark_words(tf, tf.gather(self._word_bits, ids))

    def __call__(
        self, texts: Texts, text_pairs: Texts | None = None, max_length: int = 128
    ) -> dict[str, tf.Tensor]:
        """Return BERT's inputs: input_ids, token_type_ids, attention_mask: int32 [texts, longest].

        Inputs longer than `max_length` tokens lose the end of the longer text first; special tokens
        are never cut.

        Raises:
            UserError: `max_length` leaves no tokens for text.
        """
        frame = self.frame
        specials = frame.text_specials if text_pairs is None else frame.pair_specials
        if max_length <= specials:
            raise UserError(
                "The maximum length has no room for text.",
                f"max_length {max_length}, and {specials} tokens are special ones",
                f"Set it to {specials + 1} or more.",
            )

        def encode(texts: tf.Tensor) -> dict[str, tf.Tensor]:
            # A word is a token or more, so words beyond the capacity cannot matter.
            return pack(self._tokenize(texts, max_length - specials), None, frame, max_length)

        def encode_pairs(texts: tf.Tensor, pairs: tf.Tensor) -> dict[str, tf.Tensor]:
            # Which text is cut depends on the true number of tokens of both.
            return pack(self._tokenize(texts), self._tokenize(pairs), frame, max_length)

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
        return self._ragged(texts, most_words)[0]

    def _tokenize_with_offsets(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        ids, starts, ends = self._ragged(texts)
        return ids, starts, ends

    def _ragged(self, texts: tf.Tensor, most_words: int | None = None) -> list[tf.RaggedTensor]:
        """Ids, starts and ends; a graph leaves out what is not used of them."""
        # Strings live on the CPU; on another device the many small steps would only travel.
        with tf.device("CPU:0"):
            found = self._kind.tokenize(texts, most_words)
            return [
                tf.RaggedTensor.from_row_splits(
                    tf.cast(values, tf.int32), found.row_splits, validate=False
                )
                for values in (found.ids, found.starts, found.ends)
            ]


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

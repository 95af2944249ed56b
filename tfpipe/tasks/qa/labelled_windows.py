"""Encoded data set for question answering: windows, each with the answer's place in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpipe.data.encoded import Encoded, EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.squad import GoldAnswer
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.tasks.qa.context_windows import ContextTokens, window_contexts

CHUNK = 256


@dataclass(frozen=True)
class EncodedQADataset(EncodedDataset):
    """N questions as W windows, T tokens end to end.

    Attributes:
        encoded: Of the W windows.
        targets: `answer` int32 [W, 2], the answer's first and last token, both 0 where it is not
            wholly in the window, and `context` int32 [W, 2], the first and last token of the
            context, 1 and 0 where there is none.
        owner: int32 [W], the question of each window, in order.
        starts: int32 [T], the code points of context tokens, -1 at others.
        ends: int32 [T], the same, exclusive.
        question_lengths: int32 [N], tokens of each question with its whole context and specials.
    """

    owner: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    question_lengths: np.ndarray

    @property
    def example_of(self) -> np.ndarray:
        """The question of each window, in order: int32 [W]."""
        return self.owner

    @property
    def full_lengths(self) -> np.ndarray:
        """Tokens of each question with its whole context and specials: int32 [N]."""
        return self.question_lengths

    def rows(self, first: int, limit: int) -> slice:
        """Return the windows of the questions from `first` up to `limit`."""
        begin, end = np.searchsorted(self.owner, [first, limit])
        return slice(int(begin), int(end))

    def tokens(self, first: int, limit: int) -> ContextTokens:
        """Return the context tokens of those windows, in rows as long as the longest of them."""
        rows = self.rows(first, limit)
        splits = self.encoded.splits[rows.start : rows.stop + 1]
        of_rows = slice(splits[0], splits[-1])

        def pad(values: np.ndarray) -> tf.Tensor:
            ragged = tf.RaggedTensor.from_row_splits(values[of_rows], splits - splits[0])
            return ragged.to_tensor(-1)

        owner = tf.constant(self.owner[rows] - first, tf.int32)
        return ContextTokens(owner, pad(self.starts), pad(self.ends))


def label_windows(
    examples: Examples,
    answers: Sequence[Sequence[GoldAnswer]],
    tokenizer: Tokenizer,
    max_length: int,
    stride: int | None,
) -> EncodedQADataset:
    """Build the windows of the examples; the target of several answers is the first."""
    assert examples.text_pairs is not None
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(examples), CHUNK):
        stop = start + CHUNK
        columns = (examples.texts[start:stop], examples.text_pairs[start:stop])
        questions, contexts = (tf.constant(list(column), tf.string) for column in columns)
        windows = window_contexts(tokenizer, questions, contexts, max_length, stride)
        real = windows.inputs["attention_mask"].numpy().astype(bool)
        for name, part in (
            ("ids", windows.inputs["input_ids"].numpy()[real]),
            ("token_types", windows.inputs["token_type_ids"].numpy()[real].astype(np.uint8)),
            ("lengths", real.sum(axis=1)),
            ("owner", windows.tokens.owner.numpy() + start),
            ("starts", windows.tokens.starts.numpy()[real]),
            ("ends", windows.tokens.ends.numpy()[real]),
            ("numbers", windows.numbers.numpy()[real]),
            ("question_lengths", windows.full_lengths.numpy()),
        ):
            parts.setdefault(name, []).append(part)
    whole = {name: np.concatenate(part) for name, part in parts.items()}
    lengths, numbers = whole.pop("lengths"), whole.pop("numbers")
    splits = np.concatenate([[0], np.cumsum(lengths)])
    ids, token_types = whole.pop("ids"), whole.pop("token_types")
    # Nothing of a window was cut off: what does not fit is in the next one.
    encoded = Encoded(ids, token_types, splits, lengths.astype(np.int32), tokenizer.frame.pad)
    firsts = [several[0] if several else GoldAnswer(-1, "") for several in answers]
    begins = np.array([answer.start for answer in firsts])[whole["owner"]]
    limits = np.array([answer.start + len(answer.text) for answer in firsts])[whole["owner"]]
    targets = _find_targets(splits, whole["starts"], whole["ends"], numbers, begins, limits)
    return EncodedQADataset(examples, encoded, targets, **whole)


def _find_targets(
    splits: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    numbers: np.ndarray,
    begins: np.ndarray,
    limits: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the targets of EncodedQADataset.

    An answer that begins or ends inside a token takes the whole token.

    Args:
        splits: int64 [W + 1], the tokens of each window.
        starts: int32 [T].
        ends: int32 [T].
        numbers: int32 [T], a context token's number in its whole context.
        begins: int [W], the first code point of each window's answer, -1 for none.
        limits: int [W], the code point after it.
    """
    window = np.repeat(np.arange(len(begins)), np.diff(splits))
    column = np.arange(len(starts)) - splits[window]
    answer, context = np.zeros([2, len(begins), 2], np.int32)
    context[:, 0] = 1

    in_context = np.flatnonzero(starts >= 0)
    with_context, first, last = _ends_of_runs(window[in_context])
    context[with_context, 0] = column[in_context[first]]
    context[with_context, 1] = column[in_context[last]]

    hit = in_context[
        (ends[in_context] > begins[window[in_context]])
        & (starts[in_context] < limits[window[in_context]])
    ]
    answered, first, last = _ends_of_runs(window[hit])
    first, last = hit[first], hit[last]
    # The window may begin or end in the midst of the answer.
    whole = (starts[first] <= begins[answered]) | (numbers[first] == 0)
    whole |= column[first] > context[answered, 0]
    whole &= (ends[last] >= limits[answered]) | (column[last] < context[answered, 1])
    answer[answered[whole], 0] = column[first[whole]]
    answer[answered[whole], 1] = column[last[whole]]
    return {"answer": answer, "context": context}


def _ends_of_runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the different values of a sorted array, and the first and last index of each."""
    different, first, count = np.unique(values, return_index=True, return_counts=True)
    return different, first, first + count - 1

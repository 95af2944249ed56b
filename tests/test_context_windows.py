"""Windows over contexts: every token in one, offsets exact, the same in graphs and eagerly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hostile import HOSTILE, INVALID, PIECES, TOKENIZERS, tokenizer
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.tasks.qa.context_windows import ContextWindows, window_contexts

texts = st.lists(PIECES, max_size=40)


def window(
    questions: list,
    contexts: list,
    max_length: int,
    stride: int | None = None,
    used: Tokenizer | None = None,
) -> ContextWindows:
    strings = (tf.constant(column, tf.string) for column in (questions, contexts))
    return window_contexts(used or tokenizer(), *strings, max_length, stride)


def check(
    questions: list,
    contexts: list,
    max_length: int,
    stride: int | None,
    used: Tokenizer | None = None,
) -> None:
    """All that must be true of any windows."""
    used = used or tokenizer()
    frame = used.frame
    capacity = max_length - frame.pair_specials
    windows = window(questions, contexts, max_length, stride, used)
    ids, types, mask = (
        windows.inputs[name].numpy() for name in ("input_ids", "token_type_ids", "attention_mask")
    )
    owner, starts, ends, numbers = (x.numpy() for x in (*windows.tokens, windows.numbers))
    assert ids.shape == types.shape == mask.shape == starts.shape == ends.shape == numbers.shape
    assert ids.shape[1] <= max_length and len(owner) == len(ids)
    assert all(x.dtype == np.int32 for x in (ids, types, mask, owner, starts, ends, numbers))
    assert np.array_equal(np.unique(owner), np.arange(len(questions)))
    assert np.all(np.diff(owner) >= 0)

    asked = used.tokenize(questions).to_list()
    reported = [x.to_list() for x in used.tokenize_with_offsets(contexts)]
    for row, question in enumerate(asked):
        covered: set[int] = set()
        parts = []
        for w in np.flatnonzero(owner == row):
            length = mask[w].sum()
            assert mask[w, :length].all()
            # [CLS] question [SEP] context [SEP], and padding without meaning.
            *between, last = np.flatnonzero((ids[w] == frame.sep) & (mask[w] > 0)).tolist()
            assert ids[w, 0] == frame.cls and last == length - 1
            kept = between[0] - 1
            assert between == [*range(kept + 1, kept + 1 + frame.separators)]
            assert ids[w, 1 : kept + 1].tolist() == question[:kept]
            in_context = np.zeros(len(ids[w]), bool)
            in_context[between[-1] + 1 : last] = True
            assert np.array_equal(starts[w] >= 0, in_context)
            second = in_context | (np.arange(len(ids[w])) == last)
            assert np.array_equal(types[w], second * frame.second_type)
            assert (ids[w, length:] == frame.pad).all()
            for array in (starts, ends, numbers):
                assert (array[w, ~in_context] == -1).all()
            # Its context tokens are those of the whole context from its first on.
            part = numbers[w, in_context].tolist()
            assert part == list(range(part[0], part[0] + len(part))) if part else True
            for array, whole in zip((ids, starts, ends), reported, strict=True):
                assert array[w, in_context].tolist() == [whole[row][place] for place in part]
            assert kept >= min(len(question), capacity // 2)
            covered |= set(part)
            parts.append(part)
            # Of several windows the last may be shorter.
            full_window = kept + len(part) == capacity
            assert full_window or kept == len(question) or part[0] > 0
            assert full_window or part[-1:] in ([], [len(reported[0][row]) - 1])
        assert covered == set(range(len(reported[0][row])))
        for before, after in zip(parts, parts[1:], strict=False):
            # They move on and share at least a quarter of a full window.
            assert before[0] < after[0] and before[-1] < after[-1]
            shared = before[-1] + 1 - after[0]
            assert shared >= len(before) // 4
            assert after[0] - before[0] <= (stride or max_length // 2)
        full = frame.pair_specials + len(question) + len(reported[0][row])
        assert windows.full_lengths.numpy()[row] == full
        assert len(parts) == 1 or full > max_length


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("capacity", [1, 2, 10, 37])
@pytest.mark.parametrize("stride", [None, 1, 7, 1000])
def test_hostile_texts(kind: str, capacity: int, stride: int | None) -> None:
    used = TOKENIZERS[kind]()
    max_length = capacity + used.frame.pair_specials
    questions = ["a b?", "", "abcdefg abc d e f g", "北京"]
    rows = list(itertools.product(questions, HOSTILE))
    questions, contexts = ([row[i] for row in rows] for i in range(2))
    check(questions, contexts, max_length, stride, used)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(texts, texts), min_size=1, max_size=4),
    st.integers(4, 40),
    st.none() | st.integers(1, 30),
)
def test_any_texts(rows: list[tuple[list, list]], max_length: int, stride: int | None) -> None:
    questions, contexts = (
        [" ".join(text) for text in column] for column in zip(*rows, strict=True)
    )
    check(questions, contexts, max_length, stride)


def test_offsets_cut_the_tokens_out_of_the_text() -> None:
    context = "😀 北京 abc é." * 9
    windows = window(["a"], [context], 16)
    ids, starts, ends = (x.numpy() for x in (windows.inputs["input_ids"], *windows.tokens[1:]))
    for w, place in zip(*np.nonzero(starts >= 0), strict=True):
        piece = tokenizer().vocabulary[ids[w, place]]
        stretch = context[starts[w, place] : ends[w, place]]
        # The accent is stripped, and with it the one character that is not in the vocabulary.
        assert piece.removeprefix("##") == stretch or (piece, stretch) == ("e", "é")


def test_invalid_bytes_count_as_python_reads_them() -> None:
    for context in INVALID:
        readable = context.decode("utf-8", "replace")
        found, expected = (window(["a"], [text], 8) for text in (context, readable))
        for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_short_context_is_what_the_tokenizer_makes_of_the_pair(kind: str) -> None:
    used = TOKENIZERS[kind]()
    questions, contexts = ["a b", "", "北京 😀"], ["c d e f", "abcdefg", ""]
    windows = window(questions, contexts, 64, used=used)
    expected = used(questions, contexts, 64)
    for name, tensor in windows.inputs.items():
        assert np.array_equal(tensor, expected[name]), name


def test_no_rows_and_graphs() -> None:
    empty = window([], [], 16)
    assert empty.inputs["input_ids"].shape == (0, 1) and empty.tokens.owner.shape == (0,)

    strings = tf.TensorSpec([None], tf.string)
    graph = tf.function(
        lambda q, c: window_contexts(tokenizer(), q, c, 16), input_signature=[strings, strings]
    )
    questions = ["a b"] * len(HOSTILE)
    eager = window(questions, HOSTILE, 16)
    for one, other in zip(
        tf.nest.flatten(graph(questions, HOSTILE)), tf.nest.flatten(eager), strict=True
    ):
        assert np.array_equal(one, other)

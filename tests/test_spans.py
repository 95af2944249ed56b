"""Labels of spans, the words of a text, and the words that stand for a span."""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfpipe.data.spans import Span, format_spans, parse_spans
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError
from tfpipe.exporting.fuzz_strings import strings
from tfpipe.tasks.tag.covers import cover_spans, trim_span
from tfpipe.tasks.tag.words import find_words


@functools.cache
def tokenizer() -> Tokenizer:
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*letters, *"-'.中国", *(f"##{letter}" for letter in letters)]
    return Tokenizer(WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *pieces]))


def words_of(texts: list[str], kept: int = 10**6) -> list[list[tuple[int, int, int]]]:
    """(token, start, end) of the words of each text."""
    words = find_words(tokenizer(), tf.constant(texts, tf.string), tf.fill([len(texts)], kept))
    used, *columns = (values.numpy() for values in words)
    assert all((column[~used] == (0 if i == 0 else -1)).all() for i, column in enumerate(columns))
    rows = zip(used, *columns, strict=True)
    return [list(zip(*(c[u].tolist() for c in cs), strict=True)) for u, *cs in rows]


# ---- labels ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.sampled_from("aé人"))))
def test_what_is_written_is_read(steps: list[tuple[int, int, str]]) -> None:
    spans, place = [], 0
    for gap, length, kind in steps:
        spans.append(Span(place + gap, place + gap + length, kind))
        place += gap + length
    assert parse_spans(format_spans(spans), "x" * place) == spans


@pytest.mark.parametrize(
    "label,wrong",
    [
        ("", "not a list"),
        ("person", "not a list"),
        ('{"start": 0}', "not a list"),
        ("[" * 100_000, "not a list"),
        ("[[0, 1]]", "not [start"),
        ("[0, 1]", "not [start"),
        ('[[0, 1, ""]]', "not [start"),
        ('[[0, 1, " x"]]', "not [start"),
        ('[[0, true, "x"]]', "not [start"),
        ('[[0.0, 1, "x"]]', "not [start"),
        ('[[-1, 1, "x"]]', "outside"),
        ('[[1, 1, "x"]]', "outside"),
        ('[[3, 2, "x"]]', "outside"),
        ('[[0, 6, "x"]]', "outside"),
        ('[[0, 2, "x"], [1, 3, "x"]]', "overlap"),
        ('[[0, 2, "x"], [0, 2, "y"]]', "overlap"),
        ('[[3, 4, "x"], [0, 2, "y"]]', "order"),
    ],
)
def test_bad_labels_are_refused(label: str, wrong: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_spans(label, "hello", "a.jsonl, row 7")
    assert wrong in caught.value.wrong
    assert caught.value.found.startswith("a.jsonl, row 7: ")
    assert len(caught.value.found) < 120


# ---- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text,words",
    [
        ("Ann Lee", ["Ann", "Lee"]),
        ("don't", ["don", "'", "t"]),
        ("去中国。", ["去", "中", "国", "。"]),
        ("José Ré", ["José", "Ré"]),
        ("Jose\u0301 Re\u0301!", ["Jose\u0301", "Re\u0301", "!"]),
        ("👨\u200d👩\u200d👧 ❤\ufe0f ok", ["👨\u200d👩\u200d👧", "❤\ufe0f", "ok"]),
        ("a\u200b b", ["a\u200b", "b"]),
        ("\u200b\u0301 a", ["a"]),
        ("각하 x", ["각하", "x"]),
        ("", []),
        ("a" * 101 + " b", ["a" * 101, "b"]),
    ],
)
def test_words_as_they_stand_in_the_text(text: str, words: list[str]) -> None:
    (found,) = words_of([text])
    assert [text[start:end] for _, start, end in found] == words


def test_the_words_of_hostile_texts_are_those_of_transformers(tmp_path: Path) -> None:
    from transformers import BertTokenizerFast

    tokenizer().save(tmp_path)
    reference = BertTokenizerFast.from_pretrained(tmp_path, split_special_tokens=True)
    texts = [text for text in strings(300, 3) if isinstance(text, str)]
    encoded = reference(texts, add_special_tokens=False, return_offsets_mapping=True)
    for number, (text, found) in enumerate(zip(texts, words_of(texts), strict=True)):
        ids, offsets = encoded.word_ids(number), encoded["offset_mapping"][number]
        firsts = [i for i, word in enumerate(ids) if i == 0 or word != ids[i - 1]]
        assert [token for token, *_ in found] == [first + 1 for first in firsts]
        assert [start for _, start, _ in found] == [offsets[first][0] for first in firsts]
        limits = [*firsts, len(ids)][1:]
        for (_, _, end), limit in zip(found, limits, strict=True):
            theirs = offsets[limit - 1][1]
            # Behind their end, up to the next space or word, stands only what was dropped: by
            # the tables of an older Unicode, where some marks of today's Mc were Mn.
            assert end >= theirs
            dropped = {unicodedata.category(c) for c in text[theirs:end]}
            assert dropped <= {"Cc", "Cf", "Co", "Mn", "Mc", "So"}, (text, theirs, end)


def test_words_that_begin_behind_the_cut_are_left_out() -> None:
    assert words_of(["ab cd ef", "x"], kept=3) == [[(1, 0, 2), (3, 3, 5)], [(1, 0, 1)]]
    assert words_of(["ab cd ef"], kept=0) == [[]]
    assert words_of([]) == []


def test_neighbours_change_no_words() -> None:
    texts = [text for text in strings(40, 5) if isinstance(text, str)]
    assert words_of(texts) == [row for text in texts for row in words_of([text])]


# ---- spans and words ------------------------------------------------------------------------


def covered(text: str, *spans: tuple[int, int]) -> list[tuple[int, int, bool]]:
    (words,) = words_of([text])
    start, end = (np.array([word[i] for word in words], np.int32) for i in (1, 2))
    return [tuple(c) for c in cover_spans([Span(*s, "x") for s in spans], text, start, end)]


def test_the_words_that_stand_for_a_span() -> None:
    assert covered("Ann Lee met", (0, 7)) == [(0, 2, True)]
    assert covered("Ann Lee met", (0, 8), (8, 11)) == [(0, 2, True), (2, 3, True)]
    assert covered("Ann Lee met", (1, 7)) == [(0, 2, False)]
    assert covered("Ann Lee met", (0, 6)) == [(0, 2, False)]
    assert covered("去中国。", (1, 3)) == [(1, 3, True)]
    assert covered("anna", (0, 2), (2, 4)) == [(0, 1, False), (1, 1, False)]
    assert covered("a \u200b b", (2, 3)) == [(1, 1, False)]
    assert covered("", (0, 0)) == [(0, 0, False)]


def test_marks_and_joiners_at_the_ends_are_no_difference() -> None:
    text = "Jose\u0301 \u200bRay\u200b!"
    assert covered(text, (0, 4), (6, 11)) == [(0, 1, True), (1, 2, True)]
    assert covered(text, (0, 5), (7, 10)) == [(0, 1, True), (1, 2, True)]
    assert trim_span(Span(5, 11, "x"), text) == Span(7, 10, "x")
    assert trim_span(Span(5, 7, "x"), text) == Span(5, 7, "x")

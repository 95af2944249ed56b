"""Rows for masked language modelling: whole words, new masks in each epoch, nothing cut off."""

from __future__ import annotations

import functools
import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.multilingual import SENTENCES, multilingual_folder
from tfpipe.data.masking import PLACES, TOKENS, MaskableRows, make_rows
from tfpipe.data.segmenter import Segmenter, has_chinese
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
PIECES = [*"abcdefgh", *(f"##{letter}" for letter in "abcdefgh"), *"我要退款的钱"]
TEXTS = ["abc de f gh", "", "abcdefgh " * 12 + "a b c", "我要退款", " ", "d"]


@functools.cache
def tokenizer() -> Tokenizer:
    return Tokenizer(WordPiece([*SPECIAL, "[MASK]", *PIECES]))


def decoded(rows: MaskableRows) -> list[list[int]]:
    encoded = rows.encoded
    return [encoded.ids[a + 1 : b - 1].tolist() for a, b in pairwise(encoded.splits)]


def words_of(rows: MaskableRows, row: int) -> list[int]:
    start, end = rows.encoded.splits[row : row + 2]
    return rows.words[start:end].tolist()


def test_rows_have_all_tokens_of_the_texts() -> None:
    made = tokenizer()
    rows = make_rows(TEXTS, made, 12, None)
    assert rows.encoded.lengths.max() == 12 and rows.encoded.lengths.min() == 3
    tokens = [token for text in TEXTS for token in made.tokenize([text]).numpy()[0].tolist()]
    assert [token for row in decoded(rows) for token in row] == tokens
    ids, splits = rows.encoded.ids, rows.encoded.splits
    assert {*ids[splits[:-1]]} == {made.frame.cls} and {*ids[splits[1:] - 1]} == {made.frame.sep}
    first = words_of(rows, 0)
    assert first[0] == first[-1] == -1 and first[1:-1] == [0, 0, 0, 1, 1, 2, 3, 3]
    # A row that begins within a word begins with one.
    assert words_of(rows, 2)[1] == words_of(rows, 1)[-2] + 1


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_masks_are_of_whole_words(share: float) -> None:
    rows = make_rows(TEXTS * 50, tokenizer(), 40, None)
    masked = rows.mask(share, (1, 0))
    places, tokens = masked.targets[PLACES], masked.targets[TOKENS]
    changed = 0
    for row, (start, end) in enumerate(pairwise(rows.encoded.splits)):
        own = places[row][places[row] >= 0]
        assert len(own) >= 1
        np.testing.assert_array_equal(tokens[row][: len(own)], rows.encoded.ids[start + own])
        words = rows.words[start:end]
        inside = np.isin(words, words[own]) & (words >= 0)
        assert np.flatnonzero(inside).tolist() == sorted(own)
        if len(set(words[own])) > 1:
            assert len(own) <= max(1, round(share * (end - start - 2)))
        others = np.delete(np.arange(start, end), own)
        assert (masked.encoded.ids[others] == rows.encoded.ids[others]).all()
        changed += int((masked.encoded.ids[start + own] == rows.mask_id).sum())
    assert 0.75 < changed / (places >= 0).sum() < 0.85
    # The replaced ones are no special tokens.
    assert masked.encoded.ids.max() < len(tokenizer().vocabulary)


def test_a_mask_follows_from_its_seed() -> None:
    rows = make_rows(TEXTS * 5, tokenizer(), 40, None)
    one, again, other = (rows.mask(0.15, seed) for seed in ((1, 0), (1, 0), (1, 1)))
    np.testing.assert_array_equal(one.encoded.ids, again.encoded.ids)
    np.testing.assert_array_equal(one.targets[PLACES], again.targets[PLACES])
    assert one.targets[PLACES].shape == other.targets[PLACES].shape
    assert (one.targets[PLACES] != other.targets[PLACES]).any()


def test_chinese_words_are_those_of_the_segmenter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    assert Segmenter.find() is None
    words = {"我要退款": [("我", 0, 1), ("要", 1, 2), ("退款", 2, 4)]}
    jieba = SimpleNamespace(
        setLogLevel=lambda level: None,
        tokenize=lambda text: words.get(text, [("我的", 0, 2), (" ab ", 2, 6), ("钱", 6, 7)]),
    )
    monkeypatch.setitem(sys.modules, "jieba", jieba)
    texts = ["我要退款", "ab c", "我的 ab 钱"]
    assert has_chinese(texts) and not has_chinese(["ab c", ""])
    rows = make_rows(texts, tokenizer(), 16, Segmenter.find())
    assert words_of(rows, 0)[1:-1] == [0, 1, 2, 2]
    assert words_of(rows, 1)[1:-1] == [3, 3, 4]
    assert words_of(rows, 2)[1:-1] == [5, 5, 6, 6, 7]
    assert words_of(make_rows(texts, tokenizer(), 16, None), 0)[1:-1] == [0, 1, 2, 3]


def test_pieces_of_xlm_r() -> None:
    made = Tokenizer.from_folder(multilingual_folder())
    rows = make_rows(["unplastic whereabouts, 退款", *SENTENCES], made, 128, None)
    assert made.vocabulary[rows.mask_id] == "<mask>"
    first = [made.vocabulary[token] for token in decoded(rows)[0]]
    begins = np.diff([-1, *words_of(rows, 0)[1:-1]]) > 0
    starts = [piece.startswith("▁") and piece != "▁" for piece in first]
    assert begins[starts].all() and not begins.all()
    masked = rows.mask(0.15, (1,))
    assert (masked.encoded.ids == rows.mask_id).any()


def test_what_is_refused() -> None:
    with pytest.raises(UserError, match="no token for what is masked"):
        make_rows(TEXTS, Tokenizer(WordPiece([*SPECIAL, *PIECES])), 12, None)
    with pytest.raises(UserError, match="no text has a word"):
        make_rows(["", " "], tokenizer(), 12, None)

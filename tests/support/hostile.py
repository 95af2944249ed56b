"""Tokenizers of few words, of both kinds, and texts that are hard to cut into windows."""

from __future__ import annotations

import functools

from hypothesis import strategies as st

from tests.support.multilingual import multilingual_folder
from tfpipe.data.tokenizer import Tokenizer, WordPiece

LETTERS = "abcdefg"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
WORDS += ["北", "京", "é", "😀", "##😀", ".", "?"]
HOSTILE = [
    "",
    " \t\n",
    "a",
    "北京 abc 北京。",
    "我的卡在哪里？" * 30,
    "😀a😀 👩‍👩‍👧 b\u200bc",
    "e\u0301a\u0300 \ufb01 ﷺ 한국어",
    "a\u0000b \ufeff c \u202eab",
    "[SEP] [CLS] a [PAD]",
    "abcdefg" * 30,
    "x" * 500,
    "a b c d e f g. " * 20,
]
INVALID = [
    *(b"a\xffb c" * 9, b"\xf0\x9f\x98 a\xe5\x8c b", b"\xed\xa0\x80 abc \xc0\x80 g", b"\xff" * 9)
]
PIECES = st.sampled_from(["a", "bc", "defg", "北", "京", "😀", "é", "."])


@functools.cache
def tokenizer() -> Tokenizer:
    """The tokenizer of WORDS."""
    return Tokenizer(WordPiece(WORDS))


@functools.cache
def multilingual() -> Tokenizer:
    """The tokenizer of `multilingual_folder`."""
    return Tokenizer.from_folder(multilingual_folder())


# By whose kind they are.
TOKENIZERS = {"BERT": tokenizer, "XLM-R": multilingual}

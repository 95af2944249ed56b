"""Where words begin among tokens, for tagging."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.data.tokenizer.words import classify_pieces, classify_wordpieces, mark_words

# The unknown token, and pieces that begin, end and are words.
PIECES = [
    "<unk>",
    "▁",
    "▁Ann",
    "a",
    "北",
    "▁北京",
    "里木",
    "·",
    "'s",
    "▁(",
    "😀",
    ".)",
    "か",
    "的a",
]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        # Of each word its letters, and | in front of it.
        (["▁Ann", "a", "a"], "|Ann a a"),
        (["▁", "北", "北", "a"], "_ |北 |北 |a"),
        (["▁北京", "里木", "a", "a"], "|北京 |里木 |a a"),
        # Of a piece only both ends are looked at.
        (["▁Ann", "的a", "a"], "|Ann |的a a"),
        (["▁Ann", "'s", "a", "·", "a"], "|Ann |'s a |· |a"),
        (["▁(", "a", ".)", "a"], "|( |a |.) |a"),
        # A sign that BERT takes for a letter is one.
        (["▁", "😀", "😀", "北"], "_ |😀 😀 |北"),
        (["▁Ann", "か", "か"], "|Ann か か"),
        # What is unknown is often a rare Chinese character.
        (["▁Ann", "<unk>", "a", "▁", "<unk>", "北"], "|Ann |<unk> |a _ |<unk> |北"),
        (["▁Ann", "▁", "▁", "▁Ann"], "|Ann _ _ |Ann"),
        ([], ""),
    ],
)
def test_words_of_pieces(pieces: list[str], expected: str) -> None:
    bits = classify_pieces(PIECES, PIECES.index("<unk>"))
    of_tokens = bits[[PIECES.index(piece) for piece in pieces]].astype(np.uint8)
    for found in (mark_words(np, of_tokens), mark_words(tf, tf.constant(of_tokens, tf.uint8))):
        shown = [
            ("|" * bool(begins) + piece.removeprefix("▁")) if inside else "_"
            for piece, begins, inside in zip(pieces, *map(np.array, found), strict=True)
        ]
        assert " ".join(shown) == expected


def test_words_of_wordpieces() -> None:
    bits = classify_wordpieces(["[UNK]", "ann", "##a", "北"])
    begins, inside = mark_words(np, bits[[1, 2, 2, 3, 3, 0, 1]])
    assert begins.tolist() == [True, False, False, True, True, True, True]
    assert inside.all()

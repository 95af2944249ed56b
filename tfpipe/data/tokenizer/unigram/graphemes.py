"""Where `tokenizers` joins code points to one character: Unicode's grapheme clusters (UAX #29).

`graphemes.bin` holds facts about single code points. They were learnt by watching which ones the
normalizer `Precompiled` of the HuggingFace `tokenizers` library replaces together, because that
depends on the version of Unicode that the library was built with.

    python -m tfpipe.data.tokenizer.unigram.graphemes

learns the facts again and rewrites the file.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfpipe.data.arrays import BoolArray, UInt8Array
from tfpipe.data.tokenizer.unigram.charsmap import build

TABLE_FILE = Path(__file__).with_name("graphemes.bin")
CODE_POINTS = 0x110000

# What is known about a code point; several may be true.
ATTACHES = 1  # joins what is in front of it (Extend, SpacingMark, ZWJ)
PREPENDS = 2  # joins what is behind it (Prepend)
CONTROLS = 4  # joins nothing (Control, CR, LF)
PICTURES = 8  # with a zero width joiner between them two of these are one (rule GB11)
EXTENDS = 16  # may lie between a picture and the joiner
CONSONANTS = 32  # with a linker between them two of these are one (rule GB9c)
LINKERS = 64
BETWEEN = 128  # may lie between a consonant and a linker
JOINER = 0x200D


@functools.cache
def load() -> UInt8Array:
    """Load what is known about each code point: uint8 [CODE_POINTS], a sum of the above."""
    with np.load(TABLE_FILE) as archive:
        facts: UInt8Array = archive["facts"]
    return facts


@functools.cache
def digest() -> str:
    """Return the SHA-256 over the facts (not over the file, whose compression may differ)."""
    return hashlib.sha256(load().tobytes()).hexdigest()


def learn() -> UInt8Array:
    """Ask the `tokenizers` library about every code point; takes about half a minute."""
    attaches = _ask("a", lambda c: f"a{c}", lambda answer: answer == "Y")
    prepends = _joins("a", lambda c: c)
    # Behind a control character a mark is a character, which the next mark joins.
    controls = _ask("\u0300", lambda c: f"{c}\u0300\u0301", lambda answer: answer[-1] == "Y")
    pictures = _joins("\u2122", lambda c: f"{c}\u200d")
    extends = _joins("\u2122", lambda c: f"\u2122{c}\u200d")
    consonants = _joins("\u0958", lambda c: f"{c}\u094d")
    linkers = _joins("\u0958", lambda c: f"\u0915{c}")
    between = _joins("\u0958", lambda c: f"\u0915{c}\u094d")
    facts = {
        ATTACHES: attaches,
        PREPENDS: prepends,
        CONTROLS: controls,
        PICTURES: pictures & ~prepends,
        EXTENDS: extends & attaches,
        CONSONANTS: consonants & ~prepends,
        LINKERS: linkers & attaches,
        BETWEEN: between & attaches & ~linkers,
    }
    return sum((bit * one for bit, one in facts.items()), np.zeros(CODE_POINTS)).astype(np.uint8)


def _joins(key: str, front: Callable[[str], str]) -> BoolArray:
    """Whether what is made of each code point joins a key behind it: bool [CODE_POINTS].

    The key with a mark has fewer than 6 bytes: by itself it would be replaced, without the mark.
    """
    return _ask(key, lambda c: f"{front(c)}{key}\u0301", lambda answer: answer[-1] != "Y")


def _ask(key: str, text: Callable[[str], str], accept: Callable[[str], bool]) -> BoolArray:
    """Whether to accept what the text made of each code point becomes, with Y in place of a key."""
    from tokenizers.normalizers import Precompiled

    normalizer = Precompiled(build({key: "Y"}))
    answers = np.zeros(CODE_POINTS, bool)
    for code in range(CODE_POINTS):
        if not 0xD800 <= code < 0xE000:
            answers[code] = accept(normalizer.normalize_str(text(chr(code))))
    return answers


if __name__ == "__main__":
    with TABLE_FILE.open("wb") as file:
        np.savez_compressed(file, facts=learn())
    load.cache_clear()
    print(f"{TABLE_FILE}: {TABLE_FILE.stat().st_size} bytes, sha256 {digest()}")

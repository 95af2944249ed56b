"""Random strings that a tokenizer is most likely to treat differently from its reference."""

from __future__ import annotations

import functools
import random
import sys
import unicodedata
from collections.abc import Iterator

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
UNIGRAM_SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]
PHRASES = [
    *SPECIAL,
    *UNIGRAM_SPECIAL,
    "\u2581",
    "\u2581the",
    "a \u2581 b",
    "##ing",
    "##",
    "[unused1]",
    "don't",
    "U.S.A.",
    "e\u0301",
    "한국어",
    "你好，世界",
]
PHRASES += ["unaffable", "e-mail", "http://x.y/?a=b&c", "naïve café", "ﬁn", "Ǆ", "\r\n", "  "]


@functools.cache
def assigned_characters() -> list[str]:
    """Return all assigned characters of Unicode, without those for private use."""
    return [
        chr(c)
        for c in range(sys.maxunicode + 1)
        if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) not in ("Cn", "Co")
    ]


@functools.cache
def alphabets() -> list[list[str]]:
    """Return the character sets that strings are made of, each as likely as any other."""
    assigned = assigned_characters()

    def of_categories(*categories: str) -> list[str]:
        return [c for c in assigned if unicodedata.category(c) in categories]

    return [
        list("abcdefghijklmnopqrstuvwxyz"),
        list("etaoinshrdlu ETAOIN"),
        list("ABC xyz 0123456789 .,:;!?'\"#-_()[]{}@$%^&*+=~`|\\/<>"),
        list(" \t\n\r\v\f\0\x1c\x1f\x7f\x85\xa0\xad\u200b\u2028\u2029\u202f\u3000\ufeff\ufffd"),
        of_categories("Cc", "Cf", "Zs", "Zl", "Zp"),
        of_categories("Mn", "Mc", "Me"),
        [c for c in assigned if unicodedata.combining(c)],
        # Marks that are not stripped and can change places, alone and with what may lie between.
        [c for c in assigned if unicodedata.combining(c) and unicodedata.category(c) != "Mn"],
        list(
            "\u302e\u302f\U0001d165\U0001d16d\U00011e00\u0301\u0316\u0344\u034f\ufe0f\u200d\x01é\U0001d160"
        ),
        [c for c in assigned if unicodedata.combining(c) and ord(c) > 0x800],
        # What composes with its mark, and what a character is shown together with.
        [*"aeiouyncszgAEOαωеи", *between(0x300, 0x345)],
        [*"かハｶﾞﾟ\u3099\u309a", *between(0x3300, 0x3357)],
        list("\u0600\u06dd\u070f\u08e2\U000110bd\u0301\u0903\u200c\u200da1あ 한\u1100\u1161\u11a8"),
        # Pictures that a joiner makes one of, and Indic letters that a virama does.
        list("👩™‼ℹ©\u200d\ufe0f\u0301\u0308"),
        [*"कगডव\u094d\u09cd\u0301\u200c\u200d\u093c", *between(0x958, 0x95F), "\u09dc"],
        [c for c in assigned if unicodedata.decomposition(c)],
        [c for c in assigned if c.lower() != c or c.upper() != c],
        list("İıßẞſKÅΣσςǅǈΐΰﬀﬃ΅ͅ\u0344\u0307"),
        of_categories("Po", "Pd", "Ps", "Pe", "Pi", "Pf", "Pc", "Sm", "Sc", "Sk", "So"),
        between(0xC0, 0x24F),
        between(0x1100, 0x11FF),
        between(0xAC00, 0xD7A3),
        between(0x4E00, 0x9FFF),
        between(0x3041, 0x30FF),
        between(0x3400, 0x3403) + between(0x2B810, 0x2B930) + between(0xF900, 0xFAFF),
        between(0x20000, 0x20010) + between(0x2A6D0, 0x2A710) + between(0x2CEA0, 0x2FA20),
        between(0xFF00, 0xFFEF),
        between(0x1D150, 0x1D1FF),
        list("👍👩❤🏳🌈🏽👨👧🇩🇪\u200d\ufe0f\u20e3"),
        between(0x600, 0x6FF) + between(0x900, 0x97F) + between(0xE00, 0xE7F),
        assigned,
        [chr(c) for c in range(0, sys.maxunicode + 1, 7) if not 0xD800 <= c < 0xE000],
    ]


def strings(count: int, seed: int) -> Iterator[str | bytes]:
    """Yield strings of all kinds; one in ten is bytes, most of which are invalid UTF-8."""
    rng = random.Random(seed)
    for _ in range(count):
        text = _string(rng)
        yield _damage(text.encode(), rng) if rng.random() < 0.1 else text


def _string(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.02:
        return rng.choice(["", " ", "\0", "\u0301", "\ufffd", "\u200b\u200b", "\U0010ffff"])
    if draw < 0.05:
        # At the length limit of a word; characters that are stripped must not count.
        word = _run(rng, rng.choice([97, 98, 99, 100, 101, 102, 150]), alphabets()[0])
        extra = rng.choice(["", "\u0301", "\u0344", "\x01", "한", "é", "\u302e\u0316", "İ", "."])
        place = rng.randrange(len(word))
        return f"a {word[:place]}{extra}{word[place:]} b"
    if draw < 0.0505:
        return _run(rng, 10_000, rng.choice(alphabets()))
    segments = []
    for _ in range(min(int(rng.expovariate(0.2)) + 1, 60)):
        if rng.random() < 0.15:
            segments.append(rng.choice(PHRASES))
        else:
            segments.append(_run(rng, int(rng.expovariate(0.25)) + 1, rng.choice(alphabets())))
    return rng.choice(["", "", " "]).join(segments)


def _run(rng: random.Random, length: int, alphabet: list[str]) -> str:
    return "".join(rng.choices(alphabet, k=length))


def _damage(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(damaged) + 1)
        if rng.random() < 0.5:
            del damaged[place : place + rng.randrange(3)]
        else:
            damaged[place:place] = rng.choices(
                [0x00, 0x41, 0x80, 0xBF, 0xC0, 0xC3, 0xE0, 0xED, 0xA0, 0xF0, 0x9F, 0xF4, 0xFF], k=2
            )
    return bytes(damaged)


def between(first: int, last: int) -> list[str]:
    """Return the characters of a range of code points, its end included."""
    return [chr(c) for c in range(first, last + 1)]

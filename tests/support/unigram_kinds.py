"""Unigram vocabularies that are most likely to show a difference, and texts for them."""

from __future__ import annotations

import functools
import random
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary
from tfpipe.exporting.fuzz_strings import alphabets, assigned_characters, between

SPACE = "\u2581"
KINDS = ["unigram", "unigram-ties", "unigram-every", "unigram-trailing"]


@functools.cache
def nfkc() -> dict[str, str]:
    """Replacements like SentencePiece's nmt_nfkc: compatibility forms, marks, spaces, controls."""
    table = {SPACE: " "}
    for character in assigned_characters():
        composed = unicodedata.normalize("NFKC", character)
        if character.isspace() or unicodedata.category(character) == "Zs":
            composed = " "
        elif unicodedata.category(character) == "Cc":
            composed = ""
        if composed != character and character != "\0" and SPACE not in composed:
            table[character] = composed
        parts = unicodedata.normalize("NFD", character)
        if len(parts) > 1 and unicodedata.normalize("NFC", parts) == character:
            table[parts] = character
    # The shortest key counts, and only keys of 5 bytes or less are looked up.
    return {
        key: outcome
        for key, outcome in table.items()
        if len(key.encode()) <= 5 and not any(key[:n] in table for n in range(1, len(key)))
    }


def vocabulary_of(kind: str) -> UnigramVocabulary:
    """Make the vocabulary of a kind; the same one every time."""
    rng = random.Random(kind)
    if kind == "unigram-ties":
        # Scores that tie often, and sums that are rounded.
        letters, lengths, count = list("abcé中文。"), (2, 3, 4, 5, 9), 40
        scores = [-0.1, -0.2, -0.3, -0.7, -1.0, -1.1]
    else:
        dense = [c for alphabet in alphabets() if len(alphabet) < 700 for c in alphabet]
        letters = [*dense, *rng.sample(assigned_characters()[200:], 4000)]
        letters += between(0x4E00, 0x5200)
        if kind == "unigram-every":
            letters += assigned_characters()
        lengths, count = (2, 3, 4, 7, 16), 4000
        # Those of SentencePiece were float32, and their sums are exact.
        scores = [round(-rng.uniform(3, 15) * 2**12) / 2**12 for _ in range(5000)]
    letters = [c for c in dict.fromkeys(letters) if not c.isspace() and c not in (SPACE, "\0")]
    # All letters are pieces where no unknown token shall hide a difference.
    pieces = letters[:] if kind == "unigram-every" else rng.sample(letters, len(letters) * 3 // 4)
    short = [*alphabets()[0], *rng.choices(letters, k=80)] if len(letters) > 100 else letters
    for length in lengths:
        pieces += [
            rng.choice(["", SPACE]) + "".join(rng.choices(short, k=length)) for _ in range(count)
        ]
    pieces = [*dict.fromkeys([SPACE, *pieces])]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    values = [0.0, 0.0, 0.0, 0.0, *rng.choices(scores, k=len(pieces)), 0.0]
    return UnigramVocabulary(
        pieces=[*special, *pieces, "<mask>"],
        scores=np.array(values),
        cls_id=0,
        pad_id=1,
        sep_id=2,
        unk_id=3,
        mask_id=4 + len(pieces),
        charsmap=nfkc(),
        trailing_space=kind == "unigram-trailing",
    )


def chains(pieces: Sequence[str], count: int, seed: int) -> Iterator[str]:
    """Yield texts made of the pieces of a vocabulary, with spaces, repeats and odd characters."""
    rng = random.Random(seed)
    odd = [" ", " ", "  ", "\x01", "\u0301", "\u200d", "龘", "\U00020001", "<s>", "<mask>", "½"]
    for _ in range(count):
        parts = rng.choices(pieces, k=rng.randrange(1, 12))
        parts += rng.choices(odd, k=rng.randrange(4))
        if rng.random() < 0.1:
            parts.append(rng.choice(pieces) * rng.randrange(1, 60))
        rng.shuffle(parts)
        yield "".join(parts).replace(SPACE, rng.choice(["", " ", " "]))

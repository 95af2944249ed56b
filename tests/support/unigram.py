"""A small vocabulary of XLM-R's kind for tests of single points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
CHARSMAP = {"\u2581": " ", "\t": " ", "\n": " ", "\u3000": " ", "\x01": ""}
CHARSMAP |= {"Ａ": "A", "e\u0301": "é"}
PIECES = ["\u2581", *"abcdehlost<>/.中国é", "\u2581a", "\u2581the", "\u2581中国", "ab", "bc"]
PIECES += ["hello"]
TEXTS = [
    *("", " ", "a", "a ", " a\n", "a  b", "abc the hello", "中国 中\u3000国 龍龍", "e\u0301Ａ"),
    *("<s> a </s><unk>", "<mask>", "a\u2581the", "\x01 the\t\ta", "thehello..."),
]


def toy_vocabulary(
    before: Sequence[str] = SPECIAL, behind: Sequence[str] = ("<mask>",), **changes: Any
) -> UnigramVocabulary:
    """A vocabulary with these special tokens; the scores are none that JSON has in short."""
    pieces = [*before, *PIECES, *behind]
    scores = [0.0 if piece in [*before, *behind] else -3 - i / 7 for i, piece in enumerate(pieces)]
    ids = {name: pieces.index(name) for name in SPECIAL}
    mask = pieces.index("<mask>") if "<mask>" in pieces else None
    values = {
        "pieces": pieces,
        "scores": np.array(scores),
        "cls_id": ids["<s>"],
        "pad_id": ids["<pad>"],
        "sep_id": ids["</s>"],
        "unk_id": ids["<unk>"],
        "mask_id": mask,
        "charsmap": CHARSMAP,
    }
    return UnigramVocabulary(**(values | changes))

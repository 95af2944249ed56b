"""A smaller vocabulary that divides texts of the same scripts in the same way."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tfpipe.data.arrays import Int32Array
from tfpipe.data.tokenizer.kept_letters import Kept, find_letters
from tfpipe.data.tokenizer.wordpiece.vocabulary import (
    SPECIAL_NAMES,
    Rules,
    Vocabulary,
    make_normalizer,
)
from tfpipe.data.tokenizer.words import CONTINUATION


def keep_scripts(
    vocabulary: Vocabulary, rules: Rules, texts: Iterable[str], used: Int32Array | None = None
) -> Kept:
    """Choose the tokens that texts like these need.

    Kept are the tokens whose letters all are of ASCII or of the scripts of these texts, all single
    characters and all special tokens. A word without other letters is divided exactly as before: no
    token that is left out could be part of it.

    Args:
        vocabulary: The whole vocabulary.
        rules: How texts are normalised.
        texts: The texts.
        used: int32 [T], the tokens of the texts. With them kept are these, the single characters
            of ASCII and of the scripts of these texts, and the special tokens.
    """
    letters = find_letters(map(make_normalizer(rules).normalize_str, texts))
    bare = [token.removeprefix(CONTINUATION) for token in vocabulary.tokens]
    kept, single = letters.cover(bare), np.array([len(token) == 1 for token in bare])
    if used is None:
        kept |= single
    else:
        kept &= single
        kept[used] = True
    special = [vocabulary.ids[t] for t in SPECIAL_NAMES.values() if t in vocabulary.ids]
    kept[special] = True
    return Kept(np.flatnonzero(kept), letters.names, len(kept))

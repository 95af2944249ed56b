"""A smaller vocabulary that divides texts of the same scripts in the same way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from tfpipe.data.arrays import Int32Array, Int64Array
from tfpipe.data.tokenizer.kept_letters import Kept, find_letters
from tfpipe.data.tokenizer.unigram.charsmap import build
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary
from tfpipe.data.tokenizer.words import SPACE


def keep_scripts(
    vocabulary: UnigramVocabulary, texts: Iterable[str], used: Int32Array | None = None
) -> Kept:
    """Choose the pieces that texts like these need.

    Kept are the pieces whose letters all are of ASCII or of the scripts of these texts, all single
    characters and all special tokens. A text that has, once normalised, no other letters is divided
    exactly as before: no piece that is left out could be part of it, and the lowest score, from
    which that of unknown characters follows, remains.

    Args:
        vocabulary: The whole vocabulary.
        texts: The texts.
        used: int32 [T], the pieces of the texts. With them kept are these, the single characters
            of ASCII and of the scripts of these texts, the special tokens and the piece with the
            lowest score.
    """
    from tokenizers.normalizers import Precompiled

    normalizer = Precompiled(build(vocabulary.charsmap))
    letters = find_letters(map(normalizer.normalize_str, texts))
    kept = letters.cover([piece.removeprefix(SPACE) for piece in vocabulary.pieces])
    single = np.array([len(piece) == 1 for piece in vocabulary.pieces])
    if used is None:
        kept |= single
    else:
        kept &= single
        kept[used] = True
    kept[[*vocabulary.special_ids, int(vocabulary.scores.argmin())]] = True
    return Kept(np.flatnonzero(kept), letters.names, len(kept))


def trim(vocabulary: UnigramVocabulary, ids: Int64Array) -> UnigramVocabulary:
    """Return the vocabulary of these pieces only, with new ids in the same order.

    Args:
        vocabulary: The whole vocabulary.
        ids: int64 [K], those of the kept pieces in ascending order, all special tokens included.
    """
    new = {int(old): i for i, old in enumerate(ids)}
    return replace(
        vocabulary,
        pieces=[vocabulary.pieces[i] for i in new],
        scores=vocabulary.scores[ids],
        cls_id=new[vocabulary.cls_id],
        sep_id=new[vocabulary.sep_id],
        pad_id=new[vocabulary.pad_id],
        unk_id=new[vocabulary.unk_id],
        mask_id=None if vocabulary.mask_id is None else new[vocabulary.mask_id],
    )

"""Which letters a trimmed vocabulary keeps: those of the scripts that texts have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from tfpipe.data.arrays import BoolArray, Int64Array, UInt32Array
from tfpipe.data.scripts import SCRIPTS, code_points, count_by_text, look_up, text_numbers

LATIN, NONE = SCRIPTS.index("latin"), SCRIPTS.index("none")
# Latin letters beyond ASCII count as a script of their own.
ACCENTED = len(SCRIPTS)
NAMES = [*SCRIPTS, "accented Latin"]
# A script, or an accented letter, is kept where this share of the texts has it.
LEAST_SHARE = 0.001
# All accented letters are kept where this share of the texts has one of them, as in French.
ACCENTED_SHARE = 0.1
CHUNK = 4096


class Kept(NamedTuple):
    """What a trimmed vocabulary keeps.

    Attributes:
        ids: int64 [K], the ids of its tokens in the whole vocabulary, in ascending order: row i of
            the trimmed embedding is row ids[i] of the whole one.
        scripts: The names of the scripts of its tokens.
        whole: The number of tokens of the whole vocabulary.
    """

    ids: Int64Array
    scripts: list[str]
    whole: int


@dataclass(frozen=True)
class Letters:
    """The letters that are kept, beside those of ASCII and all that is no letter.

    Attributes:
        scripts: bool [scripts + 1], whether each of SCRIPTS is kept, and ACCENTED.
        single: uint32 [S], code points of accented letters that are kept, beside those of scripts.
    """

    scripts: BoolArray
    single: UInt32Array

    @property
    def names(self) -> list[str]:
        """The names of the scripts."""
        kept = zip(NAMES, self.scripts, strict=True)
        return [name for name, is_kept in kept if is_kept and name != SCRIPTS[NONE]]

    def cover(self, texts: Sequence[str]) -> BoolArray:
        """Return bool [N]: whether a text, which may be a token, has no other letters."""
        points = code_points(texts)
        lost = ~self.scripts[_classify(points)] & ~np.isin(points, self.single)
        covered: BoolArray = np.bincount(text_numbers(texts)[lost], minlength=len(texts)) == 0
        return covered


def find_letters(texts: Iterable[str]) -> Letters:
    """Return the letters to keep for texts like these, which are normalised."""
    counts: Int64Array = np.zeros(ACCENTED + 1, np.int64)
    accented: Counter[str] = Counter()
    total = 0
    remaining = iter(texts)
    while chunk := [*islice(remaining, CHUNK)]:
        points = code_points(chunk)
        classes = _classify(points)
        counts += (count_by_text(chunk, classes, ACCENTED + 1) > 0).sum(axis=0)
        total += len(chunk)
        found = classes == ACCENTED
        # Each letter of a text once: above all code points, the number of the text.
        unlike = np.unique(text_numbers(chunk)[found] << 32 | points[found])
        accented.update(map(chr, (unlike & 0xFFFFFFFF).tolist()))
    share = counts / max(total, 1)
    scripts = share >= LEAST_SHARE
    scripts[[LATIN, NONE]] = True
    scripts[ACCENTED] = share[ACCENTED] >= ACCENTED_SHARE
    single = {letter for letter, count in accented.items() if count / total >= LEAST_SHARE}
    both = {form for letter in single for form in (letter.lower(), letter.upper())} | single
    return Letters(scripts, code_points(sorted(both)))


def _classify(points: UInt32Array) -> Int64Array:
    scripts = look_up(points).astype(np.int64)
    return np.where((scripts == LATIN) & (points >= 128), ACCENTED, scripts)

"""A stand-in: the branch `files` has the real module; take that one when merging."""

from __future__ import annotations

from dataclasses import dataclass

from tfpipe.data.arrays import AnyArray


@dataclass(frozen=True)
class UnigramVocabulary:
    """The pieces of a Unigram model and how its texts are normalised."""

    pieces: list[str]
    scores: AnyArray
    cls_id: int
    sep_id: int
    pad_id: int
    unk_id: int
    mask_id: int | None
    charsmap: dict[str, str]

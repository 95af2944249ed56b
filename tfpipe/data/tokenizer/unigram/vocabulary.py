"""The vocabulary of XLM-R's tokenizer, SentencePiece Unigram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfpipe.data.arrays import Float64Array
from tfpipe.data.tokenizer.frame import Frame
from tfpipe.data.tokenizer.words import SPACE
from tfpipe.errors import UserError


@dataclass(frozen=True, eq=False)
class UnigramVocabulary:
    """All that determines the tokens of XLM-R's tokenizer.

    A text is normalised by `charsmap`, as `tokenizers` applies it, and split at white space; each
    word gets U+2581 in front and is divided into pieces with the highest sum of scores. The special
    tokens are pieces that no text has.

    Attributes:
        pieces: The pieces in the order of their ids, special tokens included.
        scores: float64 [N], the logarithms of their probabilities, as `tokenizers` reads them from
            tokenizer.json.
        cls_id: The id before a text.
        sep_id: The id behind a text.
        pad_id: The id that fills rows up.
        unk_id: The id of characters without a piece, one for several of a word in a row.
        mask_id: The id of a masked token in pretraining, None where there is none.
        charsmap: What replaces a character, or a letter with its mark, in normalisation.
        trailing_space: Whether white space at the end of a text is a token, U+2581; its offsets are
            those of the last such character.

    Raises:
        UserError: A piece, a score or an id is none that a tokenizer can have.
    """

    pieces: list[str]
    scores: Float64Array
    cls_id: int
    sep_id: int
    pad_id: int
    unk_id: int
    mask_id: int | None
    charsmap: Mapping[str, str] = field(repr=False)
    trailing_space: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        for found in _find_faults(self):
            raise UserError(
                "The vocabulary is not one of XLM-R's tokenizer (SentencePiece Unigram).",
                found,
                "Restore the tokenizer's files, or choose another model.",
            )

    @property
    def frame(self) -> Frame:
        """The special tokens of inputs: `<s> a </s>` and `<s> a </s></s> b </s>`, all of type 0."""
        return Frame(self.cls_id, self.sep_id, self.pad_id, separators=2, second_type=0)

    @property
    def special_ids(self) -> list[int]:
        """The ids of the special tokens, in ascending order."""
        ids = (self.cls_id, self.sep_id, self.pad_id, self.unk_id, self.mask_id)
        return sorted(i for i in ids if i is not None)


def _find_faults(vocabulary: UnigramVocabulary) -> list[str]:
    pieces, scores = vocabulary.pieces, vocabulary.scores
    special, count = vocabulary.special_ids, len(vocabulary.pieces)
    faults = []
    if scores.shape != (count,):
        faults.append(f"{count} pieces and {scores.size} scores")
    elif not np.isfinite(scores).all():
        faults.append(f"a score that is no number, of {pieces[np.argmin(np.isfinite(scores))]!r}")
    if len(set(pieces)) < count:
        twice, times = Counter(pieces).most_common(1)[0]
        faults.append(f"the piece {twice!r} {times} times")
    if "" in pieces:
        faults.append(f"a piece without characters, id {pieces.index('')}")
    if len(set(special)) < len(special) or not all(0 <= i < count for i in special):
        faults.append(f"ids {special} of special tokens, of {count} pieces")
    replaced = vocabulary.charsmap
    if SPACE not in replaced or any(SPACE in outcome for outcome in replaced.values()):
        faults.append("normalisation that does not replace U+2581, the sign of a space")
    try:
        "".join([*pieces, *replaced, *replaced.values()]).encode()
    except UnicodeEncodeError as error:
        faults.append(f"half a character: {error}")
    return faults


def not_unigram(folder: Path, found: str) -> UserError:
    """Return the error of a tokenizer that is of no kind that can be computed exactly."""
    return UserError(
        f"The tokenizer in {folder} is none like that of XLM-R (SentencePiece Unigram).",
        found,
        "Choose a model with the tokenizer of XLM-R, or one with BERT's WordPiece.",
    )

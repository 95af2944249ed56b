"""XLM-R's tokenizer in the format of SentencePiece, sentencepiece.bpe.model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.data.tokenizer.files import check_size
from tfpipe.data.tokenizer.unigram.charsmap import parse
from tfpipe.data.tokenizer.unigram.scores import read_number
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary, not_unigram

NAME = "sentencepiece.bpe.model"
# XLM-R has the four of fairseq instead, and a mask behind all pieces.
SPECIAL = ["<unk>", "<s>", "</s>"]
FIRST = ["<s>", "<pad>", "</s>", "<unk>"]
LAST = "<mask>"
# The types of SentencePiece's pieces.
NORMAL, UNKNOWN, CONTROL = 1, 2, 3


def read(path: Path) -> UnigramVocabulary:
    """Return the vocabulary of a model of SentencePiece, with the ids that XLM-R gives its pieces.

    Scores are rounded as they are when `tokenizers` writes and reads them.

    Raises:
        UserError: It is damaged, or no model of XLM-R's kind.
    """
    model = _parse(path)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    types = [piece.type for piece in model.pieces]
    others = sorted({*types[3:]} - {NORMAL})
    for what, found, wanted in (
        ("model type", trainer.model_type, 1),
        ("byte_fallback", trainer.byte_fallback, False),
        ("treat_whitespace_as_suffix", trainer.treat_whitespace_as_suffix, False),
        ("add_dummy_prefix", normalizer.add_dummy_prefix, True),
        ("remove_extra_whitespaces", normalizer.remove_extra_whitespaces, True),
        ("escape_whitespaces", normalizer.escape_whitespaces, True),
        ("first pieces", [piece.piece for piece in model.pieces[:3]], SPECIAL),
        ("types of the first pieces", types[:3], [UNKNOWN, CONTROL, CONTROL]),
        ("types of the other pieces", others, []),
    ):
        if found != wanted:
            raise not_unigram(path.parent, f"{what} {found!r} in {NAME}, instead of {wanted!r}")
    pieces = [*FIRST, *(piece.piece for piece in model.pieces[3:]), LAST]
    scores = [0.0] * 4 + [read_number(repr(piece.score)) for piece in model.pieces[3:]] + [0.0]
    return UnigramVocabulary(
        pieces,
        np.array(scores, np.float64),
        cls_id=0,
        pad_id=1,
        sep_id=2,
        unk_id=3,
        mask_id=len(pieces) - 1,
        charsmap=parse(normalizer.precompiled_charsmap),
    )


def _parse(path: Path) -> Any:
    """The message ModelProto in a file."""
    from google.protobuf.message import DecodeError
    from transformers.convert_slow_tokenizer import import_protobuf

    check_size(path)
    import_messages: Callable[[], Any] = import_protobuf
    model = import_messages().ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except (DecodeError, UnicodeDecodeError) as error:
        raise not_unigram(path.parent, f"{NAME} is damaged: {error}") from error
    return model

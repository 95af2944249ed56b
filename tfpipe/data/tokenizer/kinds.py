"""Which kind of tokenizer a model's folder has."""

from __future__ import annotations

import re
from pathlib import Path

from tfpipe.data.tokenizer.files import check_size
from tfpipe.data.tokenizer.unigram import sentencepiece_model, tokenizer_json

# As the name of a key it can be in no string of the file: its quotation marks would be escaped.
MODEL_TYPE = re.compile(rb'"type"\s*:\s*"(WordPiece|Unigram|BPE|WordLevel)"')


def is_unigram(folder: Path) -> bool:
    """Return whether a folder has a Unigram tokenizer, WordPiece being all else.

    The type of model in tokenizer.json decides, without it a file of SentencePiece's.
    """
    path = folder / tokenizer_json.NAME
    if path.exists():
        check_size(path)
        if found := MODEL_TYPE.search(path.read_bytes()):
            return found[1] == b"Unigram"
    return (folder / sentencepiece_model.NAME).exists()

"""The tokenizer of transformers that this package is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfpipe.data.tokenizer.unigram.folder import has_unigram, read_folder
from tfpipe.data.tokenizer.unigram.tokenizer_json import make_pipeline


def load_reference(folder: Path) -> Any:
    """Return the fast tokenizer of a folder as its users load it, by `AutoTokenizer`.

    It differs from theirs in one point: a special token that a text spells is text in XLM-R's too,
    which transformers takes for the special token even with `split_special_tokens`.
    """
    from transformers import AutoTokenizer

    loader: Any = AutoTokenizer
    reference = loader.from_pretrained(folder, split_special_tokens=True, local_files_only=True)
    if has_unigram(folder):
        reference.backend_tokenizer.model = make_pipeline(read_folder(folder)).model
    return reference

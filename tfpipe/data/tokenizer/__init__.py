"""Texts to token ids: WordPiece (BERT) and Unigram (XLM-R), as a graph and without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfpipe.data.tokenizer.tokenizer import Tokenizer
    from tfpipe.data.tokenizer.unigram.unigram import Unigram
    from tfpipe.data.tokenizer.wordpiece.wordpiece import WordPiece

__all__ = ["Tokenizer", "Unigram", "WordPiece"]


def __getattr__(name: str) -> Any:
    """Import a class at its first use: counting tokens does without TensorFlow."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tfpipe.data.tokenizer import tokenizer

    return getattr(tokenizer, name)

"""Chinese words from the segmenter jieba, where it is installed."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpipe.data.arrays import BoolArray, IntArray

PACKAGE = "jieba"
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


class Segmenter:
    """Divides Chinese texts into words.

    Args:
        module: The package jieba.
    """

    def __init__(self, module: Any):
        self._module = module
        module.setLogLevel(logging.WARNING)

    @classmethod
    def find(cls) -> Segmenter | None:
        """Return the segmenter; None where it is not installed."""
        try:
            return cls(importlib.import_module(PACKAGE))
        except ImportError:
            return None

    def find_continued(
        self, texts: Sequence[str], starts: IntArray, lengths: IntArray
    ) -> BoolArray:
        """Return whether each token continues a Chinese word of the token before it.

        Args:
            texts: N texts.
            starts: int [T], the character of its text at which each token starts.
            lengths: int [N], tokens of each text.

        Returns:
            Bool [T].
        """
        parts = [np.zeros(0, bool)]
        for text, own in zip(texts, np.split(starts, np.cumsum(lengths)[:-1]), strict=True):
            parts.append(self._continued(text)[own] if len(own) else np.zeros(0, bool))
        return np.concatenate(parts)

    def _continued(self, text: str) -> BoolArray:
        """Return which Chinese characters are of the word of the Chinese one before: bool."""
        han = np.array([bool(HAN.match(character)) for character in text])
        if not han.any():
            return han
        continued: BoolArray = han & np.concatenate([[False], han[:-1]])
        for _, start, _ in self._module.tokenize(text):
            continued[start] = False
        return continued


def has_chinese(texts: Sequence[str]) -> bool:
    """Return whether a text has a Chinese character."""
    return any(HAN.search(text) for text in texts)

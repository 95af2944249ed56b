"""The special tokens of a model's input, and how they frame one text or two."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """The frame of a tokenizer's inputs.

        BERT     [CLS] text [SEP]     [CLS] first [SEP] second [SEP]
        XLM-R    <s> text </s>        <s> first </s></s> second </s>

    Attributes:
        cls: The id before the first text.
        sep: The id behind each text.
        pad: The id that fills rows up.
        separators: How many `sep` stand between two texts.
        second_type: The token type of the second text and its `sep`; all others have 0.
    """

    cls: int
    sep: int
    pad: int
    separators: int = 1
    second_type: int = 1

    @property
    def text_specials(self) -> int:
        """The number of special tokens of an input of one text."""
        return 2

    @property
    def pair_specials(self) -> int:
        """The number of special tokens of an input of two texts."""
        return 2 + self.separators

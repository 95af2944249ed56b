"""Whether bytes are Chinese in GB18030 (with it GBK and GB2312)."""

from __future__ import annotations

from collections import Counter
from functools import cache

from tfpipe.data.formats.decoded_lines import DecodedLines

# Frequent characters: the first level of GB2312, sorted by pronunciation, and its punctuation.
LEVEL_1 = range(0xB0, 0xD8)
PUNCTUATION = (0xA1, 0xA3)
# Korean in EUC-KR uses the same two bytes, but has no words where the second half of the alphabet
# stands in Chinese.
SECOND_HALF = 0xC9
FEWEST = 4


@cache
def frequent_characters() -> dict[str, int]:
    """Return the frequent characters, each with its first byte."""
    return {
        character: first
        for first in (*PUNCTUATION, *LEVEL_1)
        for character in bytes(
            byte for second in range(0xA1, 0xFF) for byte in (first, second)
        ).decode("gb2312", "ignore")
    }


class ChineseText(DecodedLines):
    """Counts the characters of lines, read as GB18030."""

    codec = "gb18030"

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()

    def _count(self, text: str) -> None:
        self._counts.update(text)

    @property
    def is_plausible(self) -> bool:
        """Whether most characters are frequent ones, and it is not Korean."""
        han, late = self._count_han()
        return self.valid and self._share() >= 0.5 and (han < 2 * FEWEST or late >= 0.05 * han)

    @property
    def is_certain(self) -> bool:
        """Whether nearly all characters are frequent ones, from the whole of the alphabet."""
        han, late = self._count_han()
        return self.valid and han >= FEWEST and self._share() >= 0.9 and late >= 0.1 * han

    def _count_han(self) -> tuple[int, int]:
        """Count the frequent Han characters, and those of them in the alphabet's second half."""
        known = frequent_characters()
        han = [(n, known[one]) for one, n in self._counts.items() if known.get(one, 0) > 0xA3]
        return sum(n for n, _ in han), sum(n for n, first in han if first >= SECOND_HALF)

    def _share(self) -> float:
        known = frequent_characters()
        special = {one: count for one, count in self._counts.items() if not one.isascii()}
        total = sum(special.values())
        return sum(n for one, n in special.items() if one in known) / total if total else 0.0

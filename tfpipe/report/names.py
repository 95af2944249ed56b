"""Names and texts of users as pictures and tables can show them."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties

CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    # One file holds all regional faces, and matplotlib may know only the first of them.
    "Noto Sans CJK JP",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)


def shorten(text: str, most: int) -> str:
    """The text on one line without control characters, cut with an ellipsis after `most`."""
    characters = ["\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text[: 4 * most]]
    kept = (c for c in characters if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf"))
    line = " ".join("".join(kept).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def width_in_ems(text: str) -> float:
    """A generous estimate of a line's width, in multiples of the font size."""
    return sum(1.02 if unicodedata.east_asian_width(c) in "WF" else 0.62 for c in text)


def characters_within(text: str, ems: float) -> int:
    """How many characters of the text's average width a line of so many ems takes, at least 1."""
    return max(1, int(ems * len(text) / (width_in_ems(text) or 1)))


@lru_cache(maxsize=1)
def font_families() -> list[str]:
    """matplotlib's sans-serif, followed by a font for Chinese where one is installed."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["sans-serif", *[name for name in CHINESE_FONTS if name in installed][:1]]


@lru_cache(maxsize=1)
def _drawable_characters() -> frozenset[int]:
    files = [font_manager.findfont(FontProperties(family=[family])) for family in font_families()]
    return frozenset().union(*(font_manager.get_font(file).get_charmap() for file in files))


def can_draw(text: str) -> bool:
    """Whether the installed fonts have every character of the text."""
    return all(ord(character) in _drawable_characters() for character in text)

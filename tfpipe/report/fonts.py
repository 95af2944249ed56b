"""Fonts of the images, and widths of texts in them."""

from __future__ import annotations

import logging
import unicodedata
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

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
    # One file holds all regional faces, and matplotlib may list only the first of them.
    "Noto Sans CJK JP",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)

# Of matplotlib itself: a box for each script in place of its characters.
PLACEHOLDERS = "Last Resort"
# Frequent characters, which a font for Chinese has.
CHINESE_SAMPLE = "的一是不退款"
FONT_ADVICE = (
    "install a font that has them, for Chinese the package fonts-noto-cjk (Debian, Ubuntu) or"
    " google-noto-sans-cjk-fonts (Fedora)"
)

# Fonts for Chinese mostly have one weight; a title that is not bold is no news for the user.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def width_in_ems(text: str) -> float:
    """Estimate a line's width generously, in multiples of the font size."""
    return sum(1.02 if unicodedata.east_asian_width(c) in "WF" else 0.62 for c in text)


def characters_within(text: str, ems: float) -> int:
    """Return how many characters of the text's average width fit in a line of `ems`, at least 1."""
    return max(1, int(ems * len(text) / (width_in_ems(text) or 1)))


@lru_cache(maxsize=1)
def font_families() -> list[str]:
    """Return matplotlib's sans-serif, followed by a font for Chinese where one is installed."""
    chinese = _known_chinese_font()
    if chinese is None:
        _list_new_fonts()
        chinese = _known_chinese_font() or _any_chinese_font()
    return ["sans-serif", *([chinese] if chinese else [])]


def _installed() -> dict[str, str]:
    """Return the files of the fonts by name, without those that were removed since."""
    fonts = font_manager.fontManager.ttflist
    found = {font.name: font.fname for font in fonts if Path(font.fname).is_file()}
    return {name: file for name, file in found.items() if not name.startswith(PLACEHOLDERS)}


def _known_chinese_font() -> str | None:
    installed = _installed()
    return next((name for name in CHINESE_FONTS if name in installed), None)


def _any_chinese_font() -> str | None:
    wanted = set(map(ord, CHINESE_SAMPLE))
    for name, file in sorted(_installed().items()):
        if wanted <= font_manager.get_font(file).get_charmap().keys():
            return name
    return None


def _list_new_fonts() -> None:
    """Add the fonts that were installed after matplotlib wrote its cached list of fonts."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:
            # A file that is no font is none for the picture either.
            with suppress(Exception):
                font_manager.fontManager.addfont(path)


@lru_cache(maxsize=1)
def _drawable_characters() -> frozenset[int]:
    files = [font_manager.findfont(FontProperties(family=[family])) for family in font_families()]
    return frozenset().union(*(font_manager.get_font(file).get_charmap() for file in files))


def can_draw(text: str) -> bool:
    """Return whether the installed fonts have every character of the text."""
    return all(ord(character) in _drawable_characters() for character in text)

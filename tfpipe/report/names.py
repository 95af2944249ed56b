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


# What joins its neighbours to one sign, as in many emoji: kept, where other controls are not.
JOINERS = "\u200c\u200d"
# What regions' flags begin with, followed by tag characters.
BLACK_FLAG = "\U0001f3f4"


def shorten(text: str, most: int) -> str:
    """The text on one line without control characters, cut with an ellipsis after `most`.

    An emoji of several characters stays whole or goes.
    """
    kept: list[str] = []
    for c in text[: 4 * most]:
        if "\ud800" <= c <= "\udfff":
            kept.append("\ufffd")
        elif c in JOINERS:
            # Between two visible ones only, so that nothing invisible adds up.
            kept += [c] if kept and not kept[-1].isspace() and kept[-1] not in JOINERS else []
        elif _is_tag(c):
            kept += [c] if kept and (kept[-1] == BLACK_FLAG or _is_tag(kept[-1])) else []
        elif c.isspace() or unicodedata.category(c) not in ("Cc", "Cf"):
            kept.append(c)
    line = " ".join("".join(kept).split()).strip(JOINERS)
    if len(line) <= most:
        return line
    end = most - 1
    while end and (_goes_on(line[end]) or line[end - 1] in JOINERS or _parts_flag(line, end)):
        end -= 1
    return line[:end].rstrip() + "…"


def _is_tag(character: str) -> bool:
    """Whether it is of those that tell regions' flags apart."""
    return "\U000e0020" <= character <= "\U000e007f"


def _goes_on(character: str) -> bool:
    """Whether it belongs to the sign before it: accents, skin tones, variants, joiners."""
    tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return tone or character in JOINERS or _is_tag(character) or _is_accent(character)


def _is_accent(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me")


def _parts_flag(line: str, place: int) -> bool:
    """Whether the place lies in the midst of a flag, which is a pair of letters of their own."""
    letters = 0
    while letters < place and "\U0001f1e6" <= line[place - letters - 1] <= "\U0001f1ff":
        letters += 1
    return letters % 2 == 1 and "\U0001f1e6" <= line[place] <= "\U0001f1ff"


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
